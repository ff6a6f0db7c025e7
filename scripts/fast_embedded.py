"""The embedded model in fewer steps: an adapter for each number of them, trained and measured beside the model alone.

    python scripts/fast_embedded.py --work runs/fast --minutes 10 --out docs/results/fast_embedded.md

Each adapter is trained by configs/embedded/fast.yaml on the same rendered clips, for as many minutes; the same command
again goes on where it stopped. Scenes are validation ones, one sample each, seed = scene number. Seconds are of both
tasks in one call, warm, medians over calls in turn.
"""

# ruff: noqa: E402 (torch reads how its threads wait when it is imported)
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from showme.threads import settle_threads

settle_threads()

import statistics
import time

import numpy as np
import torch
from PIL import Image
from rich.progress import track

import showme
from embedded.judge import TASKS, figures_of
from showme.evaluation.intervals import bootstrap
from showme.experiment import train
from showme.losses.structure import edge_reward
from showme.methods.recipes import load_recipe
from showme.perception import edge_estimator
from showme.worlds.render import render_dataset
from showme.worlds.tabletop import render

RECIPE = Path(__file__).parents[1] / "configs" / "embedded" / "fast.yaml"
STEPS = (1, 2, 4)
_FIGURES = ("gain", "near", "edges")
_HEADER = (
    "# The embedded model in fewer steps",
    "",
    "`python scripts/fast_embedded.py{}`: means over validation scenes with 95% bootstrap intervals; gain over the",
    "first frame in dB, share of scenes whose object ends within 8 pixels, error of edges in thousandths; seconds of",
    "picture and video in one call, warm, medians in turn. The adapters were trained for {} minutes each.",
    "",
)


def main(
    work: Annotated[Path, typer.Option(help="folder of clips and trainings")] = Path("runs/fast"),
    out: Annotated[Path | None, typer.Option(help="file for the table")] = None,
    minutes: Annotated[float, typer.Option(help="of each adapter's training")] = 10,
    clips: Annotated[int, typer.Option(help="that are trained on")] = 500,
    scenes: Annotated[int, typer.Option(help="that are measured on")] = 64,
    rounds: Annotated[int, typer.Option(help="calls that are timed, in turn")] = 9,
) -> None:
    """Train, measure, and print the table."""
    render_dataset(work / "clips", clips, "train", labels=False)
    for steps in STEPS:
        if not (work / f"fast{steps}" / "model").is_dir():
            train(load_recipe(RECIPE, words(work, steps, minutes)))
    models = {f"as it is, {steps} steps": (steps, "embedded") for steps in STEPS}
    models |= {f"with `fast` for {steps}": (steps, str(work / f"fast{steps}" / "model")) for steps in STEPS}
    calls = {name: caller(*each) for name, each in models.items()}
    seconds = timed(calls, rounds)
    heads = [f"{task}: {figure}" for task in TASKS for figure in _FIGURES]
    lines = [f"| | {' | '.join(heads)} | seconds |", "|---" * (len(heads) + 2) + "|"]
    for name, call in calls.items():
        lines.append(f"| {name} | {' | '.join(measured(call, name, scenes))} | {seconds[name]:.3f} |")
    print("\n".join(lines))
    if out is not None:
        options = f" --work {work} --minutes {minutes:g} --clips {clips} --scenes {scenes} --out {out}"
        header = "\n".join(_HEADER).format(options, f"{minutes:g}")
        out.write_text(f"{header}\n" + "\n".join(lines) + "\n")


def words(work: Path, steps: int, minutes: float) -> list[str]:
    """What differs from the recipe."""
    return [
        f"fast.steps={steps}", f"training.minutes={minutes}", f"out={work / f'fast{steps}'}",
        f"data.source={work / 'clips'}", f"data.cache={work / 'cache'}", "validation.source=null",
    ]  # fmt: skip


def caller(steps: int, model: str) -> Any:
    """(photo, instruction, seed) -> the pipeline's answer to both tasks."""
    pipeline = showme.load(model)
    pipeline.set_progress_bar_config(disable=True)
    return lambda photo, instruction, seed: pipeline(photo, instruction, TASKS, num_inference_steps=steps, seed=seed)


def timed(calls: dict[str, Any], rounds: int) -> dict[str, float]:
    """Median seconds of every model's call, taken in turn; the first round is not counted."""
    clip, taken = render(0, "validation"), {name: [] for name in calls}
    photo = Image.fromarray(clip.frames[0])
    for number in range(rounds + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call(photo, clip.instruction, 0)
            if number:
                taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(each) for name, each in taken.items()}


@torch.no_grad()
def measured(call: Any, name: str, scenes: int) -> list[str]:
    """The cells of a model's line."""
    edges, rows = edge_estimator("sobel"), []
    for scene in track(range(scenes), description=name):
        clip = render(scene, "validation")
        output = call(Image.fromarray(clip.frames[0]), clip.instruction, scene)
        ends = {"image": np.asarray(output.image), "video": np.asarray(output.frames[-1])}
        row = {}
        for task, end in ends.items():
            pixels = torch.from_numpy(np.stack([end, clip.frames[-1]])).permute(0, 3, 1, 2).float() / 255
            seen, true = edges(pixels).split(1)
            own = figures_of(end, clip)
            row |= {f"{task}: gain": own["gain"], f"{task}: near": float(own["near"])}
            row |= {f"{task}: edges": 1e3 * float(edge_reward(seen, true))}
        rows.append(row)
    found = [bootstrap([row[f"{task}: {figure}"] for row in rows]) for task in TASKS for figure in _FIGURES]
    return [f"{each.mean:.2f} [{each.low:.2f}, {each.high:.2f}]" for each in found]


if __name__ == "__main__":
    typer.run(main)
