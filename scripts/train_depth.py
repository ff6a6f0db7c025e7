"""Train the estimator for depth on the tabletop world: render clips with their depth, train, measure, write the asset.

    python scripts/train_depth.py                       # renders what is missing, then trains for 4 minutes
    python scripts/train_depth.py --steps 1200          # by steps: the same seed gives the same weights
    OMP_NUM_THREADS=1 python scripts/train_depth.py     # on a busy machine, where threads wait for each other

Measured on scenes of the validation split; the test split is not looked at.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, track
from torch import Tensor

from augmentation import augment, blurred
from showme.perception.depth import TABLETOP_WEIGHTS, TabletopDepth
from showme.worlds.render import load_clip, render_dataset

# A clip's neighbouring frames are nearly the same picture.
_FRAMES_KEPT = (0, 5, 10, 15)
_VALIDATION_CLIPS = 64
_BATCH = 16
_LEARNING_RATE = 4e-3
_WEIGHT_DECAY = 1e-2
_WARMUP_SHARE = 0.05
_GRADIENT_SCALES = 4
_GRADIENT_WEIGHT = 0.5
_CPU = torch.device("cpu")


@dataclass
class Views:
    """Pictures uint8 (N, 3, H, W) and their disparity float32 (N, 1, H, W) in 1/metre."""

    pictures: Tensor
    disparity: Tensor

    def batch(self, rows: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """The rows' pictures in [0, 1] and their disparity."""
        return self.pictures[rows].to(device).float() / 255, self.disparity[rows].to(device)


def main(
    out: Annotated[Path, typer.Option(help="folder for the rendered clips")] = Path("runs/depth"),
    asset: Annotated[Path, typer.Option(help="where the weights go")] = TABLETOP_WEIGHTS,
    minutes: Annotated[float, typer.Option(help="wall-clock bound of the training")] = 4,
    steps: Annotated[int | None, typer.Option(help="bound in steps, instead of minutes")] = None,
    clips: Annotated[int, typer.Option(help="training clips")] = 600,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    seed: Annotated[int, typer.Option(help="of the initial weights and every draw")] = 0,
) -> None:
    """Render, train, measure, write."""
    name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    training = load_views(out, "train", clips)
    validation = load_views(out, "validation", _VALIDATION_CLIPS)
    network, taken = train(training, minutes, steps, seed, torch.device(name))
    baseline = min_max(training.disparity).mean(0, keepdim=True)
    figures = {
        "network": score(network, validation),
        "network, blurred and noisy pictures": score(network, validation, worsened=True),
        "mean disparity map of the training set": score(lambda x: baseline.expand(len(x), -1, -1, -1), validation),
    }
    for label, (error, correlation) in figures.items():
        print(f"{label}: mean absolute error {error:.4f}, correlation {correlation:.4f}")
    error, correlation = figures["network"]
    measured = f"{_VALIDATION_CLIPS} validation scenes: mean absolute error {error:.4f}, correlation {correlation:.4f}"
    network.to_file(asset, trained=f"{clips} clips, {taken} steps of {_BATCH}, seed {seed}", measured=measured)
    print(f"{asset}: {asset.stat().st_size / 1000:.0f} KB, {sum(p.numel() for p in network.parameters())} parameters")


