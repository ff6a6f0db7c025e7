"""Seconds of the image task and the video task after the model is loaded, in one run, with their ratio.

python benchmarks/generate_speed.py --threads 2
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Annotated

import torch
import typer
from PIL import Image

import showme

_EXAMPLE = Path(showme.__file__).parent / "assets" / "examples" / "push_left.png"


def main(
    threads: Annotated[int, typer.Option(help="CPU threads")] = 2,
    repeats: Annotated[int, typer.Option(help="timed calls per task, taken in turn")] = 5,
    model: Annotated[str, typer.Option(help="a bundle's name or folder")] = "embedded",
) -> None:
    """Print JSON: seconds per task (median, least, most), both together, and video over image."""
    torch.set_num_threads(threads)
    pipeline = showme.load(model)
    pipeline.set_progress_bar_config(disable=True)
    photo = Image.open(_EXAMPLE).convert("RGB")
    seconds: dict[str, list[float]] = {"image": [], "video": []}
    for round_number in range(repeats + 1):
        for task, times in seconds.items():
            start = time.perf_counter()
            pipeline(photo, "push the red box to the left", task=task, seed=0)
            if round_number:  # the first round warms caches up
                times.append(time.perf_counter() - start)
    medians = {task: statistics.median(times) for task, times in seconds.items()}
    report = {
        "threads": threads,
        "steps": pipeline.config.num_inference_steps,
        "frames": pipeline.config.num_frames,
        **{task: {"median": medians[task], "min": min(t), "max": max(t)} for task, t in seconds.items()},
        "together": sum(medians.values()),
        "video_over_image": medians["video"] / medians["image"],
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    typer.run(main)
