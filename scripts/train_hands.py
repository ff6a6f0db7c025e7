"""Train the small networks that find the joints of the tabletop world's hands: render, train, measure, write the asset.

    python scripts/train_hands.py                   # the network that losses look with
    python scripts/train_hands.py --judge           # the one that judges: other seed, width and clips

Measured on scenes of the validation split; the test split is not looked at.
"""

from __future__ import annotations

import json
import math
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
from showme.perception.hands.landmarks import crop, regions_of_joints
from showme.perception.hands.tabletop import (
    JUDGE_WEIGHTS,
    SIDE,
    WEIGHTS,
    TabletopHandLandmarks,
    TabletopHands,
    whole_picture,
)
from showme.training.muon import MuonAdamW
from showme.worlds.render import load_clip, render_dataset
from showme.worlds.tabletop import SPLITS

# A clip's neighbouring frames are nearly the same picture.
_FRAMES_KEPT = (0, 2, 4, 6, 8, 10, 12, 15)
_VALIDATION_CLIPS = 64
_BATCH = 64
_LEARNING_RATE, _MUON_RATE = 2e-3, 0.02
_WEIGHT_DECAY = 1e-2
_WARMUP_SHARE = 0.05
_PRESENCE_WEIGHT = 0.05
# Shares of the squares: near the hand, as large as the picture, and anywhere.
_NEAR, _WHOLE = 0.6, 0.2
# Of the crops, how many are blurred until no hand is left of them.
_MELTED = 0.1
# Shares of the joints in a square above which it holds a hand, and below which it holds none.
_IN, _OUT = 0.6, 0.1
_CPU = torch.device("cpu")


@dataclass
class Views:
    """Pictures uint8 (N, 3, H, W) and joints float32 (N, 21, 2), the middle of the top left pixel being (0, 0)."""

    pictures: Tensor
    joints: Tensor


def main(
    out: Annotated[Path, typer.Option(help="folder for the rendered clips")] = Path("runs/hands"),
    judge: Annotated[bool, typer.Option("--judge", help="train the judging network")] = False,
    asset: Annotated[Path | None, typer.Option(help="where the weights go; by default, the package's")] = None,
    minutes: Annotated[float, typer.Option(help="wall-clock bound of the training")] = 5,
    steps: Annotated[int | None, typer.Option(help="bound in steps, instead of minutes")] = None,
    clips: Annotated[int, typer.Option(help="training clips")] = 800,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
) -> None:
    """Render, train, measure, write."""
    name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    place = asset or (JUDGE_WEIGHTS if judge else WEIGHTS)
    seed = int(judge)
    training = load_views(out / ("train-judge" if judge else "train"), "train", clips, first=clips * seed)
    validation = load_views(out / "validation", "validation", _VALIDATION_CLIPS)
    widths, dilations = ((24, 40, 56), (1, 2)) if judge else ((16, 32, 48), (1, 2, 1))
    torch.manual_seed(seed)
    network = TabletopHandLandmarks(widths, dilations)
    taken = train(network, training, minutes, steps, seed, torch.device(name))
    measured = "; ".join(measure(network, validation))
    print(measured)
    network.to_file(place, trained=f"{clips} clips, {taken} steps of {_BATCH}, seed {seed}", measured=measured)
    print(f"{place}: {place.stat().st_size / 1000:.0f} KB, {sum(p.numel() for p in network.parameters())} parameters")


