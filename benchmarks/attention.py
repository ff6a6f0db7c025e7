"""Attention with few keys in bf16 on a CPU: torch's fused kernel against the plain products that training uses there.

python benchmarks/attention.py --threads 2
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor

from showme.models.dot_product import dot_product_attention

# (batch, heads, queries, keys): self and cross attention of 64 frames, and attention over 8 frames at 512 places.
_SHAPES = [(64, 4, 64, 64), (64, 4, 64, 24), (64, 6, 16, 16), (512, 4, 8, 8)]
_HEAD_DIM = 32


def main(
    threads: Annotated[int, typer.Option(help="CPU threads")] = 2,
    repeats: Annotated[int, typer.Option(help="timed calls of each form, taken in turn")] = 9,
) -> None:
    """Print JSON: milliseconds forward and backward (median) per shape and form, and their ratio."""
    torch.set_num_threads(threads)
    report = {}
    for shape in _SHAPES:
        batch, heads, queries, keys = shape
        q, k, v = (
            torch.randn(batch, n, heads, _HEAD_DIM, dtype=torch.bfloat16).transpose(1, 2).requires_grad_()
            for n in (queries, keys, keys)
        )
        forms = {"fused": F.scaled_dot_product_attention, "plain": dot_product_attention}
        times: dict[str, list[float]] = {name: [] for name in forms}
        for round_number in range(repeats + 1):
            for name, form in forms.items():
                seconds = _seconds(form, q, k, v)
                if round_number:  # the first round warms caches up
                    times[name].append(1000 * seconds)
        medians = {name: round(statistics.median(t), 2) for name, t in times.items()}
        report["x".join(map(str, shape))] = {**medians, "ratio": round(medians["fused"] / medians["plain"], 1)}
    print(json.dumps(report, indent=2))


def _seconds(form: Callable[[Tensor, Tensor, Tensor], Tensor], q: Tensor, k: Tensor, v: Tensor) -> float:
    start = time.perf_counter()
    form(q, k, v).sum().backward()
    return time.perf_counter() - start


if __name__ == "__main__":
    typer.run(main)
