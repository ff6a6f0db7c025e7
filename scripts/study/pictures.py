"""What is looked at: the same scenes by every row's model, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from showme.data.sampling import evenly_spaced
from showme.pipelines import load_bundle
from showme.worlds.tabletop import Clip, render

from .rows import ROWS, StudySettings, model_of

_SIDE, _GAP, _LABEL = 128, 4, 18
_PAPER, _INK = (250, 250, 249), (60, 60, 67)
# Rows whose end (image) or frames (video) are drawn.
_IMAGE_ROWS = ("image", "image-edge", "image-depth", "image-both")
_VIDEO_ROWS = ("alone", "video", "video-motion", "full")
_VIDEO_CELLS = 6
_VIDEO_SCENES = 3


def draw_pictures(out: Path, folder: Path, settings: StudySettings, scenes: Sequence[int], seed: int = 0) -> list[Path]:
    """Write ``showme_study_image.png`` (a line per scene) and ``showme_study_video.png`` (a line per scene and row)."""
    clips = [render(scene, "test") for scene in scenes]
    titles = {row.key: row.title or row.key for row in ROWS}
    first = [(clip.scene.instruction, [("before", _picture(clip, 0)), ("truth", _picture(clip, -1))]) for clip in clips]
    for key in _IMAGE_ROWS:
        for (_, cells), picture in zip(first, _results(key, clips, folder, seed), strict=True):
            cells.append((titles[key], picture))
    lines, clips = [], clips[:_VIDEO_SCENES]
    videos = {key: _videos(key, clips, folder, settings.frames, seed) for key in _VIDEO_ROWS}
    shown = evenly_spaced(settings.frames, _VIDEO_CELLS)
    for number, clip in enumerate(clips):
        true = [Image.fromarray(clip.frames[index]) for index in evenly_spaced(len(clip.frames), settings.frames)]
        lines.append((f"{clip.scene.instruction}: truth", [("", true[index]) for index in shown]))
        for key in _VIDEO_ROWS:
            lines.append((titles[key], [("", videos[key][number][index]) for index in shown]))
    paths = [out / "showme_study_image.png", out / "showme_study_video.png"]
    for path, rows in zip(paths, (first, lines), strict=True):
        _sheet(rows).save(path)
    return paths


def _picture(clip: Clip, index: int) -> Image.Image:
    return Image.fromarray(clip.frames[index])


def _pipeline(key: str, folder: Path, seed: int):
    pipeline = load_bundle(model_of(key, seed, folder)).pipeline
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _results(key: str, clips: Sequence[Clip], folder: Path, seed: int) -> list[Image.Image]:
    pipeline = _pipeline(key, folder, seed)
    return [pipeline(_picture(clip, 0), clip.instruction, "image", seed=n).image for n, clip in enumerate(clips)]


def _videos(key: str, clips: Sequence[Clip], folder: Path, frames: int, seed: int) -> list[list[Image.Image]]:
    pipeline = _pipeline(key, folder, seed)
    return [
        pipeline(_picture(clip, 0), clip.instruction, "video", seed=n, num_frames=frames).frames
        for n, clip in enumerate(clips)
    ]


def _sheet(rows: Sequence[tuple[str, list[tuple[str, Image.Image]]]]) -> Image.Image:
    """Lines of labelled pictures, each line under its own words."""
    columns = max(len(cells) for _, cells in rows)
    height = _SIDE + 2 * _LABEL + _GAP
    sheet = Image.new("RGB", (_GAP + columns * (_SIDE + _GAP), len(rows) * height), _PAPER)
    draw, font, small = ImageDraw.Draw(sheet), ImageFont.load_default(14), ImageFont.load_default(10)
    for line, (words, cells) in enumerate(rows):
        top = line * height
        draw.text((_GAP, top + 2), words, _INK, font)
        for column, (label, picture) in enumerate(cells):
            left = _GAP + column * (_SIDE + _GAP)
            sheet.paste(picture.resize((_SIDE, _SIDE)), (left, top + _LABEL))
            draw.text((left, top + _LABEL + _SIDE + 1), label, _INK, small)
    return sheet
