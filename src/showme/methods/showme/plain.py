"""ShowMe's two tasks on plain components: for inference on a CPU, without diffusers, transformers and peft."""

from __future__ import annotations

from typing import Any

import torch

from ...backbones.plain_files import PlainParts, read_plain
from ...backbones.plain_video_unet import PlainPixels
from ...bundle import BundleFiles
from .pipeline import ShowMeSteps


class PlainPipeline(ShowMeSteps):
    """What :class:`ShowMePipeline` makes of PIL images on a CPU in fp32, to the bit.

    Args:
        parts: components by their names in the pipeline, and its settings.
    """

    device = _execution_device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self, parts: PlainParts):
        for name, component in parts.components.items():
            setattr(self, name, component)
        self.config = parts.config
        self.image_processor = PlainPixels()
        self.bar: dict[str, Any] = {}

    def register_to_config(self, **settings: Any) -> None:
        """As diffusers' pipelines: settings that calls fall back on."""
        self.config.update(settings)

    def set_progress_bar_config(self, **settings: Any) -> None:
        """How the bar over denoising steps looks: arguments of tqdm."""
        self.bar = settings

    def progress_bar(self, total: int) -> Any:
        """A bar over ``total`` denoising steps."""
        from tqdm.auto import tqdm

        return tqdm(total=total, **self.bar)


def read_plain_pipeline(
    files: BundleFiles, device: str | torch.device | None, dtype: torch.dtype | None
) -> PlainPipeline | None:
    """The plain pipeline of a bundle; None where it needs the whole one."""
    parts = read_plain(files, device, dtype)
    return None if parts is None else PlainPipeline(parts)
