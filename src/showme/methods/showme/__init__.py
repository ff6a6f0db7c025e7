"""ShowMe (arXiv 2511.17839): the picture of the result and the video of the action from one model.

What needs torch is imported when it is asked for: settings are read and refused without it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ..base import Method
from .tasks import ACTIVE_ADAPTERS, TASKS

if TYPE_CHECKING:
    from .config import ShowMeConfig
    from .saved import ShowMePipeline

__all__ = ["ShowMe", "ShowMePipeline"]


def __getattr__(name: str) -> Any:
    if name != "ShowMePipeline":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .saved import ShowMePipeline

    return ShowMePipeline


class ShowMe(Method):
    """The paper, as training, bundles, generation and evaluation see it."""

    name, tasks, backbones = "showme", TASKS, ("video_unet", "svd", "wan")

    def settings(self) -> type[ShowMeConfig]:
        from .config import ShowMeConfig

        return ShowMeConfig

    def pipeline(self) -> type[ShowMePipeline]:
        from .saved import ShowMePipeline

        return ShowMePipeline

    def stage(self, config: ShowMeConfig, pipeline: Any):
        from .tasks import FAST

        if config.stage == FAST:
            from .fast.stage import FastStage

            return FastStage(config, pipeline)
        from .stage import ShowMeStage

        return ShowMeStage(config, pipeline)

    def active_adapters(self, task: str) -> list[str]:
        return ACTIVE_ADAPTERS.get(task, [])

    def read_plain(self, files, device, dtype):
        from .plain import read_plain_pipeline

        return read_plain_pipeline(files, device, dtype)

    def check_goal(self, files) -> None:
        if not json.loads(files.path("model_index.json").read_text(encoding="utf-8")).get("goal_conditioning"):
            raise InputError(f"The model {files.info.name} was not trained to reach a goal: leave --goal out.")
