"""The two named LoRA adapters (arXiv 2511.17839, figure 2): where they sit, and which task uses which."""

from __future__ import annotations

import re

from peft import LoraConfig
from torch import nn

STATE_IMAGE = "state_image"
STATE_VIDEO = "state_video"

# The image task runs with the first adapter alone; the video adds its own over the frozen first.
ACTIVE_ADAPTERS = {"image": [STATE_IMAGE], "video": [STATE_IMAGE, STATE_VIDEO]}

# q, k, v of every attention (not to_out) and both feed-forward projections, as in the released configuration.
_LEAF = r"(attn[12]\.to_(q|k|v|k_ip|v_ip)|ff\.proj_(in|out))"
_SPATIAL = rf".*spatial_attention\.{_LEAF}"
_TEMPORAL = rf".*temporal_(attention|in)\.{_LEAF}"


def lora_config(unet: nn.Module, adapter: str, rank: int, dropout: float) -> LoraConfig:
    """The adapter's places in ``unet``: spatial layers for ``state_image``, spatial and temporal for ``state_video``.

    The scale is 1 whatever the rank (lora_alpha = r), as in the released code: y = W x + B A x.

    Raises:
        ValueError: another adapter name.
    """
    patterns = {STATE_IMAGE: _SPATIAL, STATE_VIDEO: f"({_SPATIAL})|({_TEMPORAL})"}
    if adapter not in patterns:
        raise ValueError(f"adapter {adapter!r}: choose {STATE_IMAGE} or {STATE_VIDEO}.")
    targets = [name for name, _ in unet.named_modules() if re.fullmatch(patterns[adapter], name)]
    return LoraConfig(r=rank, lora_alpha=rank, lora_dropout=dropout, target_modules=targets)
