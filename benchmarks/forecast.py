"""Forecasts of memory beside what real steps take, and forecasts at the published models' sizes.

    python benchmarks/forecast.py --out docs/results/memory_forecast.md

Each comparison forecasts a recipe on a CPU and then trains it on random weights, in a process of its own. What that
takes beside the weights is measured twice: by the tracker on the real tensors of a step, and by the resident memory of
a process that runs the trainer, which knows nothing of tensors: its growth from before the first step, the largest of
samples every millisecond. There the allocator gives freed memory back at once: else it would say what was in use once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn
from torch.utils.data import Dataset, default_collate

from showme.data.clips import Look
from showme.forecast.blank import BlankRows, blank_clips
from showme.forecast.networks import build_pipeline, plain_parts, read_adapters
from showme.forecast.phases import train
from showme.forecast.run import Looker
from showme.forecast.shapes import Component, ModelShapes, read_model, read_published
from showme.forecast.tally import GB, Forecast, forecast
from showme.methods import find_method
from showme.methods.base import Stage
from showme.methods.recipes import parse_recipe
from showme.run_config import RunConfig
from showme.training import Trainer

MB = 10**6
# Freed memory goes back to the system, whatever its size.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "16384", "MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_ARENA_MAX": "1"}
_WAN = {"num_attention_heads": 4, "num_layers": 6, "ffn_dim": 1024, "added_kv_proj_dim": 512, "text_dim": 256,
        "image_dim": 128}  # fmt: skip
# Name -> the recipe's fields; of those on a Wan the network is made small.
CASES: dict[str, dict[str, Any]] = {
    "ShowMe, state_video, embedded": {"stage": "state_video", "model": "embedded", "fresh": True, "frames": 16},
    "ShowMe, state_video, a small Wan": {"stage": "state_video", "model": "wan2.1-i2v-14b-480p", "frames": 17},
    "the same, checkpointed": {"stage": "state_video", "model": "wan2.1-i2v-14b-480p", "frames": 17, "recompute": True},
    "AID, embedded": {"method": "aid", "model": "embedded", "frames": 16},
    "IVG, region, embedded": {"method": "ivg", "stage": "region", "model": "embedded", "frames": 16},
}
REAL = ("wan2.2-ti2v-5b", "wan2.1-i2v-14b-480p", "wan2.2-i2v-a14b", "skyreels-v2-i2v-1.3b-540p", "dynamicrafter-256")
_FRAMES = 17
_HEADER = (
    "# Forecasts of memory",
    "",
    "`python benchmarks/forecast.py --out docs/results/memory_forecast.md`: what `showme doctor --config` says before",
    "a training, beside what the training takes. MB are 10^6 bytes, GB 10^9.",
    "",
)


def main(
    out: Annotated[Path | None, typer.Option(help="file for the tables")] = None,
    case: Annotated[str | None, typer.Option(help="train this one alone and print its resident memory")] = None,
) -> None:
    """Print the tables."""
    if case is not None:
        print(resident(*recipe(case)))
        return
    lines = [*compared(), "", *published()]
    print("\n".join(lines))
    if out is not None:
        out.write_text("\n".join([*_HEADER, *lines]) + "\n")


def recipe(case: str) -> tuple[RunConfig, ModelShapes]:
    """Settings of a comparison, and its model."""
    fields = dict(CASES[case])
    data = {"source": "nowhere", "frames": fields.pop("frames")}
    training = {"steps": 3, "batch_size": 2, "precision": "fp32", "tensorboard": False}
    training["gradient_checkpointing"] = fields.pop("recompute", False)
    tree = {"out": "nowhere", "data": data, "training": training, "validation": {"scenes": 0}, **fields}
    config = parse_recipe(tree, (), case)
    if config.model == "embedded":
        return config, read_model("embedded")
    return config, small(read_published(config.model, (128, 192)))


def small(shapes: ModelShapes) -> ModelShapes:
    """A Wan of which a step takes seconds."""
    clip = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes = {
        "transformer": _WAN,
        "text_encoder": {"d_model": 256, "d_kv": 32, "d_ff": 512, "num_layers": 2, "num_heads": 8, "vocab_size": 512},
        "image_encoder": clip,
    }
    changed = {
        part: Component(shapes.components[part].cls, shapes.components[part].config | some)
        for part, some in sizes.items()
    }
    return replace(shapes, components=shapes.components | changed)


def compared() -> list[str]:
    """Forecast, tracker on real tensors, and resident memory, of every case."""
    lines = [
        "A step of training on a CPU in fp32, two samples, weights aside: what a tracker on the real tensors counted,",
        "and by how much the resident memory of a process that ran the trainer grew.",
        "",
        "| run | forecast, MB | real tensors, MB | off | resident memory, MB | off |",
        "|---|---|---|---|---|---|",
    ]
    for case in CASES:
        config, shapes = recipe(case)
        taken = Looker(shapes, card=False).stepped(config).taken
        said = taken.activations + taken.gradients + taken.optimizer + taken.averages
        counted = real_step(config, shapes)
        command = [sys.executable, __file__, "--case", case]
        done = subprocess.run(command, env=os.environ | _ALLOCATOR, capture_output=True, text=True, check=True)
        grown = int(done.stdout.split()[-1])
        lines.append(
            f"| {case} | {said / MB:.1f} | {counted / MB:.1f} | {said / counted - 1:+.1%} | {grown / MB:.1f} | "
            f"{said / grown - 1:+.1%} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def prepared(config: RunConfig, shapes: ModelShapes) -> tuple[Stage, nn.Module, Any]:
    """Stage and objective on random weights, and the clips that they are trained on."""
    kept = Looker(shapes, card=False).cached(config).kept
    torch.manual_seed(0)
    method = find_method(config.method)
    stage = method.stage(config, build_pipeline(shapes, method, config, plain_parts(shapes), read_adapters(shapes)))
    stage.prepare()
    objective = stage.objective()
    stage.pipeline.backbone.release_encoders()
    rows = BlankRows(Look(shapes.info.height, shapes.info.width, config.data.frames))
    return stage, objective, blank_clips(rows, kept, config.data.frame_stride)


def real_step(config: RunConfig, shapes: ModelShapes) -> int:
    """Bytes that the tracker counts on real tensors beside the weights."""
    stage, objective, clips = prepared(config, shapes)
    made: Any = stage.samples(clips)
    batch = default_collate([made[position] for position in range(config.training.batch_size)])
    taken = train(objective, batch, config, narrow=False, parts=1, card=False)
    return taken.activations + taken.gradients + taken.optimizer + taken.averages


class Samples(Dataset):
    """A stage's samples, made before anything is measured."""

    def __init__(self, samples: list[dict]):
        self.samples = samples

    def __getitem__(self, position: int) -> dict:
        return self.samples[position % len(self.samples)]


