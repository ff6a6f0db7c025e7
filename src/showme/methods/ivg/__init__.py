"""IVG (arXiv 2412.04189): first where the action happens, then the video, its hands held to their shape.

What needs torch is imported when it is asked for: settings are read and refused without it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ..base import Method
from .tasks import ACTIVE_ADAPTERS, TASKS, VIDEO

if TYPE_CHECKING:
    from .config import IVGConfig
    from .saved import IVGPipeline

__all__ = ["IVG", "IVGPipeline"]


def __getattr__(name: str) -> Any:
    if name != "IVGPipeline":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .saved import IVGPipeline

    return IVGPipeline


class IVG(Method):
    """The paper, as training, bundles, generation and evaluation see it."""

    name, tasks, backbones = "ivg", TASKS, ("video_unet", "wan")
    parts, regions = ("region",), True

    def settings(self) -> type[IVGConfig]:
        from .config import IVGConfig

        return IVGConfig

    def pipeline(self) -> type[IVGPipeline]:
        from .saved import IVGPipeline

        return IVGPipeline

    def stage(self, config: IVGConfig, pipeline: Any):
        from .stage import IVGStage

        return IVGStage(config, pipeline)

    def check_region(self, files) -> None:
        config = json.loads(files.path("unet/config.json").read_text(encoding="utf-8"))
        if not config.get("mask_channel") and f"{VIDEO}.safetensors" not in (p.name for p in files.adapters("unet")):
            raise InputError(
                f"The model {files.info.name} takes no region: leave --region out, or train its stage video."
            )

    def check_motion(self, files) -> None:
        config = json.loads(files.path("unet/config.json").read_text(encoding="utf-8"))
        if config.get("scalar_condition") != "motion_strength":
            super().check_motion(files)

    def active_adapters(self, task: str) -> list[str]:
        return ACTIVE_ADAPTERS.get(task, [])
