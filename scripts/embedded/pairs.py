"""Stage "pairs": first frames with the ends of several instructions each, so that the words decide what the end is.

A clip costs sixteen pictures and shows one end; here a first frame costs one and each end another. The actions are
balanced within a shard, as far as first frames allow: open, close, cut and cover need things that few tables hold.
"""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor

from showme.threads import usable_cores
from showme.worlds.tabletop import SPLITS, Scene, other_scenes, sample_scene
from showme.worlds.tabletop.actions import FRAMES, plan
from showme.worlds.tabletop.clip import things_of
from showme.worlds.tabletop.renderer import shared_renderer

from .settings import Settings

PAIRS = "pairs"
SHARD = 100


@dataclass(frozen=True)
class Pairs:
    """First frames uint8 (S, 3, H, W); ends (P, 3, H, W), and of each its first frame's row and its instruction."""

    first: Tensor
    end: Tensor
    scene: Tensor
    instructions: Sequence[str]

    def __len__(self) -> int:
        return len(self.end)

    @property
    def pictures(self) -> int:
        """How many pictures there are, S + P."""
        return len(self.first) + len(self.end)

    def picture(self, index: int) -> Tensor:
        """Any of the pictures, first frames before ends."""
        return self.first[index] if index < len(self.first) else self.end[index - len(self.first)]


def load_pairs(folder: Path, settings: Settings) -> Pairs:
    """All shards of a run in memory: 2 GB for 8000 scenes."""
    first, end, scene, instructions = [], [], [], []
    for number in range(shard_count(settings)):
        with safe_open(shard_path(folder, number), "pt") as file:
            first.append(file.get_tensor("first").movedim(-1, 1))
            end.append(file.get_tensor("end").movedim(-1, 1))
            scene.append(file.get_tensor("scene") + number * SHARD)
            instructions += json.loads(file.metadata()["instructions"])
    return Pairs(torch.cat(first), torch.cat(end), torch.cat(scene), instructions)


def shard_count(settings: Settings) -> int:
    """Shards that hold the settings' scenes."""
    return -(-settings.pair_scenes // SHARD)


def render_pairs(folder: Path, settings: Settings) -> int:
    """Render shards of first frames and ends under ``folder``/pairs; those that exist are kept. -> their number."""
    place = folder / PAIRS
    place.mkdir(parents=True, exist_ok=True)
    numbers = range(shard_count(settings))
    missing = [number for number in numbers if not shard_path(folder, number).exists()]
    # Spawned, not forked: an OpenGL context does not survive a fork.
    with ProcessPoolExecutor(usable_cores(), mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = pool.map(_render_shard, [place] * len(missing), missing, [settings.ends_per_scene] * len(missing))
        for _ in track(jobs, description="rendering pairs", total=len(missing)):
            pass
    return len(numbers)


def shard_path(folder: Path, number: int) -> Path:
    """Where the shard of a number is kept."""
    return folder / PAIRS / f"{number:05d}.safetensors"


def _render_shard(place: Path, number: int, ends: int) -> None:
    """Seeds ``number`` x 100 and on -> first uint8 (100, H, W, 3), end uint8 (n, H, W, 3), scene int64 (n,)."""
    first, end, owner, instructions, counts = [], [], [], [], Counter()
    for index, seed in enumerate(range(number * SHARD, (number + 1) * SHARD)):
        scene = sample_scene(SPLITS["train"].start + seed)
        shared_renderer().set_look(scene.look)
        first.append(_picture(scene, 0))
        rng = np.random.default_rng([seed, 1])
        counts[scene.action] += 1
        chosen = [scene]
        for other in islice(other_scenes(scene, rng, counts), ends - 1):
            counts[other.action] += 1
            chosen.append(other)
        end += [_picture(each, FRAMES - 1) for each in chosen]
        owner += [index] * len(chosen)
        instructions += [each.instruction for each in chosen]
    arrays = {"first": np.stack(first), "end": np.stack(end), "scene": np.array(owner)}
    part = place / f"{number:05d}.part"
    save_file(arrays, part, {"instructions": json.dumps(instructions), "actions": json.dumps(counts)})
    part.replace(place / f"{number:05d}.safetensors")


def _picture(scene: Scene, frame: int) -> np.ndarray:
    script = plan(scene)
    return shared_renderer().picture(things_of(scene, script.hand(frame), script.objects(frame)))
