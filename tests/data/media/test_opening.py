"""Files that are no videos: what they are is said, and what is wanted."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from PIL import Image

from showme.data.media import Video
from showme.data.media.video import open_video
from showme.errors import ClipError

PIXELS = np.zeros((32, 32, 3), np.uint8)


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP"), ("bmp", "BMP"), ("tif", "TIFF"), ("avif", "AVIF or HEIF")],
)
def test_a_still_picture_is_told_apart_from_a_clip(tmp_path, suffix, kind):
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(PIXELS).save(path)
    sentence = f"it is one picture, {kind}.*: give a video, an animated WebP, PNG or AVIF, or a folder of pictures"
    with pytest.raises(ClipError, match=sentence):
        Video(path).open()
    data = path.read_bytes()
    with pytest.raises(ClipError, match=sentence):
        open_video(path, lambda: io.BytesIO(data))


def test_what_holds_no_video_at_all(tmp_path):
    path = tmp_path / "x.wav"
    with wave.open(str(path), "w") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))
    with pytest.raises(ClipError, match=r"it is in no format of videos that is read.*: convert it to MP4"):
        Video(path).open()
