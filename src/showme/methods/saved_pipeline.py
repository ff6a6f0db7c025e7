"""What diffusers saves, loads, moves and offloads of a method's pipeline, with the adapters beside."""

from __future__ import annotations

import contextlib
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import DiffusionPipeline
from diffusers.image_processor import VaeImageProcessor

from ..backbones.lora import bare_weights, load_adapter, save_adapters
from ..backbones.merging import all_modules
from ..bundle import adapter_folder
from .pipeline_steps import PipelineSteps


class SavedPipeline(DiffusionPipeline):
    """A ``DiffusionPipeline`` of a backbone; a method's pipeline has its steps before this class.

    A subclass's ``__init__`` names its components and settings as diffusers wants them, and passes them on.
    """

    _callback_tensor_inputs = ("latents",)

    def __init__(self, components: dict[str, Any], settings: dict[str, Any]):
        super().__init__()
        self.register_modules(**components)
        self.register_to_config(**settings)

    @cached_property
    def image_processor(self) -> VaeImageProcessor:
        """Photos to pixels. Which backbone the components make up is known when the first is asked for."""
        return VaeImageProcessor(vae_scale_factor=cast(PipelineSteps, self).backbone.facts.space)

    @property
    def _execution_device(self) -> torch.device:  # type: ignore[override]
        """Where the networks run. diffusers looks for hooks that move them in every module, 20 ms for the embedded
        model, before it answers; without such hooks it is where the denoiser's weights are."""
        networks = (part for part in self.components.values() if isinstance(part, torch.nn.Module))
        if any(
            {"_hf_hook", "_diffusers_hook"} & vars(module).keys() for part in networks for module in all_modules(part)
        ):
            return super()._execution_device
        backbone = cast(PipelineSteps, self).backbone
        return next(backbone.networks[backbone.denoiser].parameters()).device

    def save_pretrained(self, save_directory: str | Path, dtype: torch.dtype | None = None, **kwargs) -> None:
        """Save every component as diffusers does, and the adapters beside them in ``adapters/``.

        Args:
            save_directory: folder; :func:`showme.pipelines.save_bundle` makes a whole, verified model of it.
            dtype: precision of the weights on disk; None keeps each one's own.
            kwargs: as for :meth:`diffusers.DiffusionPipeline.save_pretrained`.
        """
        with contextlib.ExitStack() as stack:
            for component in self.components.values():
                if isinstance(component, torch.nn.Module):
                    stack.enter_context(bare_weights(component, dtype))
            super().save_pretrained(save_directory, **kwargs)
        for component, network in cast(PipelineSteps, self).backbone.networks.items():
            save_adapters(network, Path(save_directory) / adapter_folder(component), dtype)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs) -> Any:
        """As :meth:`diffusers.DiffusionPipeline.from_pretrained`, with the adapters of a folder added."""
        pipeline = super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        for component, network in pipeline.backbone.networks.items():
            folder = Path(pretrained_model_name_or_path) / adapter_folder(component)
            for path in sorted(folder.glob("*.safetensors")):
                load_adapter(network, path)
        return pipeline
