"""Draw docs/images/demo.webp: photo, video of the action and picture of the result for three unseen scenes.

python scripts/readme_animation.py --seeds 1 --seeds 5 --seeds 9
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from PIL import Image, ImageDraw, ImageFont

from showme.pipelines import load_bundle
from showme.worlds.tabletop import render

_SIDE, _GAP, _LABEL = 176, 8, 24
_PAPER, _INK = (255, 255, 255), (40, 40, 46)
_HOLD = 1250


def main(
    seeds: Annotated[list[int], typer.Option(help="scenes of the test split")],
    out: Annotated[Path, typer.Option(help="the file")] = Path("docs/images/demo.webp"),
) -> None:
    """Generate for each scene and write the animation."""
    bundle = load_bundle("embedded")
    pipeline, milliseconds = bundle.pipeline, round(1000 / bundle.info.fps)
    rows = []
    for seed in seeds:
        clip = render(seed, "test", labels=False)
        photo = Image.fromarray(clip.frames[0])
        output = pipeline(photo, clip.instruction, task="both", seed=0)
        rows.append((clip.instruction, photo, output.frames, output.image))
    count = len(rows[0][2])
    pictures = [_picture(rows, index) for index in range(count)]
    out.parent.mkdir(parents=True, exist_ok=True)
    durations = [milliseconds] * (count - 1) + [_HOLD]
    pictures[0].save(out, save_all=True, append_images=pictures[1:], duration=durations, loop=0, quality=85, method=6)


def _picture(rows, index: int) -> Image.Image:
    """One frame of the animation: a row per scene."""
    width, height = 3 * _SIDE + 4 * _GAP, len(rows) * (_SIDE + _LABEL + _GAP)
    picture = Image.new("RGB", (width, height), _PAPER)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    for row, (instruction, photo, frames, result) in enumerate(rows):
        top = row * (_SIDE + _LABEL + _GAP)
        draw.text((_GAP, top + _LABEL / 2), f"“{instruction}”: photo, video, result", _INK, font, anchor="lm")
        for column, image in enumerate((photo, frames[index], result)):
            large = image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
            picture.paste(large, (_GAP + column * (_SIDE + _GAP), top + _LABEL))
    return picture


if __name__ == "__main__":
    typer.run(main)
