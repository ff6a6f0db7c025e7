"""Short trainings of the embedded model's spatial stage that differ in one setting each, as a table.

    python scripts/compare_recipes.py --out runs/recipes --minutes 5 --scenes 3000

Encoders and pairs are made once, by scripts/train_embedded.py's own stages, the codec is that of the shipped bundle,
and all rows share them. Every row begins at random weights and gets as many steps as take the minutes: what a step of
it takes is measured first, all rows in turn, so that what else the machine does afterwards lengthens a run and does not
shorten what it learns. The figures are of validation scenes. The same command goes on where it stopped.
"""

# ruff: noqa: E402 (torch reads how its threads wait when it is imported)
from __future__ import annotations

import json
import shutil
import statistics
from pathlib import Path
from typing import Annotated, Any

import typer

from showme.threads import settle_threads

settle_threads()

import torch

from embedded import cache, diffusion, encoders, frames
from embedded.gauge import CURVE
from embedded.settings import Settings
from showme.pipelines import load_bundle
from showme.training.log import LOG

ROWS: dict[str, dict[str, Any]] = {
    "the recipe": {},
    "no draw at the last timestep but by chance": {"first_step_share": 0.0},
    "one end of each first frame": {"ends_per_scene": 1},
    "AdamW alone, at 5e-4": {"optimizer": "adamw"},
    "Muon at 0.02": {"muon_rate": 0.02},
    "90% of the draws at the last timestep": {"first_step_share": 0.9},
    "32 pairs a step": {"image_batch": 32},
    "weights averaged, 0.99": {"ema": 0.99},
    "attention at 16x16 as well": {"unet_attention": (True, True, True)},
    "wider by half: 96, 192, 288": {"unet_widths": (96, 192, 288)},
}
_SHARED = ("clips", "pairs", "pairs-encoded", "codec-model", "tokenizer", "text-encoder", "image-encoder")
_TIMED_STEPS, _TURNS = 6, 2
_FIGURES = {"gain": 2, "near": 2, "named": 2, "background": 1}
_TIMES = "seconds.json"
_CPU = torch.device("cpu")


def main(
    out: Annotated[Path, typer.Option(help="folder of the runs")] = Path("runs/recipes"),
    minutes: Annotated[float, typer.Option(help="of training, each row")] = 7,
    scenes: Annotated[int, typer.Option(help="first frames to learn from")] = 4000,
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16, the same for all rows")] = "auto",
) -> None:
    """Prepare, time, train what is missing, and print a Markdown table."""
    settings = Settings(pair_scenes=scenes, clips=4, precision=precision)
    _prepare(out, settings)
    folders = {name: _folder(out, number) for number, name in enumerate(ROWS)}
    rows = {name: settings.model_copy(update=changes) for name, changes in ROWS.items()}
    seconds = _seconds(out, folders, rows)
    print("| setting | seconds a step | steps | gain, dB | within 8 pixels | named thing | background, dB |")
    print("|---|---|---|---|---|---|---|")
    for name, row in rows.items():
        steps = round(60 * minutes / seconds[name])
        print(f"| {name} | {seconds[name]:.2f} | {steps} | {_figures(folders[name], row, steps)} |", flush=True)


def _prepare(out: Path, settings: Settings) -> None:
    """Pairs and encoders, as the whole training makes them, and the shipped bundle's codec."""
    out.mkdir(parents=True, exist_ok=True)
    frames.render_all(out, settings)
    if not (out / "codec-model").exists():
        load_bundle("embedded", device="cpu").pipeline.vae.save_pretrained(out / "codec-model")
    if not (out / "image-encoder").exists():
        encoders.train_encoders(out, settings, _CPU)
    cache.open_pairs(out, settings, _CPU)


def _folder(out: Path, number: int) -> Path:
    """A row's own folder, in which the shared parts are links."""
    folder = out / f"row-{number:02d}"
    folder.mkdir(exist_ok=True)
    for name in _SHARED:
        if not (folder / name).exists():
            (folder / name).symlink_to((out / name).resolve())
    return folder


def _seconds(out: Path, folders: dict[str, Path], rows: dict[str, Settings]) -> dict[str, float]:
    """Name -> seconds of one step, the median over rounds in which all rows take turns."""
    kept = out / _TIMES
    if kept.exists():
        return json.loads(kept.read_text())
    times: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(_TURNS):
        for name, row in rows.items():
            times[name] += _timed(folders[name], row)
    found = {name: statistics.median(each) for name, each in times.items()}
    kept.write_text(json.dumps(found, indent=1))
    return found


def _timed(folder: Path, row: Settings) -> list[float]:
    """Seconds of a few steps of the row's own training, which is forgotten."""
    place = folder / "spatial"
    diffusion.train_spatial(folder, row.model_copy(update={"spatial_steps": _TIMED_STEPS, "validation_clips": 0}), _CPU)
    lines = [json.loads(line) for line in (place / LOG).read_text().splitlines()]
    shutil.rmtree(place)
    # The first steps warm up.
    return [row.image_batch / line["samples_per_second"] for line in lines[2:]]


def _figures(folder: Path, row: Settings, steps: int) -> str:
    """Train a row to its end, and what its curve then says."""
    curve = folder / "spatial" / CURVE
    if not curve.exists() or json.loads(curve.read_text().splitlines()[-1])["step"] != steps:
        diffusion.train_spatial(folder, row.model_copy(update={"spatial_steps": steps}), _CPU)
    last = json.loads(curve.read_text().splitlines()[-1])
    return " | ".join(f"{last[name]:.{digits}f}" for name, digits in _FIGURES.items())


if __name__ == "__main__":
    typer.run(main)
