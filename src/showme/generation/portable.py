"""A run's folder as one file: the page with everything in it, or the video as an animated picture."""

from __future__ import annotations

import base64
import io
import mimetypes
import re
from pathlib import Path

from PIL import Image

from . import folder
from .side_by_side import BESIDE

# What our own pages link to: files beside them, or in the folder of one of several models.
_NAMES = "|".join(map(re.escape, folder.OWN_FILES))
_LINK = re.compile(rf'(src|href)="((?:[A-Za-z0-9.+-]+/)?(?:{_NAMES}))"')
# A GIF counts time in hundredths of a second, and browsers slow down what is below two.
_SHORTEST = 0.02


def portable_page(place: Path) -> str:
    """The page of a finished run as HTML that needs no other file: pictures, video and record are within it.

    Args:
        place: folder of results, of one model or of several.
    """
    page = (place / folder.PAGE).read_text(encoding="utf-8")

    def within(found: re.Match[str]) -> str:
        name = found[2]
        if name.endswith(folder.PAGE):
            # Of one of several models; its pictures are on this page.
            return f'{found[1]}="#"'
        return f'{found[1]}="{_data(place / name)}"'

    return _LINK.sub(within, page.replace(BESIDE, ""))


def animation(video: Path, kind: str) -> bytes:
    """A video as an animated picture that loops.

    Args:
        video: as ``generate`` writes it.
        kind: ``gif`` or ``webp``.
    """
    import av

    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or 1)
        frames = [frame.to_image() for frame in container.decode(stream)]
    milliseconds = round(1000 * max(1 / rate, _SHORTEST))
    if kind == "gif":
        # One palette for all: a palette for each frame flickers.
        palette = _sheet(frames).quantize(256, method=Image.Quantize.MEDIANCUT)
        frames = [frame.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames]
    options = {"quality": 85, "method": 4} if kind == "webp" else {"disposal": 1}
    data = io.BytesIO()
    frames[0].save(
        data, kind.upper(), save_all=True, append_images=frames[1:], duration=milliseconds, loop=0, **options
    )
    return data.getvalue()


def _sheet(frames: list[Image.Image]) -> Image.Image:
    """Some of the frames, small, beside each other."""
    chosen = frames[:: max(len(frames) // 8, 1)]
    small = [frame.resize((max(frame.width // 2, 1), max(frame.height // 2, 1))) for frame in chosen]
    sheet = Image.new("RGB", (small[0].width * len(small), small[0].height))
    for number, frame in enumerate(small):
        sheet.paste(frame, (number * frame.width, 0))
    return sheet


def _data(file: Path) -> str:
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode('ascii')}"
