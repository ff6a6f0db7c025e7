"""IVG's pipeline as diffusers saves, loads, moves and offloads it, with the adapters beside."""

from __future__ import annotations

from diffusers import AutoencoderKL, AutoencoderKLWan, SchedulerMixin
from transformers import (
    CLIPImageProcessor,
    CLIPTextModel,
    CLIPVisionModel,
    PreTrainedTokenizerBase,
    UMT5EncoderModel,
)

from ...long_text import LongInstructions
from ...models import ImageProjector, VideoUNet
from ...models.wan_transformer import WanTransformer
from ..saved_pipeline import SavedPipeline
from .pipeline import IVGSteps


class IVGPipeline(IVGSteps, SavedPipeline):
    """IVG's two stages (arXiv 2412.04189): the region of motion, and the video in it.

    Args:
        vae, text_encoder, tokenizer, scheduler: components.
        unet, transformer, transformer_2: what removes the noise: a UNet, or Wan's one or two networks.
        image_projector, image_encoder, feature_extractor: None where the base reads no image tokens.
        num_frames: T when a call does not say.
        repeat_first_frame: as of ShowMe's pipeline.
        guidance_scale, guidance_rescale, num_inference_steps, eta: used when a call does not say.
        height, width: what photos are brought to; None takes them as they are.
        long_instructions: as of ShowMe's pipeline.
        start_from_first_frame: sampling begins at the first frame's latent on every frame, noised to the first
            timestep, as AnimateAnything's does; False: at pure noise.
        region_prior: the region where none is given, a PNG in base 64, of a model that was trained with its clips'
            prior; None: the model finds it.
        region_steps, region_frames: denoising steps and frames of the region; None: those of the video.
        region_threshold, region_least_area, region_closing, region_margin: of
            :class:`showme.methods.ivg.regions.CleanUp`.
        expand_timesteps, boundary_ratio: as of ShowMe's pipeline.
    """

    model_cpu_offload_seq = "text_encoder->image_encoder->image_projector->unet->transformer->transformer_2->vae"
    _optional_components = [  # noqa: RUF012 (diffusers' name)
        "unet", "transformer", "transformer_2", "image_projector", "image_encoder", "feature_extractor",
    ]  # fmt: skip

    def __init__(
        self,
        vae: AutoencoderKL | AutoencoderKLWan,
        text_encoder: CLIPTextModel | UMT5EncoderModel,
        tokenizer: PreTrainedTokenizerBase,
        scheduler: SchedulerMixin,
        unet: VideoUNet | None = None,
        transformer: WanTransformer | None = None,
        transformer_2: WanTransformer | None = None,
        image_projector: ImageProjector | None = None,
        image_encoder: CLIPVisionModel | None = None,
        feature_extractor: CLIPImageProcessor | None = None,
        num_frames: int = 16,
        repeat_first_frame: bool = False,
        guidance_scale: float = 9.0,
        guidance_rescale: float = 0.0,
        num_inference_steps: int = 25,
        eta: float = 0.0,
        height: int | None = None,
        width: int | None = None,
        long_instructions: LongInstructions = "cut",
        start_from_first_frame: bool = False,
        region_prior: str | None = None,
        region_steps: int | None = None,
        region_frames: int | None = None,
        region_threshold: float = 0.5,
        region_least_area: float = 0.002,
        region_closing: float = 0.02,
        region_margin: float = 0.0,
        expand_timesteps: bool = False,
        boundary_ratio: float | None = None,
    ):
        components = {
            "unet": unet,
            "transformer": transformer,
            "transformer_2": transformer_2,
            "image_projector": image_projector,
            "vae": vae,
            "text_encoder": text_encoder,
            "tokenizer": tokenizer,
            "image_encoder": image_encoder,
            "feature_extractor": feature_extractor,
            "scheduler": scheduler,
        }
        settings = {
            "num_frames": num_frames,
            "repeat_first_frame": repeat_first_frame,
            "guidance_scale": guidance_scale,
            "guidance_rescale": guidance_rescale,
            "num_inference_steps": num_inference_steps,
            "eta": eta,
            "height": height,
            "width": width,
            "long_instructions": long_instructions,
            "start_from_first_frame": start_from_first_frame,
            "region_prior": region_prior,
            "region_steps": region_steps,
            "region_frames": region_frames,
            "region_threshold": region_threshold,
            "region_least_area": region_least_area,
            "region_closing": region_closing,
            "region_margin": region_margin,
            "expand_timesteps": expand_timesteps,
            "boundary_ratio": boundary_ratio,
        }
        super().__init__(components, settings)
