"""ShowMe's pipeline as diffusers saves, loads, moves and offloads it, with the adapters beside."""

from __future__ import annotations

import contextlib
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DiffusionPipeline, SchedulerMixin
from diffusers.image_processor import VaeImageProcessor
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPVisionModel, PreTrainedTokenizerBase

from ...backbones.lora import bare_weights, load_adapter, save_adapters
from ...backbones.merging import all_modules
from ...bundle import adapter_folder
from ...long_text import LongInstructions
from ...models import ImageProjector, VideoUNet
from .pipeline import ShowMeSteps


class ShowMePipeline(ShowMeSteps, DiffusionPipeline):
    """ShowMe's two tasks (arXiv 2511.17839).

    Picture of the result: temporal half off, adapter ``state_image``, one noisy latent beside z0. Video of the
    action: the whole network, both adapters, T noisy latents beside ``[z0; zeros]``.

    Args:
        unet, image_projector, vae, text_encoder, tokenizer, image_encoder, feature_extractor, scheduler: components.
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
    _callback_tensor_inputs = ("latents",)

    def __init__(
        self,
        unet: VideoUNet,
        image_projector: ImageProjector,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: PreTrainedTokenizerBase,
        image_encoder: CLIPVisionModel,
        feature_extractor: CLIPImageProcessor,
        scheduler: SchedulerMixin,
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
        super().__init__()
        self.register_modules(
            unet=unet,
            image_projector=image_projector,
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            image_encoder=image_encoder,
            feature_extractor=feature_extractor,
            scheduler=scheduler,
        )
        self.register_to_config(
            num_frames=num_frames,
            repeat_first_frame=repeat_first_frame,
            guidance_scale=guidance_scale,
            guidance_rescale=guidance_rescale,
            num_inference_steps=num_inference_steps,
            eta=eta,
            height=height,
            width=width,
            goal_conditioning=goal_conditioning,
            long_instructions=long_instructions,
        )
        self.vae_scale_factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.image_processor = VaeImageProcessor(vae_scale_factor=self.vae_scale_factor)

    @property
    def _execution_device(self) -> torch.device:  # type: ignore[override]
        """Where the networks run. diffusers looks for hooks that move them in every module, 20 ms for the embedded
        model, before it answers; without such hooks it is where the UNet's weights are."""
        networks = (part for part in self.components.values() if isinstance(part, torch.nn.Module))
        if any(
            {"_hf_hook", "_diffusers_hook"} & vars(module).keys() for part in networks for module in all_modules(part)
        ):
            return super()._execution_device
        return self.unet.conv_in.weight.device

    def save_pretrained(self, save_directory: str | Path, dtype: torch.dtype | None = None, **kwargs) -> None:
        """Save every component as diffusers does, and the adapters beside them in ``adapters/``.

        Args:
            save_directory: folder; :func:`showme.bundle.save_bundle` makes a whole, verified model of it.
            dtype: precision of the weights on disk; None keeps each one's own.
            kwargs: as for :meth:`diffusers.DiffusionPipeline.save_pretrained`.
        """
        with contextlib.ExitStack() as stack:
            for component in self.components.values():
                if isinstance(component, torch.nn.Module):
                    stack.enter_context(bare_weights(component, dtype))
            super().save_pretrained(save_directory, **kwargs)
        for component, network in self.backbone.networks.items():
            save_adapters(network, Path(save_directory) / adapter_folder(component), dtype)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs) -> ShowMePipeline:
        """As :meth:`diffusers.DiffusionPipeline.from_pretrained`, with the adapters of a folder added."""
        pipeline = super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        for component, network in pipeline.backbone.networks.items():
            folder = Path(pretrained_model_name_or_path) / adapter_folder(component)
            for path in sorted(folder.glob("*.safetensors")):
                load_adapter(network, path)
        return pipeline
