"""Train the instruction classifier of the tabletop world: render clips, train, measure, write the asset.

    python scripts/train_instruction_classifier.py                    # renders what is missing, trains for 6 minutes
    python scripts/train_instruction_classifier.py --steps 900        # by steps: the same seed gives the same weights
    OMP_NUM_THREADS=1 python scripts/train_instruction_classifier.py  # on a busy machine

Of a clip only the frames that the network looks at are drawn, which takes half the time. They are kept at 64x64 in
files of fifty clips; an interrupted run draws the others when it is called again.
Measured on scenes of the validation split; the test split is not looked at.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, track
from safetensors.torch import load_file, save_file
from torch import Tensor

from showme.data.sampling import evenly_spaced
from showme.evaluation.networks.instruction_classifier import (
    CLASSES,
    NOTHING,
    TABLETOP_WEIGHTS,
    InstructionClassifier,
    shrunken,
)
from showme.threads import usable_cores
from showme.worlds.tabletop import SPLITS, Scene, sample_scene
from showme.worlds.tabletop.actions import FRAMES, plan
from showme.worlds.tabletop.clip import things_of
from showme.worlds.tabletop.renderer import shared_renderer

_VALIDATION_CLIPS = 300
_CLIPS_PER_FILE = 50
_BATCH = 32
_LEARNING_RATE = 2e-3
_WEIGHT_DECAY = 1e-2
_WARMUP_SHARE = 0.05
_LABEL_SMOOTHING = 0.05
_STILL_SHARE = 1 / len(CLASSES)
_LOOKED_AT = 8
_FEWEST_FRAMES = 5
_SHIFT = 3
_MIRRORED_SHARE = 0.3
# The number of what an action looks like in a mirror.
_MIRROR = {"push_left": "push_right", "push_right": "push_left"}
_MIRROR_IMAGE = torch.tensor([CLASSES.index(_MIRROR.get(name, name)) for name in CLASSES])


@dataclass
class Clips:
    """Frames uint8 (N, 8, 3, 64, 64) and their actions (N,), numbers in ``CLASSES``."""

    frames: Tensor
    labels: Tensor


def main(
    out: Annotated[Path, typer.Option(help="folder for the rendered clips")] = Path("runs/instruction_classifier"),
    asset: Annotated[Path, typer.Option(help="where the weights go")] = TABLETOP_WEIGHTS,
    minutes: Annotated[float, typer.Option(help="wall-clock bound of the training, without rendering")] = 6,
    steps: Annotated[int | None, typer.Option(help="bound in steps, instead of minutes")] = None,
    clips: Annotated[int, typer.Option(help="training clips")] = 2000,
    processes: Annotated[int | None, typer.Option(help="that render; one per core when left out")] = None,
    seed: Annotated[int, typer.Option(help="of the initial weights and every draw")] = 0,
) -> None:
    """Render, train, measure, write."""
    validation = load_clips(out, "validation", _VALIDATION_CLIPS, processes)
    training = load_clips(out, "train", clips, processes)
    network, taken = train(training, minutes, steps, seed)
    trained = f"{clips} clips, {taken} steps of {_BATCH}, seed {seed}"
    network.to_file(asset, 0.0, trained=trained)
    # Measured as it will be loaded: in the precision of the file.
    network = InstructionClassifier.from_assets(asset)
    confusion = confusions(network, validation)
    accuracy = int(confusion.diag().sum()) / int(confusion.sum())
    print(table(confusion))
    still = Clips(validation.frames[:, :1].expand_as(validation.frames), validation.labels)
    named = confusions(network, still)[:, CLASSES.index(NOTHING)].sum() / len(still.labels)
    print(f"accuracy {accuracy:.4f} on {len(validation.labels)} validation scenes; still clips named so: {named:.4f}")
    measured = f"{len(validation.labels)} validation scenes: accuracy {accuracy:.4f}, of still clips {named:.4f}"
    network.to_file(asset, accuracy, trained=trained, measured=measured)
    print(f"{asset}: {asset.stat().st_size / 1000:.0f} KB, {sum(p.numel() for p in network.parameters())} parameters")


def load_clips(out: Path, split: str, clips: int, processes: int | None) -> Clips:
    """A split's first clips, rendered under ``out`` where they are missing."""
    files = -(-clips // _CLIPS_PER_FILE)
    paths = [out / f"{split}-{index:04d}.safetensors" for index in range(files)]
    missing = [index for index, path in enumerate(paths) if not path.exists()]
    out.mkdir(parents=True, exist_ok=True)
    # Spawned, not forked: an OpenGL context does not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes or usable_cores(), len(missing) or 1), mp_context=context) as pool:
        jobs = pool.map(partial(render_file, out, split), missing)
        for _ in track(jobs, description=f"rendering {split}", total=len(missing)):
            pass
    parts = [load_file(path) for path in paths]
    return Clips(*(torch.cat([part[name] for part in parts])[:clips] for name in ("frames", "labels")))


def render_file(out: Path, split: str, index: int) -> None:
    """Render and shrink the clips of one file."""
    torch.set_num_threads(1)
    frames, labels = [], []
    start = SPLITS[split].start + index * _CLIPS_PER_FILE
    for seed in range(start, start + _CLIPS_PER_FILE):
        scene = sample_scene(seed, split)
        pixels = torch.from_numpy(draw_scene(scene)).permute(0, 3, 1, 2).float()
        frames.append(shrunken(pixels[None])[0].round().byte())
        labels.append(CLASSES.index(scene.action))
    path = out / f"{split}-{index:04d}.safetensors"
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    save_file({"frames": torch.stack(frames).contiguous(), "labels": torch.tensor(labels)}, part)
    part.replace(path)


def draw_scene(scene: Scene) -> np.ndarray:
    """The frames of a scene that the network looks at, uint8 (8, 128, 128, 3)."""
    script, renderer = plan(scene), shared_renderer()
    renderer.set_look(scene.look)
    pictures = []
    for frame in evenly_spaced(FRAMES, _LOOKED_AT):
        pictures.append(renderer.picture(things_of(scene, script.hand(frame), script.objects(frame))))
    return np.stack(pictures)


def train(clips: Clips, minutes: float, steps: int | None, seed: int) -> tuple[InstructionClassifier, int]:
    """The trained network, and the number of steps taken."""
    torch.manual_seed(seed)
    draw = torch.Generator().manual_seed(seed)
    # On a CPU, three quarters of the other layout's time.
    network = InstructionClassifier(frames=_LOOKED_AT).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    began, step, spent, recent = time.perf_counter(), 0, 0.0, None
    columns = (TextColumn("training"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[note]}"))
    order = torch.randperm(len(clips.labels), generator=draw)
    with Progress(*columns) as bar:
        task = bar.add_task("training", total=1.0, note="")
        while spent < 1:
            for group in optimizer.param_groups:
                group["lr"] = _LEARNING_RATE * min(spent / _WARMUP_SHARE, (1 - spent) / (1 - _WARMUP_SHARE), 1.0)
            if len(order) < _BATCH:
                order = torch.cat([order, torch.randperm(len(clips.labels), generator=draw)])
            rows, order = order[:_BATCH], order[_BATCH:]
            frames, labels = augment(clips.frames[rows].float() / 255, clips.labels[rows], draw)
            loss = F.cross_entropy(network.classify(frames), labels, label_smoothing=_LABEL_SMOOTHING)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            spent = (time.perf_counter() - began) / (60 * minutes) if steps is None else step / steps
            recent = loss.item() if recent is None else recent + 0.05 * (loss.item() - recent)
            bar.update(task, completed=spent, note=f"step {step} loss {recent:.4f}")
    return network.requires_grad_(False).eval(), step


def augment(frames: Tensor, labels: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Clips as models may make them: fewer frames, other colours, blur, noise; some are mirrored, some stand still.

    Args:
        frames: (B, T, 3, 64, 64) in [0, 1].
        labels: (B,).
        draw: everything random comes from it.

    Returns:
        Frames of the same shape, and the labels: left and right swapped in the mirror, ``nothing`` where a clip stands
        still.
    """
    clips, length = frames.shape[:2]

    def uniform(low: float, high: float, *more: int) -> Tensor:
        return low + (high - low) * torch.rand(clips, *(more or (1, 1, 1, 1)), generator=draw)

    mirrored = torch.rand(clips, generator=draw) < _MIRRORED_SHARE
    frames = torch.where(mirrored[:, None, None, None, None], frames.flip(-1), frames)
    labels = torch.where(mirrored, _MIRROR_IMAGE[labels], labels)
    kept = torch.randint(_FEWEST_FRAMES, length + 1, (clips,), generator=draw)
    kept = torch.where(torch.rand(clips, generator=draw) < 0.5, length, kept).tolist()
    places = torch.tensor([[evenly_spaced(length, n)[i] for i in evenly_spaced(n, length)] for n in kept])
    still = torch.rand(clips, generator=draw) < _STILL_SHARE
    places = torch.where(still[:, None], torch.randint(0, length, (clips, 1), generator=draw), places)
    labels = torch.where(still, CLASSES.index(NOTHING), labels)
    x = frames[torch.arange(clips)[:, None], places]
    x = x.clamp(min=1e-3) ** uniform(0.7, 1.4)
    x = (x - 0.5) * uniform(0.7, 1.2) + 0.5 + uniform(-0.1, 0.1, 1, 3, 1, 1)
    # Frames after the first are blurred more: models are given the first.
    blur = uniform(0, 1) * torch.cat([(uniform(0, 1) < 0.5).float(), torch.ones(clips, length - 1, 1, 1, 1)], 1)
    x = torch.lerp(x, blurred(x), blur)
    shifts = torch.randint(-_SHIFT, _SHIFT + 1, (clips, 2), generator=draw).tolist()
    x = torch.stack([clip.roll(shift, (-2, -1)) for clip, shift in zip(x, shifts, strict=True)])
    x = x + uniform(-0.02, 0.02, length, 1, 1, 1)
    return (x + uniform(0, 0.03) * torch.randn(x.shape, generator=draw)).clamp(0, 1), labels


def blurred(frames: Tensor) -> Tensor:
    """Means over 3x3 pixels, twice; borders repeat."""
    x = frames.flatten(0, 1)
    for _ in range(2):
        x = F.avg_pool2d(F.pad(x, (1,) * 4, mode="replicate"), 3, stride=1)
    return x.view_as(frames)


@torch.no_grad()
def confusions(network: InstructionClassifier, clips: Clips) -> Tensor:
    """(14, 14) counts: true action by the one that is seen."""
    seen = torch.cat([network.classify(part.float() / 255).argmax(1) for part in clips.frames.split(_BATCH)])
    counts = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.long)
    return counts.index_put_((clips.labels, seen), torch.ones_like(seen), accumulate=True)


def table(confusion: Tensor) -> str:
    """The confusion matrix in text: rows are true, columns seen, in the order of the rows."""
    rows = (
        f"{name:>12} " + " ".join(f"{n:4d}" if n else "   ." for n in counts)
        for name, counts in zip(CLASSES, confusion.tolist(), strict=True)
    )
    return "\n".join(rows)


if __name__ == "__main__":
    typer.run(main)
