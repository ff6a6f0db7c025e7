"""ShowMe's pipeline as diffusers saves, loads, moves and offloads it, with the adapters beside."""

from __future__ import annotations

from typing import Any

from diffusers import AutoencoderKL, AutoencoderKLTemporalDecoder, AutoencoderKLWan, SchedulerMixin
from transformers import (
    CLIPImageProcessor,
    CLIPTextModel,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerBase,
    UMT5EncoderModel,
)

from ...long_text import LongInstructions
from ...models import ImageProjector, VideoUNet
from ...models.svd_unet import SVDUNet
from ...models.wan_transformer import WanTransformer
from ..saved_pipeline import SavedPipeline
from .pipeline import ShowMeSteps


class ShowMePipeline(ShowMeSteps, SavedPipeline):
    """ShowMe's two tasks (arXiv 2511.17839).

    Picture of the result: temporal half off, adapter ``state_image``, one noisy latent beside z0. Video of the
    action: the whole network, both adapters, T noisy latents beside ``[z0; zeros]``.

    Args:
        vae, text_encoder, tokenizer, scheduler: components.
        unet, transformer, transformer_2: what removes the noise: a UNet, or Wan's one or two networks.
        image_encoder, feature_extractor, image_projector: None where the base has none.
        num_frames: T when a call does not say.
        repeat_first_frame: True repeats z0 on every frame, as plain DynamiCrafter does; False is ShowMe's
            ``[z0; zeros]``.
        guidance_scale, guidance_rescale, num_inference_steps, eta: used when a call does not say.
        height, width: what photos are brought to; None takes them as they are.
        goal_conditioning: whether the video may know its end: it was trained with the result's latent in the last slot
            of the condition for a share of the clips.
        long_instructions: what becomes of an instruction of more tokens than the text encoder reads, when a call does
            not say: ``cut`` leaves its end out, with a warning; ``chunk`` reads it in windows of the encoder's length
            and lays their tokens end to end; ``refuse`` is an error.
        expand_timesteps, boundary_ratio: of Wan, as published: whether known frames lie in place, and the level where
            the second network takes over.
        still: of Wan, how single pictures are made: fields of :class:`showme.backbones.base.Still`.
    """

    model_cpu_offload_seq = "text_encoder->image_encoder->image_projector->unet->transformer->transformer_2->vae"
    _optional_components = [  # noqa: RUF012 (diffusers' name)
        "unet", "transformer", "transformer_2", "image_encoder", "feature_extractor", "image_projector",
    ]  # fmt: skip

    def __init__(
        self,
        vae: AutoencoderKL | AutoencoderKLTemporalDecoder | AutoencoderKLWan,
        text_encoder: CLIPTextModel | UMT5EncoderModel,
        tokenizer: PreTrainedTokenizerBase,
        scheduler: SchedulerMixin,
        unet: VideoUNet | SVDUNet | None = None,
        transformer: WanTransformer | None = None,
        transformer_2: WanTransformer | None = None,
        image_encoder: CLIPVisionModel | CLIPVisionModelWithProjection | None = None,
        feature_extractor: CLIPImageProcessor | None = None,
        image_projector: ImageProjector | None = None,
        num_frames: int = 16,
        repeat_first_frame: bool = False,
        guidance_scale: float = 7.5,
        guidance_rescale: float = 0.0,
        num_inference_steps: int = 50,
        eta: float = 0.0,
        height: int | None = None,
        width: int | None = None,
        goal_conditioning: bool = False,
        long_instructions: LongInstructions = "cut",
        expand_timesteps: bool = False,
        boundary_ratio: float | None = None,
        still: dict[str, Any] | None = None,
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
            "goal_conditioning": goal_conditioning,
            "long_instructions": long_instructions,
            "expand_timesteps": expand_timesteps,
            "boundary_ratio": boundary_ratio,
            "still": still,
        }
        super().__init__(components, settings)
