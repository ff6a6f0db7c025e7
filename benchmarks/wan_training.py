"""What the cache saves of a training step on Wan 2.2 TI2V-5B, and what a picture on two slots costs beside a video.

    python benchmarks/wan_training.py --out docs/results/wan_training.md

At full size operations are counted, on tensors that have shapes and no values: multiplications and additions of matrix
products, convolutions and attention. A small copy, every width divided alike and as many layers, is timed: the same
steps with latents and text from the cache and encoded before each, in turn.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn
from torch.utils.data import default_collate
from torch.utils.flop_counter import FlopCounterMode

from showme.data.clips import Look
from showme.forecast.blank import BlankRows, blank_batch, blank_clips, chunk_of
from showme.forecast.networks import build_pipeline, plain_parts
from showme.forecast.run import Looker
from showme.forecast.shapes import Component, ModelShapes, read_published
from showme.forecast.weightless import without_values
from showme.methods import find_method
from showme.methods.base import Stage
from showme.methods.cached import clip_parts
from showme.methods.recipes import parse_recipe
from showme.run_config import RunConfig

MODEL, SIZE, FRAMES = "wan2.2-ti2v-5b", (480, 832), 17
STAGES = ("state_image", "state_video")
_HEADER = (
    "# A training step on Wan 2.2 TI2V-5B",
    "",
    "`python benchmarks/wan_training.py --out docs/results/wan_training.md`: ShowMe's two stages, a sample of",
    "17 frames at 480x832 (a picture on two slots; a video on five), LoRA of rank 128 and 64. Seconds on a GPU are",
    "unmeasured.",
    "",
)
Encode = Callable[[], Any]


def main(
    out: Annotated[Path | None, typer.Option(help="file for the tables")] = None,
    divisor: Annotated[int, typer.Option(help="of the small copy's widths")] = 16,
    rounds: Annotated[int, typer.Option(help="in which either is timed")] = 5,
) -> None:
    """Print the tables."""
    lines = [*counted(), "", *timed(divisor, rounds)]
    print("\n".join(lines))
    if out is not None:
        out.write_text("\n".join([*_HEADER, *lines]) + "\n")


def recipe(stage: str, recompute: bool) -> RunConfig:
    """Settings of a step."""
    training = {"steps": 1, "batch_size": 1, "gradient_checkpointing": recompute, "precision": "fp32"}
    tree = {
        "stage": stage, "out": "nowhere", "data": {"source": "nowhere", "frames": FRAMES}, "training": training,
        "validation": {"scenes": 0},
    }  # fmt: skip
    return parse_recipe(tree, (), "a recipe")


def prepared(config: RunConfig, shapes: ModelShapes) -> tuple[Stage, Encode]:
    """The stage on networks of these shapes, and what encodes one clip for it as the cache would be filled."""
    method = find_method("showme")
    stage = method.stage(config, build_pipeline(shapes, method, config, plain_parts(shapes), []))
    rows = BlankRows(Look(shapes.info.height, shapes.info.width, FRAMES), 1)
    backbone = stage.pipeline.backbone
    parts = {part.name: part for part in clip_parts(backbone, rows)}

    def encode() -> None:
        parts["text"].encode(chunk_of(parts["text"], 1))
        if config.stage == "state_video":
            parts["latents"].encode([0])
        else:
            # A sample of pictures is two of a clip's, each encoded alone: the cache has more to draw them from.
            backbone.encode(rows.pixels([0], slice(2))[0][:, None])

    return stage, encode


def batch_of(stage: Stage, shapes: ModelShapes, config: RunConfig) -> dict[str, Any]:
    """One sample, of blank clips."""
    kept = Looker(shapes, card=False).cached(config).kept
    rows = BlankRows(Look(shapes.info.height, shapes.info.width, FRAMES))
    samples: Any = stage.samples(blank_clips(rows, kept, None))
    return default_collate([samples[0]])


def operations(run: Callable[[], Any]) -> int:
    """Of everything that a call computes."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def counted() -> list[str]:
    """Operations at full size."""
    shapes, found = read_published(MODEL, SIZE), {}
    for stage in STAGES:
        for recompute in (False, True):
            config = recipe(stage, recompute)
            kept = Looker(shapes).cached(config).kept
            with without_values(card=True):
                made, encode = prepared(config, shapes)
                with torch.no_grad():
                    encoding = operations(encode)
                made.prepare()
                objective = made.objective()
                rows = BlankRows(Look(*SIZE, FRAMES))
                batch = blank_batch(made, blank_clips(rows, kept, None), 1)

                def step(objective: nn.Module = objective, batch: dict = batch) -> None:
                    torch.autograd.backward(objective(batch)["noise"])

                found[stage, recompute] = operations(step), encoding
            print(stage, recompute, found[stage, recompute], file=sys.stderr, flush=True)
    lines = [
        "| stage | checkpointing | step, 10^12 | encoding, 10^12 | encoded each step against cached |",
        "|---|---|---|---|---|",
    ]
    for (stage, recompute), (taken, encoding) in found.items():
        words = "on" if recompute else "off"
        lines.append(
            f"| {stage} | {words} | {taken / 1e12:.1f} | {encoding / 1e12:.1f} | {(taken + encoding) / taken:.2f} |"
        )
    ratio = found["state_video", False][0] / found["state_image", False][0]
    return [*lines, "", f"A step of videos takes {ratio:.2f} times the operations of one of pictures on two slots."]


