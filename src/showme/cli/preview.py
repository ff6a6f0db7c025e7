"""A picture of rendered clips, to see at a glance what a data set holds."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..generation.outputs import spaced
from ..worlds.render import load_clip

_CELL, _COLUMNS, _LABEL = 5, 6, 18


def draw_preview(out: Path, index: Path, wanted: int) -> Path:
    """One row of evenly spaced frames per clip, with its instruction, in ``preview.png``."""
    entries = [json.loads(line) for line in index.read_text(encoding="utf-8").splitlines()]
    chosen = entries if wanted >= len(entries) else random.Random(0).sample(entries, wanted)
    rows = []
    for entry in chosen:
        frames = load_clip(out / entry["file"]).frames
        rows.append((entry["instruction"], [frames[0], *(frames[i] for i in spaced(len(frames), _COLUMNS - 1))]))
    return _save_sheet(rows, out / "preview.png")


def _save_sheet(rows: list[tuple[str, list[np.ndarray]]], path: Path) -> Path:
    height, width = rows[0][1][0].shape[:2]
    sheet = Image.new("RGB", (_COLUMNS * (width + _CELL) + _CELL, len(rows) * (height + _LABEL + _CELL)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, (instruction, frames) in enumerate(rows):
        top = number * (height + _LABEL + _CELL)
        draw.text((_CELL, top + _LABEL / 2), instruction, "black", font, anchor="lm")
        for column, frame in enumerate(frames):
            sheet.paste(Image.fromarray(frame), (_CELL + column * (width + _CELL), top + _LABEL))
    sheet.save(path)
    return path
