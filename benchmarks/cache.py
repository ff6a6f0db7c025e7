"""The cache of a training: how fast it is written, how large it is, how fast samples come from it and how fast without.

python benchmarks/cache.py --clips 128
"""

from __future__ import annotations

import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from torch.utils.data import default_collate

from showme.data.cache import build_parts
from showme.experiment import open_run
from showme.methods.cached import CachedClips
from showme.methods.showme.config import ShowMeConfig
from showme.worlds.render import render_dataset


def main(
    clips: Annotated[int, typer.Option(help="clips of the tabletop world")] = 128,
    anew: Annotated[int, typer.Option(help="of them, computed anew for the comparison")] = 16,
    model: Annotated[str, typer.Option(help="a bundle")] = "embedded",
) -> None:
    """Print JSON: clips per second, bytes per clip and part, samples per second with the cache and without."""
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(measure(Path(place), clips, anew, model), indent=1))


def measure(folder: Path, count: int, anew: int, model: str) -> dict:
    """All figures."""
    render_dataset(folder / "clips", count, "train", labels=False)
    config = ShowMeConfig(
        stage="state_image",
        out=folder / "run",
        model=model,
        data={"source": folder / "clips", "cache": folder / "cache", "frames": 16},
        rewards={"edge": "sobel", "depth": "tabletop"},
        training={"steps": 1},
    )
    run = open_run(config)
    rows, parts = run.rows, run.stage.parts(run.rows)
    seconds, readers = timed(lambda: build_parts(config.data.cache, parts))
    samples = run.stage.samples(CachedClips(rows, readers))
    result: dict = {"clips": count, "clips written per second": round(count / seconds, 2)}
    result["bytes per clip"] = {name: reader.size // len(reader) for name, reader in readers.items()}
    again, _ = timed(lambda: build_parts(config.data.cache, parts))
    result["seconds until a full cache is known to be full"] = round(again, 3)
    read = 0.0
    for turn in ("first", "second"):
        positions = range(0, 4 * count, 8)
        spent, _ = timed(partial(read_all, samples, positions))
        read = 4 * count / spent
        result[f"samples read per second, shuffled, {turn} time"] = round(read)
    of_clips = [part for part in parts if part.rows == count]
    spent, _ = timed(lambda: [part.encode([row]) for row in range(anew) for part in of_clips])
    result["samples computed per second without it"] = round(anew / spent, 2)
    result["ratio"] = round(read * spent / anew)
    return result


def read_all(samples, positions: range) -> None:
    """Batches of eight at these positions."""
    for start in positions:
        default_collate([samples[position] for position in range(start, start + 8)])


def timed(work) -> tuple[float, object]:
    """Seconds and the result."""
    start = time.perf_counter()
    done = work()
    return time.perf_counter() - start, done


if __name__ == "__main__":
    typer.run(main)
