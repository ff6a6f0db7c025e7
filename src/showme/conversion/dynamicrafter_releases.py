"""The three published sizes of DynamiCrafter: what each was trained and is sampled with, and how to tell them apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from ..errors import ConversionError, InputError
from ..models.schedulers import DynamicRescaleDDIMScheduler


@dataclass(frozen=True)
class Release:
    """What a published size was trained and is sampled with (spec/showme.md, section 11); none of it is in the weights.

    height, width: of its pictures.
    default_scalar: frame stride (256) or frames per second (512, 1024).
    guidance_rescale: phi of arXiv 2305.08891.
    rescale_base: of the dynamic rescale; None: eps-prediction without it, else v-prediction with zero terminal SNR.
    """

    height: int
    width: int
    default_scalar: int
    guidance_rescale: float
    rescale_base: float | None


RELEASES = {
    256: Release(256, 256, default_scalar=3, guidance_rescale=0.0, rescale_base=None),
    512: Release(320, 512, default_scalar=24, guidance_rescale=0.7, rescale_base=0.7),
    1024: Release(576, 1024, default_scalar=10, guidance_rescale=0.7, rescale_base=0.3),
}


def choose_size(weights: Mapping[str, Tensor], asked: int | None = None) -> int:
    """The published size that the weights are of.

    256 alone scales its image cross-attention by a learned alpha. 512 and 1024 have equal shapes, but ``scale_arr``,
    where the file has kept it, ends at the dynamic rescale's base, 0.7 or 0.3.

    Raises:
        InputError: ``asked`` is none of the sizes or contradicts the weights, or is needed and missing.
    """
    if asked is not None and asked not in RELEASES:
        raise InputError(f"There is no DynamiCrafter of size {asked}: choose 256, 512 or 1024.")
    if any(key.endswith(".attn2.alpha") for key in weights):
        possible = [256]
    elif "scale_arr" in weights:
        base = float(weights["scale_arr"][-1])
        bases = {size: release.rescale_base for size, release in RELEASES.items() if release.rescale_base is not None}
        possible = [size for size, known in bases.items() if math.isclose(base, known, abs_tol=1e-3)]
    else:
        possible = [512, 1024]
    if asked is None and len(possible) == 1:
        return possible[0]
    if asked is None:
        raise InputError("The weights do not show whether they are DynamiCrafter-512 or -1024: give the size.")
    if asked not in possible:
        found = " or ".join(map(str, possible)) or "of no published size"
        raise InputError(f"The weights are not DynamiCrafter-{asked}'s but {found}: give that size or none.")
    return asked


def make_scheduler(rescale_base: float | None) -> DDIMScheduler:
    """The sampler of a size: 256's (eps, leading) without a ``rescale_base``, 512's and 1024's (v, trailing) with."""
    common = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
    }
    if rescale_base is None:
        return DDIMScheduler(**common, prediction_type="epsilon", timestep_spacing="leading")
    return DynamicRescaleDDIMScheduler(
        **common,
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
        rescale_base=rescale_base,
    )


def check_schedule(weights: Mapping[str, Tensor], scheduler: DDIMScheduler) -> None:
    """See that the noise schedule which the checkpoint was trained with, where it has kept it, is the scheduler's.

    Raises:
        ConversionError: it is another.
    """
    kept = weights.get("alphas_cumprod")
    ours = scheduler.alphas_cumprod
    if kept is None:
        return
    if kept.shape != ours.shape or not torch.allclose(kept.float(), ours, atol=1e-4):
        raise ConversionError("alphas_cumprod is not the published size's noise schedule: check the size.")
