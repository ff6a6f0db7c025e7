"""What the frozen codec and image encoder say of the pairs' pictures, with the instructions as ids."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from rich.progress import track
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from showme.methods.showme import ShowMePipeline

from .frames import to_unit
from .pairs import SHARD, shard_count, shard_path
from .settings import Settings

ENCODED = "pairs-encoded"
_PICTURES = 32


class EncodedPairs:
    """Pair -> ``first`` and ``end`` latents (C, h, w), ``image`` tokens (N, D), ``ids`` (L,), in half precision.

    Args:
        folder: of the run, whose shards are encoded.
        settings: how many first frames there are, and how many ends of each count.
        null_image, null_ids: conditions that stand for none.
    """

    def __init__(self, folder: Path, settings: Settings, null_image: Tensor, null_ids: Tensor):
        shards = [load_file(encoded_path(folder, number)) for number in range(shard_count(settings))]
        self.first, self.image, self.end, self.ids = (
            torch.cat([shard[name] for shard in shards]) for name in ("first", "image", "end", "ids")
        )
        self.scene = torch.cat([shard["scene"] + SHARD * number for number, shard in enumerate(shards)])
        self.chosen = _first_of_each(self.scene, settings.ends_per_scene)
        self.null_image, self.null_ids = null_image, null_ids
        if not settings.words:
            self.ids = null_ids.expand_as(self.ids)

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, place: int) -> dict[str, Tensor]:
        pair = int(self.chosen[place])
        scene = int(self.scene[pair])
        return {
            "first": self.first[scene],
            "end": self.end[pair],
            "image": self.image[scene],
            "ids": self.ids[pair],
            "null_image": self.null_image,
            "null_ids": self.null_ids,
        }


def _first_of_each(scene: Tensor, count: int) -> Tensor:
    """Places of the first ``count`` pairs of every scene; pairs of one scene stand together."""
    places = torch.arange(len(scene))
    begins = torch.cat([torch.ones(1, dtype=torch.bool), scene[1:] != scene[:-1]])
    first = torch.cummax(torch.where(begins, places, 0), 0).values
    return places[places - first < count]


def encoded_path(folder: Path, number: int) -> Path:
    """Where what was said of a shard is kept."""
    return folder / ENCODED / f"{number:05d}.safetensors"


def encode_pairs(folder: Path, settings: Settings, pipeline: ShowMePipeline) -> int:
    """Encode the shards under ``folder``/pairs; those that are encoded are kept. -> their number."""
    (folder / ENCODED).mkdir(exist_ok=True)
    numbers = range(shard_count(settings))
    for number in track([n for n in numbers if not encoded_path(folder, n).exists()], description="encoding pairs"):
        part = encoded_path(folder, number).with_suffix(".part")
        save_file(_encoded(shard_path(folder, number), pipeline), part)
        part.replace(encoded_path(folder, number))
    return len(numbers)


@torch.no_grad()
def _encoded(shard: Path, pipeline: ShowMePipeline) -> dict[str, Tensor]:
    with safe_open(shard, "pt") as file:
        first, end, scene = (file.get_tensor(name) for name in ("first", "end", "scene"))
        instructions = json.loads(file.metadata()["instructions"])
    tokenizer: PreTrainedTokenizerFast = pipeline.tokenizer
    return {
        "first": _each(first, pipeline, pipeline.backbone.encode_pictures),
        "image": _each(first, pipeline, pipeline.backbone.encode_image),
        "end": _each(end, pipeline, pipeline.backbone.encode_pictures),
        "ids": tokenizer(instructions, padding="max_length", truncation=True, return_tensors="pt").input_ids,
        "scene": scene,
    }


def _each(pictures: Tensor, pipeline: ShowMePipeline, encode: Callable[[Tensor], Tensor]) -> Tensor:
    with torch.autocast(pipeline.device.type, torch.bfloat16):
        parts = [encode(_view(part, pipeline)) for part in pictures.split(_PICTURES)]
    return torch.cat(parts).half().cpu().contiguous()


def _view(pictures: Tensor, pipeline: ShowMePipeline) -> Tensor:
    return to_unit(pictures.permute(0, 3, 1, 2)).to(pipeline.device, memory_format=torch.channels_last)
