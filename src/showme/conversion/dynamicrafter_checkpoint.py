"""DynamiCrafter's whole published checkpoint (``model.ckpt``: all five networks in one file) into a ShowMe bundle.

The checkpoints for interpolation between two pictures have the same layout and convert without complaint, but the
pipeline shows them the first picture only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import init_empty_weights
from diffusers import DDIMScheduler
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPVisionModel

from ..bundle import BundleInfo
from ..errors import ConversionError
from ..methods.showme import ShowMePipeline
from ..models import ImageProjector, VideoUNet
from ..pipelines import save_bundle
from ..weight_files.checkpoint_file import read_weights, split_groups
from .clip_tokenizer import find_vocabulary, make_tokenizer
from .dynamicrafter import projector_keys, unet_keys
from .dynamicrafter_releases import RELEASES, Release, check_schedule, choose_size, make_scheduler
from .dynamicrafter_sizes import read_projector_config, read_unet_config
from .keys import load_renamed
from .ldm_vae import convert_vae
from .open_clip import convert_image_tower, convert_text_tower

UNET = "model.diffusion_model."
PROJECTOR = "image_proj_model."
VAE = "first_stage_model."
TEXT = "cond_stage_model.model."
IMAGE = "embedder.model.visual."

# Weights outside the networks that carry nothing we need: the noise schedule, which the scheduler computes anew (and
# which is compared with it), constants of the image embedder, and the text half of the CLIP model that it never runs.
INERT_KEYS = frozenset((
    "betas", "alphas_cumprod", "alphas_cumprod_prev", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod", "posterior_variance",
    "posterior_log_variance_clipped", "posterior_mean_coef1", "posterior_mean_coef2", "lvlb_weights", "logvar",
    "scale_arr", "embedder.mean", "embedder.std", "embedder.model.logit_scale", "embedder.model.positional_embedding",
    "embedder.model.text_projection", "embedder.model.token_embedding.weight", "embedder.model.ln_final.weight",
    "embedder.model.ln_final.bias", "embedder.model.attn_mask",
))  # fmt: skip

_SCALING_FACTOR = 0.18215
_NUM_FRAMES = 16
_PLAYBACK_FPS = 8.0
_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class HeadWidths:
    """Width of one attention head in each network: the one size that leaves no trace in the weights' shapes.

    The defaults are the published model's; ``image=None`` is the rule of :func:`open_clip.convert_image_tower`.
    """

    unet: int = 64
    projector: int = 64
    text: int = 64
    image: int | None = None


def convert_checkpoint(
    source: Path,
    dest: Path,
    size: int | None = None,
    progress: Callable[[str], None] | None = None,
    *,
    vocabulary: Path | None = None,
    head_widths: HeadWidths | None = None,
) -> Path:
    """Write the bundle of a published DynamiCrafter checkpoint.

    The weights stay on disk, mapped, until they are copied into the bundle, and keep their precision.

    Args:
        source: ``model.ckpt`` as published, or the same weights as ``.safetensors``.
        dest: folder of the bundle.
        size: 256, 512 or 1024; needed only where the weights do not say (:func:`dynamicrafter_releases.choose_size`).
        progress: called with the name of each step as it begins.
        vocabulary: ``bpe_simple_vocab_16e6.txt.gz``; looked up beside ``source`` and in open_clip when None.
        head_widths: for networks of other sizes than the published ones.

    Returns:
        ``dest``.

    Raises:
        InputError: no such file, no vocabulary, no or a wrong size, or ``dest`` holds something else than a bundle.
        ConversionError: not such a checkpoint, a damaged one, or one with a weight missing, unknown or misshapen.
    """
    source, dest = Path(source), Path(dest)
    report = progress or (lambda step: None)
    report(f"reading {source.name}")
    weights = read_weights(source)
    groups = split_groups(weights, (UNET, PROJECTOR, VAE, TEXT, IMAGE), INERT_KEYS)
    size = choose_size(weights, size)
    release = RELEASES[size]
    scheduler = make_scheduler(release.rescale_base)
    check_schedule(weights, scheduler)
    report(f"fitting the weights of DynamiCrafter-{size} into their networks")
    tokenizer_file = find_vocabulary(vocabulary, source.parent)
    pipeline = build_pipeline(groups, release, scheduler, tokenizer_file, head_widths or HeadWidths())
    report(f"writing {dest}")
    save_bundle(pipeline, bundle_info(f"dynamicrafter-{size}", release), dest)
    return dest


def build_pipeline(
    groups: Mapping[str, Mapping[str, Tensor]],
    release: Release,
    scheduler: DDIMScheduler,
    vocabulary: Path,
    head_widths: HeadWidths,
) -> ShowMePipeline:
    """All components of a checkpoint; every weight in its place once, or known to be inert.

    Args:
        groups: the checkpoint's weights by network, as :func:`split_groups` returns them.
        release: settings of its size.
        scheduler: the size's sampler.
        vocabulary: the tokenizer's file.
        head_widths: of every network.

    Raises:
        ConversionError: a weight missing, unknown or misshapen, or another vocabulary.
    """
    with _naming(UNET):
        unet = _convert_unet(groups[UNET], head_widths.unet, release.default_scalar)
    with _naming(PROJECTOR):
        projector = _convert_projector(groups[PROJECTOR], head_widths.projector)
    with _naming(VAE):
        vae = convert_vae(groups[VAE], _SCALING_FACTOR)
    with _naming(TEXT):
        text_encoder = convert_text_tower(groups[TEXT], head_widths.text)
    with _naming(IMAGE):
        image_encoder = convert_image_tower(groups[IMAGE], head_widths.image)
    tokenizer = make_tokenizer(vocabulary, text_encoder.config.max_position_embeddings)
    if len(tokenizer) != text_encoder.config.vocab_size:
        raise ConversionError(
            f"{TEXT}token_embedding knows {text_encoder.config.vocab_size} tokens, {vocabulary} has {len(tokenizer)}."
        )
    return ShowMePipeline(
        unet=unet,
        image_projector=projector,
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        image_encoder=image_encoder,
        feature_extractor=_feature_extractor(image_encoder),
        scheduler=scheduler,
        num_frames=_NUM_FRAMES,
        repeat_first_frame=True,
        guidance_scale=7.5,
        guidance_rescale=release.guidance_rescale,
        num_inference_steps=50,
        eta=1.0,
    )


def bundle_info(name: str, release: Release) -> BundleInfo:
    """What the bundle says of itself."""
    return BundleInfo(
        name=name,
        height=release.height,
        width=release.width,
        num_frames=_NUM_FRAMES,
        fps=_PLAYBACK_FPS,
        default_scalar=release.default_scalar,
    )


def _convert_unet(weights: Mapping[str, Tensor], head_width: int, default_scalar: int) -> VideoUNet:
    config = read_unet_config(weights, head_width, default_scalar)
    with init_empty_weights():
        model = VideoUNet(**config)
    load_renamed(model, weights, unet_keys(weights, config))
    return model.eval()


def _convert_projector(weights: Mapping[str, Tensor], head_width: int) -> ImageProjector:
    with init_empty_weights():
        model = ImageProjector(**read_projector_config(weights, head_width))
    load_renamed(model, weights, projector_keys(weights))
    return model.eval()


def _feature_extractor(image_encoder: CLIPVisionModel) -> CLIPImageProcessor:
    size: Any = image_encoder.config.image_size
    return CLIPImageProcessor(
        size={"shortest_edge": size},
        crop_size={"height": size, "width": size},
        image_mean=list(_CLIP_MEAN),
        image_std=list(_CLIP_STD),
    )


@contextlib.contextmanager
def _naming(prefix: str) -> Iterator[None]:
    """Say in an error which of the networks it is about."""
    try:
        yield
    except ConversionError as error:
        raise ConversionError(f"{prefix}*: {error}") from error
