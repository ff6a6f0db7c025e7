"""Networks: forward passes only, no training and no file access.

Those that diffusers saves and loads are imported when they are asked for: the layers alone need torch and no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .image_projector import split_image_tokens

if TYPE_CHECKING:
    from .saved import ImageProjector, VideoUNet

__all__ = ["ImageProjector", "VideoUNet", "split_image_tokens"]


def __getattr__(name: str) -> Any:
    if name not in ("ImageProjector", "VideoUNet"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import saved

    return getattr(saved, name)
