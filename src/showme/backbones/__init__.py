"""What methods know of video models, and nothing of any paper: :class:`.base.Backbone` and its families."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..plug_ins import BACKBONES, resolve

if TYPE_CHECKING:
    from .base import Backbone

# Resolved when one is asked for: names are known without torch.
_OWN = {
    "video_unet": "showme.backbones.video_unet:VideoUNetBackbone",
    "svd": "showme.backbones.svd:SVDBackbone",
    "wan": "showme.backbones.wan:WanBackbone",
}


def open_backbone(name: str, parts: Any) -> Backbone:
    """The backbone of a pipeline's components.

    Args:
        name: of its family, as ``bundle.json`` says.
        parts: what holds the components by name: the pipeline.

    Raises:
        InputError: no such family.
    """
    return resolve(BACKBONES, name, _OWN, "backbone")(parts)
