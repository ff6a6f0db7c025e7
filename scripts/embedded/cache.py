"""Stage "cache": what the frozen encoders say of every training clip, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPVisionModel, PreTrainedTokenizerFast

from showme.methods.showme.objective import FIRST_FRAMES

from .frames import load_frames, to_unit
from .settings import Settings

_CLIPS_AT_ONCE = 8


@dataclass(frozen=True)
class Cache:
    """latents (N, T, C, h, w), scaled; image (N, F, tokens, D) of the first F frames; null_image (1, tokens, D);
    ids (N, L) and null_ids (1, L) of the instructions and of the empty sentence."""

    latents: Tensor
    image: Tensor
    null_image: Tensor
    ids: Tensor
    null_ids: Tensor


@torch.no_grad()
def write_cache(folder: Path, settings: Settings, device: torch.device) -> dict:
    """Encode every clip of the training split into ``folder``/cache.safetensors; kept if it exists."""
    path = folder / "cache.safetensors"
    if path.exists():
        return {"clips": len(read_cache(folder).ids)}
    codec = AutoencoderKL.from_pretrained(folder / "codec-model").to(device, memory_format=torch.channels_last)
    image_encoder = CLIPVisionModel.from_pretrained(folder / "image-encoder").to(device)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer")
    frames, instructions = load_frames(folder, "train")
    latents, image = [], []
    for start in track(range(0, len(frames), _CLIPS_AT_ONCE), description="encoding"):
        pixels = to_unit(frames[start : start + _CLIPS_AT_ONCE]).to(device)
        flat = pixels.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            mode = codec.encode(flat).latent_dist.mode()
            tokens = image_encoder(pixels[:, :FIRST_FRAMES].flatten(0, 1)).last_hidden_state
        latents.append((mode * codec.config.scaling_factor).half().unflatten(0, pixels.shape[:2]).cpu())
        image.append(tokens.half().unflatten(0, (-1, FIRST_FRAMES)).cpu())
    # Black in the pipeline's sense: a tensor of zeros in [-1, 1], as the unconditional half of guidance uses it.
    black = torch.zeros(1, 3, settings.size, settings.size, device=device)
    ids = tokenizer([*instructions, ""], padding="max_length", truncation=True, return_tensors="pt").input_ids
    tensors = {
        "latents": torch.cat(latents),
        "image": torch.cat(image),
        "null_image": image_encoder(black).last_hidden_state.half().cpu(),
        "ids": ids[:-1].contiguous(),
        "null_ids": ids[-1:].contiguous(),
    }
    staged = path.with_suffix(".partial")
    save_file(tensors, staged)
    staged.replace(path)
    return {"clips": len(ids) - 1}


def read_cache(folder: Path) -> Cache:
    """What :func:`write_cache` wrote."""
    return Cache(**load_file(folder / "cache.safetensors"))
