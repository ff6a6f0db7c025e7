"""AID (arXiv 2406.06465): a frozen image-to-video model learns to follow instructions.

What needs torch is imported when it is asked for: settings are read and refused without it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..base import Method
from .tasks import ACTIVE_ADAPTERS, TASKS

if TYPE_CHECKING:
    from .config import AIDConfig
    from .saved import AIDPipeline

__all__ = ["AID", "AIDPipeline"]


def __getattr__(name: str) -> Any:
    if name != "AIDPipeline":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .saved import AIDPipeline

    return AIDPipeline


class AID(Method):
    """The paper, as training, bundles, generation and evaluation see it."""

    name, tasks, backbones = "aid", TASKS, ("video_unet", "svd", "wan")

    def settings(self) -> type[AIDConfig]:
        from .config import AIDConfig

        return AIDConfig

    def pipeline(self) -> type[AIDPipeline]:
        from .saved import AIDPipeline

        return AIDPipeline

    def stage(self, config: AIDConfig, pipeline: Any):
        from .stage import AIDStage

        return AIDStage(config, pipeline)

    def check_states(self, files) -> None:
        path = files.path("dqformer/config.json")
        if not path.is_file() or not json.loads(path.read_text(encoding="utf-8"))["decomposed"]:
            super().check_states(files)

    def active_adapters(self, task: str) -> list[str]:
        return ACTIVE_ADAPTERS.get(task, [])
