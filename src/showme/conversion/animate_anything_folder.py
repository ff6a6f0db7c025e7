"""AnimateAnything's published folder (diffusers' layout of 2023) into a bundle; HANDI's released weights have the same.

Its pipeline begins at the first frame's latent, noised to the first timestep, and takes 25 steps of DPM-Solver++ with a
guidance of 9 (arXiv 2311.12886); so does the bundle's, which is IVG's without a first stage.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import init_empty_weights
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler
from transformers import CLIPTextModel, CLIPTokenizer

from ..bundle import BundleInfo
from ..errors import ConversionError, InputError
from ..methods.ivg import IVGPipeline
from ..models import VideoUNet
from ..pipelines import save_bundle
from ..weight_files.checkpoint_file import read_weights
from .animate_anything import unet_config, unet_keys
from .diffusers_folder import check_parts, read_json, read_network
from .keys import load_renamed

_WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
_PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
_FRAMES, _FPS, _STEPS, _GUIDANCE = 16, 8.0, 25, 9.0
_PIXELS = 8


def convert_folder(
    source: Path, dest: Path, size: int | None = None, progress: Callable[[str], None] | None = None
) -> Path:
    """Write the bundle of a folder with UNet, VAE, text encoder, tokenizer and scheduler.

    Args:
        source: the folder as published, or as HANDI's training leaves it.
        dest: folder of the bundle.
        size: height and width of its pictures; None: that of the UNet's configuration.
        progress: called with the name of each step as it begins.

    Raises:
        InputError: a part that is missing or of another kind, or ``dest`` holds something else than a bundle.
        ConversionError: a weight missing, unknown or misshapen.
    """
    report = progress or (lambda step: None)
    check_parts(source, _PARTS, "AnimateAnything")
    report("reading the UNet")
    original = read_json(source / "unet" / "config.json")
    pipeline = IVGPipeline(
        unet=_unet(source / "unet", original),
        vae=read_network(AutoencoderKL, source / "vae"),
        text_encoder=read_network(CLIPTextModel, source / "text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(source / "tokenizer", local_files_only=True),
        scheduler=DPMSolverMultistepScheduler.from_config(read_json(source / "scheduler" / "scheduler_config.json")),
        num_frames=_FRAMES,
        guidance_scale=_GUIDANCE,
        num_inference_steps=_STEPS,
        start_from_first_frame=True,
    )
    side = size or _PIXELS * int(original.get("sample_size", 32))
    info = BundleInfo(
        name="animate-anything",
        method="ivg",
        height=side,
        width=side,
        num_frames=_FRAMES,
        fps=_FPS,
        default_steps=_STEPS,
        default_scalar=3 if original.get("motion_strength") else None,
    )
    report(f"writing {dest}")
    save_bundle(pipeline, info, dest)
    return dest


def _unet(folder: Path, original: dict[str, Any]) -> VideoUNet:
    file = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if file is None:
        raise InputError(f"{folder} holds no weights: put {_WEIGHTS[0]} there, or {_WEIGHTS[1]}.")
    try:
        config = unet_config({"motion_mask": False, "motion_strength": False} | original)
    except KeyError as error:
        raise InputError(f"{folder / 'config.json'} has no field {error}: it is not AnimateAnything's UNet.") from error
    weights = read_weights(file)
    try:
        with init_empty_weights():
            model = VideoUNet(**config)
        load_renamed(model, weights, unet_keys(weights, config))
    except ConversionError as error:
        raise ConversionError(f"{file}: {error}") from error
    return model.eval()
