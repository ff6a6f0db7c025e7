"""ShowMe's pipeline as diffusers saves, loads, moves and offloads it, with the adapters beside."""

from __future__ import annotations

from diffusers import AutoencoderKL, AutoencoderKLTemporalDecoder, SchedulerMixin
from transformers import (
    CLIPImageProcessor,
    CLIPTextModel,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerBase,
)

from ...long_text import LongInstructions
from ...models import ImageProjector, VideoUNet
from ...models.svd_unet import SVDUNet
from ..saved_pipeline import SavedPipeline
from .pipeline import ShowMeSteps


class ShowMePipeline(ShowMeSteps, SavedPipeline):
    """ShowMe's two tasks (arXiv 2511.17839).

    Picture of the result: temporal half off, adapter ``state_image``, one noisy latent beside z0. Video of the
    action: the whole network, both adapters, T noisy latents beside ``[z0; zeros]``.

    Args:
        unet, vae, text_encoder, tokenizer, image_encoder, feature_extractor, scheduler: components.
        image_projector: None where the base has none, as Stable Video Diffusion.
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
    """

    model_cpu_offload_seq = "text_encoder->image_encoder->image_projector->unet->vae"
    _optional_components = ["image_projector"]  # noqa: RUF012 (diffusers' name)

    def __init__(
        self,
        unet: VideoUNet | SVDUNet,
        vae: AutoencoderKL | AutoencoderKLTemporalDecoder,
        text_encoder: CLIPTextModel,
        tokenizer: PreTrainedTokenizerBase,
        image_encoder: CLIPVisionModel | CLIPVisionModelWithProjection,
        feature_extractor: CLIPImageProcessor,
        scheduler: SchedulerMixin,
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
    ):
        components = {
            "unet": unet,
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
        }
        super().__init__(components, settings)
