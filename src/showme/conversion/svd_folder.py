"""Stable Video Diffusion's published folder into a bundle of AID, with a text encoder beside where one is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from diffusers import AutoencoderKLTemporalDecoder, EulerDiscreteScheduler
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPTextModel, CLIPVisionModelWithProjection

from ..backbones.svd import MOTION_BUCKET
from ..bundle import BundleInfo
from ..errors import InputError, first_line
from ..methods.aid import AIDPipeline
from ..models.svd_unet import SVDUNet
from ..pipelines import save_bundle
from .diffusers_folder import check_parts, read_json, read_network

_PARTS = ("unet", "vae", "image_encoder", "feature_extractor", "scheduler")
_TEXT_FOLDERS = ("text_encoder", "tokenizer")
_FPS, _STEPS = 7.0, 25
# Of the published pipeline: its guidance rises from 1 to 3 over the frames; here all frames have one.
_GUIDANCE = 3.0


def convert_folder(
    source: Path,
    dest: Path,
    size: tuple[int, int],
    text: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Write the bundle of a folder with UNet, VAE, image encoder, feature extractor and scheduler.

    Args:
        source: ``stable-video-diffusion-img2vid`` or ``-xt``, as published; fp16 variants are read where they are
            alone.
        dest: folder of the bundle.
        size: (height, width) of its pictures.
        text: a folder with CLIP's text encoder and tokenizer, or with folders of these names, whose tokens are as wide
            as the UNet's context; None: the model reads no instructions until AID gives it one.
        progress: called with the name of each step as it begins.

    Raises:
        InputError: a part that is missing or of another kind, a text encoder of another width, or ``dest`` holds
            something else than a bundle.
        ConversionError: a weight missing, unknown or misshapen.
    """
    report = progress or (lambda step: None)
    check_parts(source, _PARTS, "Stable Video Diffusion")
    report("reading the UNet")
    unet = read_network(SVDUNet, source / "unet", **_variant(source / "unet"))
    encoder, tokenizer = (None, None) if text is None else _text(text, unet.config.cross_attention_dim)
    pipeline = AIDPipeline(
        unet=unet,
        vae=read_network(AutoencoderKLTemporalDecoder, source / "vae", **_variant(source / "vae")),
        text_encoder=encoder,
        tokenizer=tokenizer,
        image_encoder=read_network(
            CLIPVisionModelWithProjection, source / "image_encoder", **_variant(source / "image_encoder")
        ),
        feature_extractor=CLIPImageProcessor(**_of_processor(source / "feature_extractor")),
        scheduler=EulerDiscreteScheduler.from_config(read_json(source / "scheduler" / "scheduler_config.json")),
        num_frames=unet.config.num_frames,
        repeat_first_frame=True,
        unknown="zeros",
        guidance_scale=1.0,
        visual_guidance=_GUIDANCE,
        num_inference_steps=_STEPS,
    )
    info = BundleInfo(
        name="svd",
        method="aid",
        backbone="svd",
        height=size[0],
        width=size[1],
        num_frames=unet.config.num_frames,
        fps=_FPS,
        default_steps=_STEPS,
        default_scalar=MOTION_BUCKET,
    )
    report(f"writing {dest}")
    save_bundle(pipeline, info, dest)
    return dest


def _variant(folder: Path) -> dict[str, str]:
    """The fp16 files, where there are no others."""
    names = [path.name for path in folder.glob("*.safetensors")]
    return {"variant": "fp16"} if names and all(".fp16." in name for name in names) else {}


def _of_processor(folder: Path) -> dict[str, Any]:
    settings = read_json(folder / "preprocessor_config.json")
    return {name: settings[name] for name in ("image_mean", "image_std", "crop_size", "size") if name in settings}


def _text(folder: Path, width: int | tuple[int, ...]) -> tuple[Any, Any]:
    """CLIP's text encoder and its tokenizer.

    Raises:
        InputError: they are not there, or their tokens are not as wide as the UNet's context.
    """
    encoder_folder, tokenizer_folder = (folder / name if (folder / name).is_dir() else folder for name in _TEXT_FOLDERS)
    if not (encoder_folder / "config.json").is_file():
        raise InputError(f"{folder} holds no text encoder: give a folder with CLIP's text encoder and tokenizer.")
    encoder = read_network(CLIPTextModel, encoder_folder)
    wanted = width if isinstance(width, int) else width[0]
    if encoder.config.hidden_size != wanted:
        raise InputError(
            f"The text encoder in {folder} has tokens of {encoder.config.hidden_size} numbers, and the UNet reads "
            f"{wanted}: give one of that width, such as OpenCLIP ViT-H/14's."
        )
    try:
        return encoder, AutoTokenizer.from_pretrained(tokenizer_folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{tokenizer_folder} holds no tokenizer ({first_line(error)}): fetch it again.") from error
