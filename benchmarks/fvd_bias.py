"""What the number of clips alone does to FVD and KVD: features of one distribution, so that every true distance is 0.

python benchmarks/fvd_bias.py
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from showme.evaluation.extrapolation import extrapolate
from showme.evaluation.metrics.frechet import frechet_distance_of
from showme.evaluation.metrics.kvd import kernel_distance

_SIZES = (64, 128, 256, 512, 1024, 2048)
_DIMENSIONS = 400


def main(
    decay: Annotated[float, typer.Option(help="variance of axis k goes as k^-decay; 0: all axes alike")] = 1.0,
    spread: Annotated[float, typer.Option(help="the variances' sum")] = 400.0,
    repeats: Annotated[int, typer.Option(help="draws of both sets")] = 3,
    seed: Annotated[int, typer.Option(help="of the draws")] = 0,
) -> None:
    """Print a table in Markdown: means over the draws, and standard deviations where sets differ."""
    print("| N | FVD, equal sets | FVD, two sets | extrapolated | KVD, equal sets | KVD, two sets |")
    print("|---|---|---|---|---|---|")
    for size in _SIZES:
        draws = [_measure(*_sets(size, decay, spread, seed + n), seed + n) for n in range(repeats)]
        means, deviations = np.mean(draws, axis=0), np.std(draws, axis=0)
        cells = [f"{abs(means[0]):.1e}", *(f"{means[n]:.2f} ± {deviations[n]:.2f}" for n in (1, 2))]
        cells += [f"{means[3]:.4f}", f"{means[4]:.4f} ± {deviations[4]:.4f}"]
        print(f"| {size} | {' | '.join(cells)} |", flush=True)


def _sets(size: int, decay: float, spread: float, seed: int) -> tuple[Tensor, Tensor]:
    variances = np.arange(1, _DIMENSIONS + 1) ** -decay
    scales = np.sqrt(variances * spread / variances.sum())
    features = np.random.default_rng(seed).normal(size=(2, size, _DIMENSIONS)) * scales
    return torch.from_numpy(features[0]), torch.from_numpy(features[1])


def _measure(one: Tensor, other: Tensor, seed: int) -> tuple[float, ...]:
    return (
        float(frechet_distance_of(one, one)),
        float(frechet_distance_of(one, other)),
        extrapolate(frechet_distance_of, one, other, seed=seed).value,
        float(kernel_distance(one, one)),
        float(kernel_distance(one, other)),
    )


if __name__ == "__main__":
    typer.run(main)
