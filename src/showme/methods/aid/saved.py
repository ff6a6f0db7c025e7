"""AID's pipeline as diffusers saves, loads, moves and offloads it."""

from __future__ import annotations

from typing import Literal

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
from ...models.bottlenecks import Bottlenecks
from ...models.dqformer import DQFormer
from ...models.svd_unet import SVDUNet
from ...models.wan_transformer import WanTransformer
from ..saved_pipeline import SavedPipeline
from .pipeline import AIDSteps


class AIDPipeline(AIDSteps, SavedPipeline):
    """AID (arXiv 2406.06465): a base with a dual-query transformer and bottleneck adapters.

    Args:
        vae, scheduler: components.
        unet, transformer, transformer_2: what removes the noise: a UNet, or Wan's one or two networks.
        text_encoder, tokenizer: None where the base reads no text, and nothing was added that does.
        image_projector, image_encoder, feature_extractor: None where the base reads no image tokens.
        dqformer, bottlenecks: what AID adds; None where it was left out.
        num_frames: T when a call does not say.
        repeat_first_frame: as of ShowMe's pipeline.
        references: K, frames from the first on that are known.
        unknown: what stands for the others in the condition: an encoded ``grey`` frame, or ``zeros``.
        null_context: what cross-attention reads of no text: the ``base``'s own tokens, or those of the ``dqformer``.
        drop_known: whether the known frames are dropped with the picture, for visual guidance.
        states: what is read beside an instruction when a call does not say: the rendered world's own, or nothing.
        guidance_scale, visual_guidance: s_T and s_V, used when a call does not say.
        guidance_rescale, num_inference_steps, eta: the same.
        height, width: what photos are brought to; None takes them as they are.
        long_instructions, expand_timesteps, boundary_ratio: as of ShowMe's pipeline.
    """

    model_cpu_offload_seq = (
        "text_encoder->image_encoder->image_projector->dqformer->unet->transformer->transformer_2->vae"
    )
    _optional_components = [  # noqa: RUF012 (diffusers' name)
        "unet", "transformer", "transformer_2", "text_encoder", "tokenizer", "image_projector", "image_encoder",
        "feature_extractor", "dqformer", "bottlenecks",
    ]  # fmt: skip

    def __init__(
        self,
        vae: AutoencoderKL | AutoencoderKLTemporalDecoder | AutoencoderKLWan,
        scheduler: SchedulerMixin,
        unet: VideoUNet | SVDUNet | None = None,
        transformer: WanTransformer | None = None,
        transformer_2: WanTransformer | None = None,
        text_encoder: CLIPTextModel | UMT5EncoderModel | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
        image_projector: ImageProjector | None = None,
        image_encoder: CLIPVisionModel | CLIPVisionModelWithProjection | None = None,
        feature_extractor: CLIPImageProcessor | None = None,
        dqformer: DQFormer | None = None,
        bottlenecks: Bottlenecks | None = None,
        num_frames: int = 16,
        repeat_first_frame: bool = False,
        references: int = 1,
        unknown: Literal["grey", "zeros"] = "grey",
        null_context: Literal["base", "dqformer"] = "base",
        drop_known: bool = True,
        states: Literal["tabletop"] | None = None,
        guidance_scale: float = 12.0,
        visual_guidance: float = 1.5,
        guidance_rescale: float = 0.0,
        num_inference_steps: int = 30,
        eta: float = 0.0,
        height: int | None = None,
        width: int | None = None,
        long_instructions: LongInstructions = "cut",
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
            "dqformer": dqformer,
            "bottlenecks": bottlenecks,
        }
        settings = {
            "num_frames": num_frames,
            "repeat_first_frame": repeat_first_frame,
            "references": references,
            "unknown": unknown,
            "null_context": null_context,
            "drop_known": drop_known,
            "states": states,
            "guidance_scale": guidance_scale,
            "visual_guidance": visual_guidance,
            "guidance_rescale": guidance_rescale,
            "num_inference_steps": num_inference_steps,
            "eta": eta,
            "height": height,
            "width": width,
            "long_instructions": long_instructions,
            "expand_timesteps": expand_timesteps,
            "boundary_ratio": boundary_ratio,
        }
        super().__init__(components, settings)
