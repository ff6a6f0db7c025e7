"""Draw docs/images/actions.webp: of each action the first test scene, truth over what the embedded model makes of it.

python scripts/action_strips.py
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image, ImageDraw

import showme
from showme.data.sampling import evenly_spaced
from showme.worlds.tabletop import Clip, render, sample_scene
from showme.worlds.tabletop.vocabulary import ACTIONS

_CELLS, _GAP, _LABEL = 5, 4, 16
_PAPER, _INK = (255, 255, 255), (40, 40, 46)


def main(
    out: Annotated[Path, typer.Option(help="the file")] = Path("docs/images/actions.webp"),
    model: Annotated[str, typer.Option(help="a bundle's name or folder")] = "embedded",
) -> None:
    """Generate for each scene and write the picture, two actions beside each other."""
    pipeline = showme.load(model)
    pipeline.set_progress_bar_config(disable=True)
    strips = []
    for action in ACTIONS:
        clip = render(first_seed(action), "test", labels=False)
        output = pipeline(Image.fromarray(clip.frames[0]), clip.instruction, task="both", seed=0)
        strips.append(_strip(clip, [np.asarray(frame) for frame in output.frames], np.asarray(output.image)))
    strips += [np.full_like(strips[0], 255)] * (len(strips) % 2)
    gap = np.full((strips[0].shape[0], 3 * _GAP, 3), 255, np.uint8)
    rows = [np.concatenate([left, gap, right], axis=1) for left, right in zip(strips[::2], strips[1::2], strict=True)]
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(out, quality=85, method=6)


def first_seed(action: str) -> int:
    """The first test scene of an action."""
    return next(seed for seed in count() if sample_scene(seed, "test").action == action)


def _strip(clip: Clip, frames: list[np.ndarray], picture: np.ndarray) -> np.ndarray:
    """Frames of the truth over those of the video, and at the right the true end over the picture of the result."""
    chosen = evenly_spaced(len(frames), _CELLS)
    rows = [
        [*(clip.frames[index] for index in chosen), clip.frames[-1]],
        [*(frames[index] for index in chosen), picture],
    ]
    side = frames[0].shape[0]
    sheet = Image.new("RGB", ((_CELLS + 1) * (side + _GAP) + _GAP, _LABEL + 2 * (side + _GAP) + _GAP), _PAPER)
    ImageDraw.Draw(sheet).text((_GAP, 2), clip.instruction, _INK)
    for down, row in enumerate(rows):
        for across, frame in enumerate(row):
            # What is no frame of the video stands apart.
            left = across * (side + _GAP) + (2 * _GAP if across == _CELLS else 0)
            sheet.paste(Image.fromarray(frame), (left, _LABEL + down * (side + _GAP)))
    return np.asarray(sheet)


if __name__ == "__main__":
    typer.run(main)