def load_views(out: Path, split: str, clips: int, first: int = 0) -> Views:
    """The kept frames of a split's clips from the ``first`` on, rendered under ``out`` where they are missing."""
    with Progress() as bar:
        task = bar.add_task(f"rendering {split}", total=clips)
        index = render_dataset(
            out, clips, split, first_seed=SPLITS[split].start + first, labels=False,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    pictures, joints, keep = [], [], list(_FRAMES_KEPT)
    for line in track(index.read_text().splitlines(), description=f"reading {split}"):
        clip = load_clip(out / json.loads(line)["file"])
        pictures.append(clip.frames[keep])
        # The world counts from the corner of the picture.
        joints.append(clip.joints[keep, 0] - 0.5)
    return Views(
        torch.from_numpy(np.concatenate(pictures)).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(np.concatenate(joints)),
    )


def train(
    network: TabletopHandLandmarks, views: Views, minutes: float, steps: int | None, seed: int, device: torch.device
) -> int:
    """Train on the device and bring back to the CPU; -> the steps taken."""
    draw = torch.Generator().manual_seed(seed)
    network.requires_grad_(True).to(device, memory_format=torch.channels_last)
    optimizer = MuonAdamW([network], muon_lr=_MUON_RATE, lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    peaks = [group["lr"] for group in optimizer.param_groups]
    began, step, spent = time.perf_counter(), 0, 0.0
    columns = (TextColumn("training"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns) as bar:
        task = bar.add_task("training", total=1.0, note="")
        while spent < 1:
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * min(spent / _WARMUP_SHARE, 1.0, (1 - spent) / (1 - _WARMUP_SHARE))
            loss = loss_of(network, *(each.to(device) for each in batch_of(views, draw)))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            spent = (time.perf_counter() - began) / (60 * minutes) if steps is None else step / steps
            bar.update(task, completed=spent, note=f"step {step} loss {loss.item():.4f}")
    network.requires_grad_(False).cpu()
    return step


def batch_of(views: Views, draw: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Crops (B, 3, 64, 64), joints (B, 21, 2) in fractions of their sides, presence (B,): 1, 0, or NaN for neither."""
    rows = torch.randint(len(views.pictures), (_BATCH,), generator=draw)
    joints = views.joints[rows]
    pictures = augment(views.pictures[rows].float() / 255, draw)
    squares = drawn_squares(joints, pictures, draw)
    crops, places = crop(pictures, squares, SIDE), within(joints, squares)
    inside = ((places >= 0) & (places <= 1)).all(-1).float().mean(-1)
    presence = torch.where(inside >= _IN, 1.0, torch.where(inside <= _OUT, 0.0, math.nan))
    melted = torch.rand(_BATCH, generator=draw) < _MELTED
    crops = torch.where(melted[:, None, None, None], _melted(crops), crops)
    return crops, places, torch.where(melted, 0.0, presence)


def drawn_squares(joints: Tensor, pictures: Tensor, draw: torch.Generator) -> Tensor:
    """Squares (B, 4): near the hand, as large as the picture, or anywhere."""
    count, height, width = len(joints), *pictures.shape[-2:]

    def uniform(low: float, high: float, columns: int = 1) -> Tensor:
        return low + (high - low) * torch.rand(count, columns, generator=draw)

    true, whole = regions_of_joints(joints), whole_picture(pictures)
    side = true[:, 2:3]
    near = torch.cat(
        [
            true[:, :2] + side * uniform(-0.25, 0.25, 2),
            side * uniform(-0.25, 0.6).exp(),
            true[:, 3:] + uniform(-0.6, 0.6),
        ],
        dim=1,
    )
    large = torch.cat(
        [whole[:, :2] + uniform(-10, 10, 2), width * uniform(0.85, 1.15), uniform(-0.2, 0.2)], dim=1
    )  # fmt: skip
    middles = torch.rand(count, 2, generator=draw) * torch.tensor([width, height])
    anywhere = torch.cat([middles, side * uniform(-0.25, 0.6).exp(), uniform(-math.pi, math.pi)], dim=1)
    u = torch.rand(count, 1, generator=draw)
    return torch.where(u < _NEAR, near, torch.where(u < _NEAR + _WHOLE, large, anywhere))


def within(points: Tensor, squares: Tensor) -> Tensor:
    """Pixels (N, K, 2) -> fractions of squares (N, 4) from their top left corners; ``landmarks.place`` undoes it."""
    x, y = (points - squares[:, None, :2]).unbind(-1)
    cosine, sine = squares[:, 3:].cos(), squares[:, 3:].sin()
    turned = torch.stack([cosine * x + sine * y, cosine * y - sine * x], dim=-1)
    return turned / squares[:, None, 2:3] + 0.5


def loss_of(network: TabletopHandLandmarks, crops: Tensor, places: Tensor, presence: Tensor) -> Tensor:
    """Mean distance of the joints of hands that are there, and the cross entropy of their presence."""
    found, logits = network.read(crops.contiguous(memory_format=torch.channels_last))
    there = presence == 1
    known = ~presence.isnan()
    distance = (found[there] - places[there]).square().sum(-1).add(1e-8).sqrt().mean()
    return distance + _PRESENCE_WEIGHT * F.binary_cross_entropy_with_logits(logits[known], presence[known])


def _melted(crops: Tensor) -> Tensor:
    return F.interpolate(F.avg_pool2d(crops, SIDE // 4), SIDE, mode="bicubic", align_corners=False).clamp(0, 1)


@torch.no_grad()
def measure(network: TabletopHandLandmarks, views: Views) -> list[str]:
    """Sentences: errors of the joints, in pixels, in true squares and of the estimator that is given whole frames."""
    draw = torch.Generator().manual_seed(0)
    pictures = views.pictures.float() / 255
    worse = blurred(pictures, torch.full((len(pictures),), 1.5))
    worse = (worse + 0.03 * torch.randn(worse.shape, generator=draw)).clamp(0, 1)
    squares = regions_of_joints(views.joints)
    sentences = [f"{len(views.pictures)} frames of {_VALIDATION_CLIPS} validation scenes, joints in pixels of 128"]
    for name, seen in (("", pictures), (", blurred and noisy", worse)):
        joints = torch.cat([network(*part).joints for part in zip(seen.split(64), squares.split(64), strict=True)])
        sentences.append(f"true squares{name}: mean error {_mean_error(joints, views.joints):.2f}")
    hands = TabletopHands(network)(views.pictures.permute(0, 2, 3, 1).contiguous())
    found = [bool(hand) for hand in hands]
    joints = torch.from_numpy(np.stack([hand[0].joints[:, :2] for hand in hands if hand]))
    errors = (joints - views.joints[torch.tensor(found)]).norm(dim=-1).mean(-1)
    sentences.append(
        f"whole frames: {np.mean(found):.1%} found, mean error {errors.mean():.2f}, within 3 pixels on average "
        f"{(errors < 3).float().mean():.1%}"
    )
    sentences.append(f"presence right: {_presence(network, views, draw):.1%}")
    return sentences


def _mean_error(found: Tensor, true: Tensor) -> float:
    return float((found - true).norm(dim=-1).mean())


def _presence(network: TabletopHandLandmarks, views: Views, draw: torch.Generator) -> float:
    """The share of squares near and far from the hand in which presence, above a half or not, is right."""
    right = []
    for _ in range(20):
        crops, _, presence = batch_of(views, draw)
        known = ~presence.isnan()
        right.append(((network.read(crops)[1] > 0) == (presence == 1))[known].float())
    return float(torch.cat(right).mean())


if __name__ == "__main__":
    typer.run(main)
