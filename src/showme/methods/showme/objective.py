"""ShowMe's two training stages in their plain form (arXiv 2511.17839): what goes in and what is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...losses.noise_prediction import noise_prediction_loss, prediction_target
from ...models import split_image_tokens
from .pipeline import condition_clip

FIRST_FRAMES = 2
LAST_FRAMES = 3


@dataclass(frozen=True)
class ConditionDropout:
    """Probabilities of dropping a condition, disjoint: text alone, image tokens alone, both (5% each in the paper)."""

    text: float = 0.05
    image: float = 0.05
    both: float = 0.05

    def keep_masks(self, batch: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """(keep text, keep image), bool (B,) each."""
        u = torch.rand(batch, generator=generator)
        text_only = u < self.text
        image_only = (u >= self.text) & (u < self.text + self.image)
        both = (u >= self.text + self.image) & (u < self.text + self.image + self.both)
        return ~(text_only | both), ~(image_only | both)


@dataclass(frozen=True)
class Batch:
    """Cached inputs of B clips of T frames.

    latents (B, T, C, h, w), scaled; text (B, L, D) text tokens; null_text (1, L, D), those of the empty sentence;
    image (B, F, N, D_img) encoder tokens of the first F frames; null_image (1, N, D_img), those of a black picture.
    """

    latents: Tensor
    text: Tensor
    null_text: Tensor
    image: Tensor
    null_image: Tensor


def state_image_pair(latents: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor, Tensor]:
    """Stage 1's pair: one of the first two frames and one of the last three, at random per clip.

    Args:
        latents: (B, T, C, h, w).

    Returns:
        first (B, C, 1, h, w), target (B, C, 1, h, w), and the index of the first (B,).
    """
    batch, frames = latents.shape[:2]
    rows = torch.arange(batch)
    start = torch.randint(0, min(FIRST_FRAMES, frames), (batch,), generator=generator)
    end = torch.randint(max(frames - LAST_FRAMES, 0), frames, (batch,), generator=generator)
    return latents[rows, start][:, :, None], latents[rows, end][:, :, None], start


def state_image_loss(unet, projector, scheduler, batch: Batch, dropout, timesteps, generator=None) -> Tensor:
    """Stage 1, state manipulation: L = E || target - f([z*_t; z^0], t, text, image) ||^2 on single frames.

    The temporal half is off. ``timesteps`` is (B,).
    """
    first, target, start = state_image_pair(batch.latents, generator)
    return denoising_loss(
        unet, projector, scheduler, target, first, batch, start, dropout, timesteps, generator, temporal=False
    )


def state_video_loss(unet, projector, scheduler, batch: Batch, dropout, timesteps, generator=None) -> Tensor:
    """Stage 2, state prediction: the same loss over all T frames, beside ``[z^0; zeros]``."""
    latents = batch.latents.transpose(1, 2)
    concat = condition_clip(latents[:, :, :1], latents.shape[2], repeat=False)
    start = torch.zeros(latents.shape[0], dtype=torch.long)
    return denoising_loss(
        unet, projector, scheduler, latents, concat, batch, start, dropout, timesteps, generator, temporal=True
    )


def denoising_loss(
    unet, projector, scheduler, latents, concat, batch, start, dropout, timesteps, generator, temporal
) -> Tensor:
    """Noise ``latents`` (B, C, T, h, w), denoise them beside ``concat``, compare; ``start`` picks the image tokens."""
    rows = torch.arange(latents.shape[0])
    keep_text, keep_image = dropout.keep_masks(len(rows), generator)
    text = torch.where(keep_text.to(latents.device)[:, None, None], batch.text, batch.null_text)
    image = torch.where(keep_image.to(latents.device)[:, None, None], batch.image[rows, start], batch.null_image)
    noise = torch.randn(latents.shape, generator=generator).to(latents)
    noisy = scheduler.add_noise(latents, noise, timesteps)
    tokens = split_image_tokens(projector(image), latents.shape[2])
    prediction = unet(torch.cat([noisy, concat], dim=1), timesteps, text, tokens, temporal=temporal)
    return noise_prediction_loss(prediction, prediction_target(scheduler, latents, noise, timesteps))
