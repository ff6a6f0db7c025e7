"""What IVG needs of every clip beside what every method does: its region, true or predicted, and the mask video."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...data.cache import Part, PartReader
from ...data.cache.parts import SHARD_ROWS
from ...data.clips import Look
from ...data.rows import ClipRows
from ...errors import InputError
from ...fingerprint import code_digest, weights_digest
from ...preparation.labels import HANDS, JOINTS, label_parts
from ..cached import ClipEncoder, code_of
from . import pipeline as pipeline_module
from . import regions as regions_module
from .config import IVGConfig

_SHOWN = 3


def true_regions(rows: ClipRows, config: IVGConfig) -> Part:
    """``region`` bool (H, W) and ``regions`` bool (T, H, W) of the hands: read from the labels, or found.

    Raises:
        InputError: labels that lack some of the clips, or an estimator that cannot be had.
    """
    (part,) = label_parts(rows, ["region"], config.estimators)
    if config.labels is None:
        return part
    reader = PartReader(_whole(part, rows, config.labels), len(rows))

    def encode(numbers: Sequence[int]) -> dict[str, Tensor]:
        read = [reader[number] for number in numbers]
        return {name: torch.stack([row[name] for row in read]) for name in read[0]}

    return Part(part.name, part.fingerprint, part.identities, encode, chunk=1)


def _whole(part: Part, rows: ClipRows, labels: Path) -> list[Path]:
    """The label's files, where all are there.

    Raises:
        InputError: names the first clips that have no region.
    """
    files = part.shard_files(labels)
    lacking = [number for number, file in enumerate(files) if not file.is_file()]
    if lacking:
        names = [rows.record(row).id for row in range(lacking[0] * SHARD_ROWS, len(rows))][:_SHOWN]
        raise InputError(
            f"labels {labels} has no region of all clips as this run sees them ({', '.join(map(repr, names))} first): "
            "run `showme data annotate` with labels=[region], the same source, look and estimators, and that out."
        )
    return files


class RegionEncoder(ClipEncoder):
    """Rows of clips -> latents of the video whose first frame is the photo and whose others are masks.

    Args:
        backbone, rows: as there.
        truth: the part of true regions.
        target: ``union`` or ``frames``.
    """

    def __init__(self, backbone: Any, rows: ClipRows, truth: Part, target: str):
        super().__init__(backbone, rows)
        self.truth, self.target = truth, target

    @torch.no_grad()
    def __call__(self, numbers: Sequence[int]) -> dict[str, Tensor]:
        found = self.truth.encode(numbers)
        photo = self.pixels(numbers, slice(1))
        masks = found["regions"][:, 1:].to(photo)
        count = masks.shape[1]
        if self.target == "union":
            # Equal masks have equal latents where each frame has its own: one is encoded, and stands for all.
            alone = self.backbone.facts.time == 1
            masks = found["region"][:, None].to(photo).expand(-1, 1 if alone else count, -1, -1)
        clip = torch.cat([photo, masks[:, :, None].expand(-1, -1, 3, -1, -1)], dim=1)
        with self.autocast():
            latents = self.backbone.encode(self.view(clip.flatten(0, 1)).unflatten(0, clip.shape[:2]))
        if masks.shape[1] < count:
            latents = torch.cat([latents[:, :, :1], latents[:, :, 1:].expand(-1, -1, count, -1, -1)], dim=2)
        return {"region_latents": latents.half().transpose(1, 2).contiguous()}


def mask_video(backbone: Any, rows: ClipRows, truth: Part, target: str) -> Part:
    """``region_latents`` (T', C, h, w)."""
    code = code_digest((sys.modules[__name__], *code_of(backbone)))
    fingerprint = truth.fingerprint | {
        "codec": weights_digest(backbone.encoders["latents"]),
        "target": target,
        "code of the mask video": code,
    }
    return Part("region_latents", fingerprint, rows.identities, RegionEncoder(backbone, rows, truth, target), chunk=1)


def predicted_regions(pipeline: Any, rows: ClipRows, config: IVGConfig) -> Part:
    """``region`` bool (H, W), as the model's first stage finds it from the first frame and the instruction.

    Raises:
        InputError: the model has no first stage.
    """
    if not pipeline.finds_region:
        raise InputError(
            f"region is predicted, but {config.model} was not trained to find one: train the stage region first, or "
            "choose region=truth, prior or white."
        )

    pipeline.set_progress_bar_config(disable=True)

    @torch.no_grad()
    def encode(numbers: Sequence[int]) -> dict[str, Tensor]:
        (number,) = numbers
        photo = rows.pixels(numbers, slice(1))[:, 0]
        output = pipeline(
            photo, rows.record(number).instruction, "region", num_frames=config.data.frames, seed=config.training.seed,
            output_type="pt",
        )  # fmt: skip
        return {"region": output.region[None]}

    fingerprint = rows.fingerprint | {
        "networks": {name: weights_digest(network) for name, network in pipeline.backbone.networks.items()},
        "encoders": {name: weights_digest(network) for name, network in pipeline.backbone.encoders.items()},
        "settings": {name: str(value) for name, value in sorted(pipeline.config.items()) if not name.startswith("_")},
        "clean up": asdict(pipeline.clean_up),
        "seed": config.training.seed,
        "code of the region": code_digest((regions_module, pipeline_module)),
    }
    return Part("predicted_region", fingerprint, rows.identities, encode, chunk=1, alone=True)


def blank_regions(look: Look, latents: Tensor, config: IVGConfig) -> dict[str, Tensor]:
    """What a stage's parts keep of one clip beside its latents (T', C, h, w) and tokens, in zeros; of the region one
    pixel is in, as of a clip in which something moves."""
    size, region = (look.height, look.width), torch.zeros(look.height, look.width, dtype=torch.bool)
    region[0, 0] = True
    if config.stage == "region":
        masks = torch.zeros(look.frames, *size, dtype=torch.bool)
        return {"region": region, "regions": masks, "region_latents": torch.zeros_like(latents)}
    blank = {} if config.region == "white" else {"region": region}
    if config.hands.estimator is not None:
        blank["joints"] = torch.zeros(look.frames, HANDS, JOINTS, 3)
    return blank
