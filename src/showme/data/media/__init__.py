"""Where the pixels of a clip are, and how its frames are read: exactly, and no more of them than are asked for."""

from .archive import TarPictures, TarVideo
from .base import Frames, Media, Span
from .episode_video import EpisodeVideo
from .huggingface import ArrowPictures, ArrowVideo
from .npz import Npz
from .parquet import ParquetPictures
from .picture_files import PictureFiles
from .pictures import Pictures
from .rendered import Rendered
from .tfrecord import TFRecordPictures
from .video import Video

__all__ = [
    "ArrowPictures",
    "ArrowVideo",
    "EpisodeVideo",
    "Frames",
    "Media",
    "Npz",
    "ParquetPictures",
    "PictureFiles",
    "Pictures",
    "Rendered",
    "Span",
    "TFRecordPictures",
    "TarPictures",
    "TarVideo",
    "Video",
]
