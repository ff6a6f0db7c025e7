"""AID's training against full fine-tuning of the same backbone: samples per second and peak memory, side by side.

    python benchmarks/aid_training.py --pairs 3
    python benchmarks/aid_training.py --pairs 3 --aid-batch 16        # each side's largest batch of equal memory

Both sides learn the same random latents through the same DQFormer on the embedded network; with full fine-tuning every
weight of it is trained and no adapter stands beside it. Each measurement is a process of its own, and the sides take
turns.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Annotated, Any

import typer

_STEPS, _WARM = 6, 2


def main(
    pairs: Annotated[int, typer.Option(help="measurements of each side")] = 3,
    batch: Annotated[int, typer.Option(help="clips per step, of full fine-tuning")] = 8,
    aid_batch: Annotated[int | None, typer.Option(help="of AID, when another")] = None,
    side: Annotated[str | None, typer.Option(help="measure one side in this process: aid or full")] = None,
) -> None:
    """Print both sides and their ratios."""
    if side is not None:
        print(json.dumps(measure(side == "full", batch)))
        return
    found: dict[str, list[dict[str, float]]] = {"aid": [], "full": []}
    for _ in range(pairs):
        for name in found:
            size = aid_batch or batch if name == "aid" else batch
            words = [sys.executable, __file__, "--side", name, "--batch", str(size)]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    print(
        "| side | batch | samples per second | peak memory, MiB | of it beyond the models, MiB |\n|---|---|---|---|---|"
    )
    medians = {
        name: {key: statistics.median(each[key] for each in rows) for key in rows[0]} for name, rows in found.items()
    }
    for name, each in medians.items():
        print(f"| {name} | {each['batch']:.0f} | {each['rate']:.2f} | {each['peak']:.0f} | {each['own']:.0f} |")
    ratios = [a["rate"] / b["rate"] for a, b in zip(found["aid"], found["full"], strict=True)]
    memory = medians["aid"]["own"] / medians["full"]["own"]
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"\nsamples per second, AID over full: {statistics.median(ratios):.2f} ({shown}); memory: {memory:.2f}")


def measure(full: bool, batch: int) -> dict[str, float]:
    """One side: a few steps of training."""
    from showme.threads import settle_threads

    settle_threads()
    import torch

    from showme.methods.aid.config import AIDConfig
    from showme.methods.aid.objective import AIDObjective
    from showme.methods.aid.stage import AIDStage
    from showme.pipelines import load_pipeline, open_bundle

    torch.manual_seed(0)
    pipeline: Any = load_pipeline(open_bundle("embedded"), "cpu", torch.float32, "aid")
    adapters = {"head_dim": 16} | (dict.fromkeys(("spatial", "short_term", "long_term"), False) if full else {})
    config = AIDConfig(
        out="unused", data={"source": ".", "frames": 16}, training={"steps": 1, "batch_size": batch},
        dqformer={"channels": 128, "layers": 2, "heads": 4}, adapters=adapters, unknown="zeros",
        cross_attention={"train": "full" if full else "lora", "rank": 16},
    )  # fmt: skip
    stage = AIDStage(config, pipeline)
    stage.prepare()
    if full:
        pipeline.unet.requires_grad_(True)
    objective: Any = stage.objective()
    assert isinstance(objective, AIDObjective)
    data = batch_of(pipeline, batch)
    pipeline.backbone.release_encoders()
    trained = [each for each in objective.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=5e-5, weight_decay=0.01)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(_STEPS):
        began = time.perf_counter()
        sum(objective(data).values()).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        times.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rate = batch / statistics.median(times[_WARM:])
    return {"rate": rate, "peak": peak / 1024, "own": (peak - before) / 1024, "batch": batch}


def batch_of(pipeline: Any, batch: int) -> dict[str, Any]:
    """Random latents and tokens of the embedded model's shapes."""
    import torch

    config = pipeline.unet.config
    channels, side = config.out_channels, 16
    text, image, _ = pipeline.backbone.widths
    latents = torch.randn(batch, channels, 16, side, side)
    where = torch.zeros(batch, 1, 16, 1, 1)
    where[:, :, 0] = 1
    return {
        "latents": latents, "noise": torch.randn_like(latents), "known": latents * where, "where": where,
        "level": torch.randint(0, 1000, (batch,)), "text": torch.randn(batch, 24, text),
        "null_text": torch.randn(batch, 24, text), "no_text": torch.zeros(batch, dtype=torch.bool),
        "image": torch.randn(batch, 17, image or 128),
    }  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