def resident(config: RunConfig, shapes: ModelShapes) -> int:
    """Bytes by which this process grows while the trainer runs."""
    stage, objective, clips = prepared(config, shapes)
    made: Any = stage.samples(clips)
    samples = Samples([made[position] for position in range(config.training.batch_size)])
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(objective, samples, config.training, Path(folder))
        most, running = [now()], threading.Event()

        def watch() -> None:
            while not running.wait(0.001):
                most[0] = max(most[0], now())

        before, thread = now(), threading.Thread(target=watch)
        thread.start()
        trainer.run()
        running.set()
        thread.join()
    return most[0] - before


def now() -> int:
    """Resident bytes of this process that are its own: pages of files aside."""
    fields = Path("/proc/self/statm").read_text().split()
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")


def published() -> list[str]:
    """Forecasts of LoRA by ShowMe's second stage on the published models."""
    lines = [
        f"ShowMe's state_video on the published models, by shapes alone: one sample of {_FRAMES} frames at 480x832",
        "(256x256 on DynamiCrafter), `memory.base=bf16`, bf16 autocast on a graphics card, AdamW,",
        "`validation.scenes=0`. GB on the accelerator with an allowance of 1 GB for CUDA.",
        "",
        "| model | frozen weights | encoders and codec | trained | checkpointing, offload | activations | training | "
        "filling the cache | main memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name in REAL:
        looker = Looker(read_published(name, (256, 256) if name == "dynamicrafter-256" else (480, 832)))
        waits = looker.cached(real(False, False)).waits
        for recompute, offload in ((False, False), (True, False), (True, True))[: 3 if waits else 2]:
            lines.append(row(name, forecast(real(recompute, offload), looker), recompute, offload))
            print(lines[-1], file=sys.stderr, flush=True)
    return lines


def real(recompute: bool, offload: bool) -> RunConfig:
    """Settings of a forecast at full size."""
    tree = {
        "stage": "state_video", "out": "nowhere", "data": {"source": "nowhere", "frames": _FRAMES},
        "training": {"steps": 1, "batch_size": 1, "gradient_checkpointing": recompute},
        "memory": {"base": "bf16", "offload": offload}, "validation": {"scenes": 0},
    }  # fmt: skip
    return parse_recipe(tree, (), "a recipe")


def row(name: str, seen: Forecast, recompute: bool, offload: bool) -> str:
    """A line of the table."""
    cache, training = (each.parts | {"": each.total} for each in seen.phases)
    words = ", ".join(word for word, on in (("checkpointing", recompute), ("offload", offload)) if on) or "neither"
    sizes = (training["frozen weights"], cache["encoders and codec"], training["trained weights"])
    states = (training["activations"], training[""], cache[""], seen.main.total)
    figures = [f"{size / GB:.2f}" for size in sizes], [f"{size / GB:.1f}" for size in states]
    return f"| {name} | {' | '.join(figures[0])} | {words} | {' | '.join(figures[1])} |"


if __name__ == "__main__":
    typer.run(main)
