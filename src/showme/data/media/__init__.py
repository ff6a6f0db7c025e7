"""Where the pixels of a clip are, and how its frames are read: exactly, and no more of them than are asked for."""

from .archive import TarPictures, TarVideo
from .base import Frames, Media, Span
from .pictures import Pictures
from .rendered import Rendered
from .video import Video

__all__ = ["Frames", "Media", "Pictures", "Rendered", "Span", "TarPictures", "TarVideo", "Video"]
