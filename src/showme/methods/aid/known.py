"""The first K frames of a clip as a condition, and what stands for those that are not known."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...backbones.base import Backbone
from ...data.cache import Part
from ...data.rows import ClipRows
from ...errors import InputError
from ...fingerprint import code_digest, weights_digest
from ..cached import ClipEncoder, code_of


def known_slots(backbone: Backbone, references: int) -> int:
    """Slots that K known frames fill.

    Raises:
        InputError: the backbone keeps several frames in a slot, and K does not fill the last.
    """
    try:
        return backbone.facts.slots(references)
    except InputError as error:
        raise InputError(f"references: {error}") from error


def blanked(known: Tensor, where: Tensor, grey: Tensor | None) -> Tensor:
    """Known latents (..., C, T', h, w) with grey where nothing is known; None leaves zeros there.

    Args:
        known: with zeros at unknown slots.
        where: 1 at known slots, 0 elsewhere.
        grey: the latent of a grey picture (C, 1, h, w), for every slot, or of a grey clip (C, T', h, w).
    """
    return known if grey is None else known + (1 - where) * grey.to(known)


@torch.no_grad()
def grey_latent(backbone: Backbone, height: int, width: int, frames: int) -> Tensor:
    """What stands for unknown frames: the latent (1, C, 1, h, w) of a grey picture, or, where known frames are encoded
    with what lies between, (1, C, T', h, w) of a grey clip."""
    count = frames if backbone.knows_frames else 1
    return backbone.encode(torch.zeros(1, count, 3, height, width, device=backbone.device, dtype=backbone.dtype))


def references_part(backbone: Any, rows: ClipRows, references: int) -> Part:
    """``references`` (T', C, h, w) in half precision: the first K frames among grey ones, encoded together."""
    encoder, count = ClipEncoder(backbone, rows), rows.look.frames
    fingerprint = rows.fingerprint | {
        "codec": weights_digest(backbone.encoders["latents"]),
        "frames": f"the first {references}",
        "code of the references": code_digest((sys.modules[__name__], *code_of(backbone))),
    }

    @torch.no_grad()
    def encode(numbers: Sequence[int]) -> dict[str, Tensor]:
        pixels = encoder.pixels(numbers, slice(references))
        pixels = encoder.view(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])
        with encoder.autocast():
            known = backbone.known_frames(pixels, range(references), count).latents
        return {"references": known.half().transpose(1, 2).contiguous()}

    return Part("references", fingerprint, rows.identities, encode)