def load_views(out: Path, split: str, clips: int) -> Views:
    """The kept frames of a split's first clips, rendered under ``out`` where they are missing."""
    with Progress() as bar:
        task = bar.add_task(f"rendering {split}", total=clips)
        index = render_dataset(
            out / split, clips, split, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    pictures, disparity = [], []
    keep = list(_FRAMES_KEPT)
    for line in track(index.read_text().splitlines(), description=f"reading {split}"):
        clip = load_clip(index.parent / json.loads(line)["file"])
        pictures.append(clip.frames[keep])
        disparity.append(1 / clip.depth[keep])
    return Views(
        torch.from_numpy(np.concatenate(pictures)).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(np.concatenate(disparity))[:, None],
    )


def train(
    views: Views, minutes: float, steps: int | None, seed: int, device: torch.device
) -> tuple[TabletopDepth, int]:
    """The trained network on the CPU, and the number of steps taken."""
    torch.manual_seed(seed)
    draw = torch.Generator().manual_seed(seed)
    network = TabletopDepth().requires_grad_(True).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    began, step, spent = time.perf_counter(), 0, 0.0
    columns = (TextColumn("training"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns) as bar:
        task = bar.add_task("training", total=1.0, note="")
        while spent < 1:
            for group in optimizer.param_groups:
                group["lr"] = _LEARNING_RATE * min(spent / _WARMUP_SHARE, 1.0, (1 - spent) / (1 - _WARMUP_SHARE))
            pictures, disparity = views.batch(torch.randint(len(views.pictures), (_BATCH,), generator=draw), device)
            if torch.rand((), generator=draw) < 0.5:
                pictures, disparity = pictures.flip(-1), disparity.flip(-1)
            with torch.autocast(device.type, torch.bfloat16):
                seen = network(augment(pictures, draw))
            loss = disparity_loss(seen.float(), disparity)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            spent = (time.perf_counter() - began) / (60 * minutes) if steps is None else step / steps
            bar.update(task, completed=spent, note=f"step {step} loss {loss.item():.4f}")
    network.requires_grad_(False).cpu()
    scale_to_metres(network, views)
    return network, step


@torch.no_grad()
def scale_to_metres(network: TabletopDepth, views: Views) -> None:
    """Give the last layer the one scale and shift that bring its answers closest to 1/metre.

    The loss leaves both free, and they wander far beyond what half precision resolves.
    """
    rows = torch.arange(0, len(views.pictures), 10)
    pairs = [(network(pictures), true) for pictures, true in (views.batch(r, _CPU) for r in rows.split(_BATCH))]
    seen, true = (torch.cat(side).flatten().double() for side in zip(*pairs, strict=True))
    (variance, covariance), _ = torch.cov(torch.stack([seen, true])).tolist()
    scale = covariance / variance
    last = network.leave[-1]
    last.weight.mul_(scale)
    last.bias.mul_(scale).add_(true.mean() - scale * seen.mean())


def disparity_loss(seen: Tensor, true: Tensor) -> Tensor:
    """MiDaS' scale- and shift-invariant loss with its gradient matching term (arXiv 1907.01341, eqs. 6, 7 and 11).

    R = n(seen) - n(true); L = mean |R| + w sum over scales of mean (|dR/dx| + |dR/dy|), with (N, 1, H, W) disparities.
    """
    difference = normalised(seen) - normalised(true)
    loss = difference.abs().mean()
    for scale in range(_GRADIENT_SCALES):
        coarse = difference[..., :: 2**scale, :: 2**scale]
        slopes = coarse.diff(dim=-1).abs().mean() + coarse.diff(dim=-2).abs().mean()
        loss = loss + _GRADIENT_WEIGHT * slopes
    return loss


def normalised(disparity: Tensor) -> Tensor:
    """n(d) = (d - median d) / mean |d - median d| of each picture (eq. 5)."""
    flat = disparity.flatten(1)
    centred = flat - flat.median(1, keepdim=True).values
    return (centred / centred.abs().mean(1, keepdim=True).clamp(min=1e-6)).view_as(disparity)


@torch.no_grad()
def score(see, views: Views, worsened: bool = False) -> tuple[float, float]:
    """Mean absolute error of min-max normalised disparity, and correlation with the true one, averaged over pictures.

    Args:
        see: pictures (N, 3, H, W) -> disparity (N, 1, H, W).
        views: what is looked at.
        worsened: look at the pictures blurred by 1.5 pixels, with noise of 0.03.
    """
    draw = torch.Generator().manual_seed(0)
    errors, correlations = [], []
    for rows in torch.arange(len(views.pictures)).split(_BATCH):
        pictures, true = views.batch(rows, _CPU)
        if worsened:
            pictures = blurred(pictures, torch.full((len(rows),), 1.5))
            pictures = (pictures + 0.03 * torch.randn(pictures.shape, generator=draw)).clamp(0, 1)
        seen = see(pictures)
        errors.append((min_max(seen) - min_max(true)).abs().flatten(1).mean(1))
        pair = [(x - x.mean(1, keepdim=True)) for x in (seen.flatten(1), true.flatten(1))]
        correlations.append(F.cosine_similarity(*pair))
    return float(torch.cat(errors).mean()), float(torch.cat(correlations).mean())


def min_max(disparity: Tensor) -> Tensor:
    """0 at the farthest, 1 at the nearest pixel of each picture (N, 1, H, W)."""
    low, high = disparity.amin((1, 2, 3), keepdim=True), disparity.amax((1, 2, 3), keepdim=True)
    return (disparity - low) / (high - low)


if __name__ == "__main__":
    typer.run(main)
