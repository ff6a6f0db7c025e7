"""Which parts of ShowMe help, on the embedded model: trains every row of the table, scores it, and writes the report.

    python scripts/study_showme.py --out docs/results

Everything is made from the embedded bundle and rendered clips; a run that was interrupted goes on where it stopped.
About two hours on two CPU cores.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.progress import track

from embedded.judge import TASKS
from showme.bundle import open_bundle
from showme.experiment import train
from showme.methods.showme.tasks import STATE_IMAGE, STATE_VIDEO
from showme.pipelines import load_bundle, save_bundle
from showme.worlds.render import render_dataset
from study import report
from study.held_out import PAIRS, held_out_terms
from study.pictures import draw_pictures
from study.rows import BASE, ROWS, StudySettings, model_of, row_config
from study.scores import figures_of, score_model, seconds_per_step, trainable_parameters

# Scenes that are drawn: the first six of the test split.
PICTURED = range(6)


def main(
    out: Annotated[Path, typer.Option(help="folder for showme_study.md and .json")] = Path("docs/results"),
    run: Annotated[Path, typer.Option(help="folder of clips, cache, models and scores")] = Path("runs/study"),
    model: Annotated[str, typer.Option(help="bundle whose base is tuned")] = "embedded",
    seeds: Annotated[int, typer.Option(help="seeds of training and sampling")] = 3,
    scenes: Annotated[int, typer.Option(help="test scenes")] = 128,
    clips: Annotated[int, typer.Option(help="training clips")] = 4000,
) -> None:
    """Train, score, report."""
    settings = StudySettings(seeds=seeds, scenes=scenes, clips=clips)
    write_base(model, run)
    render_dataset(run / "clips", settings.clips, "train", labels=False)
    columns: dict[str, dict[str, list]] = {}
    terms: dict[str, dict[str, list]] = {}
    for seed in range(settings.seeds):
        for task in TASKS:
            keep(columns, f"base-{task}", score(BASE, task, seed, run, settings), task)
        for row in ROWS:
            config = row_config(row, seed, run, settings)
            if not (config.out / "model").exists():
                print(f"seed {seed}: {row.title or row.key}")
                train(config)
            if row.title is not None:
                keep(columns, row.key, score(row.key, row.task, seed, run, settings), row.task)
        for key in dict.fromkeys(key for row, control, _ in PAIRS for key in (control, row)):
            for name, values in held_out_terms(key, seed, run, settings).items():
                terms.setdefault(key, {}).setdefault(name, []).append(values)
        write_report(out, run, model, settings, stacked(columns), stacked(terms))
        if not seed:
            for path in draw_pictures(out, run, settings, PICTURED):
                print(f"look at: {path}")


def write_base(model: str, run: Path) -> None:
    """The model without its adapters, as a bundle."""
    place = model_of(BASE, 0, run)
    if place.exists():
        return
    bundle = load_bundle(model, device="cpu", dtype=torch.float32)
    for network in (bundle.pipeline.unet, bundle.pipeline.image_projector):
        for adapter in (STATE_IMAGE, STATE_VIDEO):
            if adapter in getattr(network, "peft_config", {}):
                network.delete_adapters(adapter)
    save_bundle(bundle.pipeline, bundle.info, place, dtype=torch.bfloat16)


def score(key: str, task: str, seed: int, run: Path, settings: StudySettings) -> list:
    """Scores of a row's model by one task."""
    path = run / f"seed{seed}" / "scores" / f"{key}-{task}.json"

    def progress(numbers):
        return track(numbers, description=f"seed {seed}, {key}, {task}")

    return score_model(model_of(key, seed, run), task, path, settings.scenes, settings.frames, seed, progress)


def keep(columns: dict[str, dict[str, list]], key: str, scores: list, task: str) -> None:
    """Add one seed's figures to a row."""
    for name, values in figures_of(scores, task).items():
        columns.setdefault(key, {}).setdefault(name, []).append(values)


def stacked(columns: dict[str, dict[str, list]]) -> dict[str, dict[str, np.ndarray]]:
    """Row -> figure -> (seeds, scenes)."""
    return {key: {name: np.stack(values) for name, values in row.items()} for key, row in columns.items()}


def write_report(out: Path, run: Path, model: str, settings: StudySettings, columns: dict, terms: dict) -> None:
    """The table and the claims as Markdown, and the figures as JSON."""
    costs = {}
    for row in ROWS:
        folder = model_of(row.key, 0, run).parent
        if row.title and folder.exists():
            costs[row.key] = (trainable_parameters(folder), seconds_per_step(folder))
    done = len(next(iter(columns.values()))["gain (dB)"])
    record = {
        "base": f"{model}, hash {open_bundle(model).hash[:12]}, its adapters left out",
        "seeds": done,
        **settings.model_dump(exclude={"seeds"}),
        "sampling": "the model's own steps and guidance; goal conditioning off; scene n with seed 1000 s + n",
        "machine": f"{torch.get_num_threads()} threads, torch {torch.__version__}",
    }
    lines = "\n".join(f"- {name}: {value}" for name, value in record.items())
    text = (
        "# Which parts of ShowMe help, on the embedded model\n\n`python scripts/study_showme.py --out docs/results`\n\n"
        f"{report.table(columns, costs)}\n\nMeans over seeds and test scenes with 95% bootstrap intervals over the "
        "scenes. Errors of edges and depth in thousandths.\n\n## The paper's claims\n\nPaired differences over the "
        f"same seeds and scenes.\n\n{report.claims(columns)}\n\n## The rewards where they act\n\nThe terms themselves, "
        "of the clean latent that one step foretells, on clips that nothing was trained on, in thousandths: "
        "edge and depth at t <= 200, motion at t >= 700; outside these gates of the paper they are zero, and four "
        f"samples of five lie inside.\n\n{report.acting(terms)}\n\n## Record\n\n{lines}\n"
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / "showme_study.md").write_text(text)
    figures = {key: {name: values.tolist() for name, values in row.items()} for key, row in columns.items()}
    held_out = {key: {name: values.tolist() for name, values in row.items()} for key, row in terms.items()}
    (out / "showme_study.json").write_text(json.dumps({"record": record, "figures": figures, "terms": held_out}) + "\n")
    print(text)


if __name__ == "__main__":
    typer.run(main)
