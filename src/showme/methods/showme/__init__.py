"""ShowMe (arXiv 2511.17839): the picture of the result and the video of the action from one model.

The pipeline is imported when it is asked for: settings are read and refused without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .pipeline import ShowMeOutput
    from .saved import ShowMePipeline

__all__ = ["ShowMeOutput", "ShowMePipeline"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "ShowMePipeline":
        from .saved import ShowMePipeline

        return ShowMePipeline
    from .pipeline import ShowMeOutput

    return ShowMeOutput