def small(shapes: ModelShapes, divisor: int) -> ModelShapes:
    """The same with all widths divided, heads of attention kept as wide as they were where that is possible."""

    def divided(part: str, names: Sequence[str]) -> Component:
        old = shapes.components[part]
        return Component(old.cls, old.config | {name: max(old.config[name] // divisor, 1) for name in names})

    network = divided("transformer", ("ffn_dim", "text_dim"))
    width = shapes.components["transformer"].config["num_attention_heads"] * 128 // divisor
    network.config.update(num_attention_heads=max(width // 64, 1), attention_head_dim=64)
    text = divided("text_encoder", ("d_model", "d_ff", "num_heads"))
    text.config.update(vocab_size=512)
    codec = divided("vae", ("base_dim", "decoder_base_dim"))
    return replace(shapes, components=shapes.components | {"transformer": network, "text_encoder": text, "vae": codec})


def timed(divisor: int, rounds: int) -> list[str]:
    """Seconds of the small copy, cached and not, in turn."""
    shapes = small(read_published(MODEL, SIZE), divisor)
    lines = [
        f"A small copy, widths divided by {divisor}, on a CPU in fp32; median of {rounds} in turn:",
        "",
        "| stage | step, s | with encoding, s | ratio |",
        "|---|---|---|---|",
    ]
    medians = {}
    for name in STAGES:
        config = recipe(name, False)
        torch.manual_seed(0)
        stage, encode = prepared(config, shapes)
        batch = batch_of(stage, shapes, config)
        stage.prepare()
        objective = stage.objective()

        def step(objective: nn.Module = objective, batch: dict = batch) -> None:
            objective(batch)["noise"].backward()

        def both(encode: Encode = encode, step: Callable = step) -> None:
            with torch.no_grad():
                encode()
            step()

        taken = [[seconds(run) for run in (step, both)] for _ in range(rounds + 1)][1:]
        plain, encoded = (statistics.median(each) for each in zip(*taken, strict=True))
        medians[name] = plain
        lines.append(f"| {name} | {plain:.2f} | {encoded:.2f} | {encoded / plain:.2f} |")
    ratio = medians["state_video"] / medians["state_image"]
    return [*lines, "", f"A step of videos takes {ratio:.2f} times as long as one of pictures on two slots."]


def seconds(run: Callable[[], Any]) -> float:
    """Of a call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    typer.run(main)
