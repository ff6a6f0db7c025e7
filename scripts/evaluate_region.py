"""How well IVG's first stage finds the region of motion on the tabletop world, beside what needs no model.

    python scripts/evaluate_region.py runs/ivg/embedded_region/model --split validation --choose   # clean-up settings
    python scripts/evaluate_region.py runs/ivg/embedded_region/model --scenes 128

Printed is a Markdown table: intersection over union with the union of the hand's hulls, and the share of scenes whose
region holds the named object's whole path, with 95% intervals. The prior is the union over ``--prior`` training scenes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer
from PIL import Image
from rich.progress import track

from showme.evaluation.intervals import bootstrap
from showme.methods.call import settings_of
from showme.methods.ivg.regions import CleanUp
from showme.perception.region_of_motion import hull_per_hand, region_of_motion
from showme.pipelines import load_bundle
from showme.worlds.tabletop import Clip, render

_THRESHOLDS, _LEAST_AREAS, _MARGINS = (0.3, 0.4, 0.5, 0.6), (0.0, 0.002, 0.01), (0.0, 0.02, 0.04)


def main(
    model: Annotated[str, typer.Argument(help="a bundle with IVG's first stage")],
    scenes: Annotated[int, typer.Option(help="of the split, the first so many")] = 128,
    split: Annotated[str, typer.Option(help="test, test_novel or validation")] = "test",
    prior: Annotated[int, typer.Option(help="training scenes whose union is the prior")] = 200,
    steps: Annotated[int | None, typer.Option(help="denoising steps, when not the model's own")] = None,
    choose: Annotated[bool, typer.Option("--choose", help="try settings of the clean-up instead")] = False,
    pictures: Annotated[Path | None, typer.Option(help="PNG of the first scenes: photo, truth, region")] = None,
) -> None:
    """Print the table."""
    pipeline = load_bundle(model).pipeline
    pipeline.set_progress_bar_config(disable=True)
    clips = [render(seed, split) for seed in track(range(scenes), description="rendering")]
    truths = [true_region(clip) for clip in clips]
    drawn = [drawn_frames(pipeline, clip, seed, steps) for seed, clip in enumerate(track(clips, description="asking"))]
    if choose:
        print("| threshold | least area | margin | IoU |\n|---|---|---|---|")
        for threshold, area, margin in itertools.product(_THRESHOLDS, _LEAST_AREAS, _MARGINS):
            clean = CleanUp(threshold, area, pipeline.config.region_closing, margin)
            mean = np.mean([iou(clean(frames), truth) for frames, truth in zip(drawn, truths, strict=True)])
            print(f"| {threshold} | {area} | {margin} | {mean:.3f} |")
        return
    found = [pipeline.clean_up(frames) for frames in drawn]
    union = np.any([true_region(render(seed, "train", labels=False)) for seed in range(prior)], axis=0)
    rows: dict[str, Callable[[int], np.ndarray]] = {
        "stage 1": lambda scene: found[scene],
        "prior": lambda scene: union,
        "hand and object of the first frame": lambda scene: first_frame_hull(clips[scene]),
        "white": lambda scene: np.ones_like(union),
        "truth": lambda scene: truths[scene],
    }
    print("| region | IoU with the truth | holds the object's path | share of the picture |\n|---|---|---|---|")
    for name, region in rows.items():
        regions = [region(scene) for scene in range(scenes)]
        overlap = bootstrap([iou(mine, truth) for mine, truth in zip(regions, truths, strict=True)])
        holds = bootstrap([float(holds_path(mine, clip)) for mine, clip in zip(regions, clips, strict=True)])
        cells = [f"{each.mean:.3f} [{each.low:.3f}, {each.high:.3f}]" for each in (overlap, holds)]
        print(f"| {name} | {' | '.join(cells)} | {np.mean(regions):.3f} |")
    if pictures is not None:
        sheet(clips, truths, found, min(scenes, 12)).save(pictures)


def drawn_frames(pipeline: Any, clip: Clip, seed: int, steps: int | None) -> torch.Tensor:
    """The mask frames as the network draws them."""
    call = settings_of(pipeline.config, steps, None, None, None, None, seed, None)
    with torch.no_grad():
        given = pipeline.given(Image.fromarray(clip.frames[0]), clip.instruction, call.guided, None)
        return pipeline.region_frames(given, pipeline.config.num_frames, call, steps)


def true_region(clip: Clip) -> np.ndarray:
    """The union of the hand's hulls, bool (H, W)."""
    return region_of_motion(hull_per_hand(list(clip.joints), *clip.frames.shape[1:3]))


def first_frame_hull(clip: Clip) -> np.ndarray:
    """The convex hull of the hand's joints and of the named object's pixels in the first frame."""
    assert clip.object_masks is not None
    rows, columns = np.nonzero(clip.object_masks[0])
    points = np.concatenate([clip.joints[0, 0], np.stack([columns, rows], 1)]).astype(np.int32)
    mask = np.zeros(clip.frames.shape[1:3], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(points), 1)
    return mask.astype(bool)


def iou(mine: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union."""
    return float((mine & truth).sum() / max((mine | truth).sum(), 1))


def holds_path(region: np.ndarray, clip: Clip) -> bool:
    """Whether the object's centre lies in the region in every frame, outside of the picture aside."""
    height, width = region.shape
    return all(region[y, x] for x, y in _places(clip) if 0 <= x < width and 0 <= y < height)


def _places(clip: Clip) -> Iterator[tuple[int, int]]:
    for x, y in np.rint(clip.object_track).astype(int):
        yield int(x), int(y)


def sheet(clips: list[Clip], truths: list[np.ndarray], found: list[np.ndarray], count: int) -> Image.Image:
    """Rows of photo, last frame, truth and region over the photo."""

    def over(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return np.where(mask[..., None], photo // 2 + 127, photo // 2).astype(np.uint8)

    rows = [
        np.concatenate([c.frames[0], c.frames[-1], over(c.frames[0], t), over(c.frames[0], f)], axis=1)
        for c, t, f in zip(clips[:count], truths, found, strict=False)
    ]
    return Image.fromarray(np.concatenate(rows))


if __name__ == "__main__":
    typer.run(main)
