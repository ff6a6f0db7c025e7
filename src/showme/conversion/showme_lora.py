"""ShowMe's released LoRA files (``lora_image.pth``, ``lora_video.pth``) into named peft adapters.

The release computes y = W x + (x A) B with A (in, r), B (r, out) and scale 1; peft holds both matrices transposed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from peft import LoraConfig
from torch import Tensor

from ..errors import ConversionError
from ..methods.showme.tasks import STATE_IMAGE, STATE_VIDEO
from .dynamicrafter import projector_keys, unet_keys

UNET = "model.diffusion_model."
PROJECTOR = "image_proj_model."

_ADAPTERS = {"stage1": STATE_IMAGE, "stage2": STATE_VIDEO}
_KEY = re.compile(r"(.+)\.(stage[12])_lora_(\w+)\.lora_[AB]")
# The released merge function takes "..._ip_k" for "..._k"; here every name has its own layer.
_UNET_LAYERS = {
    "self_attn_q": "to_q", "self_attn_k": "to_k", "self_attn_v": "to_v",
    "cross_attn_q": "to_q", "cross_attn_k": "to_k", "cross_attn_v": "to_v",
    "cross_attn_ip_k": "to_k_ip", "cross_attn_ip_v": "to_v_ip",
    "ff_in": "net.0.proj", "ff_out": "net.2",
}  # fmt: skip
_PROJECTOR_LAYERS = {"cross_attn_q": "to_q", "cross_attn_k": "to_kv", "cross_attn_v": "to_kv"}


@dataclass(frozen=True)
class LoraPlace:
    """Where one pair of matrices goes.

    adapter: ``state_image`` or ``state_video``; network: the release's prefix; module: the layer in our network;
    part: ``cross_attn_k`` and the like; a, b: the original keys; untrained: whether stage 1 never runs the layer.
    """

    adapter: str
    network: str
    module: str
    part: str
    a: str
    b: str
    untrained: bool


@dataclass
class ReleasedAdapter:
    """One adapter: module -> (A (r, in), B (out, r)) per network.

    ``inert`` names the original keys that are left out because they change nothing: the release gives the temporal
    feed-forwards stage-1 matrices that stage 1 never runs, so their B stays at zero.
    """

    unet: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    projector: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    inert: tuple[str, ...] = ()


def lora_places(keys: Iterable[str], unet_config: Mapping[str, Any]) -> list[LoraPlace]:
    """Every pair of a released file and its place, each key exactly once.

    Args:
        keys: the file's names.
        unet_config: keyword arguments of the :class:`VideoUNet` that the adapters belong to.

    Raises:
        ConversionError: a key with no place, or without its other half.
    """
    keys = set(keys)
    places = []
    for key in sorted(keys):
        match = _KEY.fullmatch(key)
        if match is None:
            raise ConversionError(f"{key} has no place: it is no LoRA matrix of ShowMe's two stages")
        other = key[:-1] + ("B" if key.endswith("A") else "A")
        if other not in keys:
            raise ConversionError(f"{key} lacks its other half {other}")
        if key.endswith("A"):
            owner, stage, part = match.groups()
            places.append(_place(key, owner, stage, part, unet_config))
    return places


def _place(key: str, owner: str, stage: str, part: str, unet_config: Mapping[str, Any]) -> LoraPlace:
    for prefix, layers, rename in (
        (UNET, _UNET_LAYERS, lambda names: unet_keys(names, unet_config)),
        (PROJECTOR, _PROJECTOR_LAYERS, projector_keys),
    ):
        if owner.startswith(prefix) and part in layers:
            weight = f"{owner[len(prefix) :]}.{layers[part]}.weight"
            module = rename([weight])[weight].removesuffix(".weight")
            untrained = stage == "stage1" and "temporal" in module
            return LoraPlace(_ADAPTERS[stage], prefix, module, part, key, key[:-1] + "B", untrained)
    raise ConversionError(f"{key} has no place in the UNet or the image projector")


def convert_lora(weights: Mapping[str, Tensor], unet_config: Mapping[str, Any]) -> dict[str, ReleasedAdapter]:
    """Adapter name -> its matrices, from one released file or from both together.

    Args:
        weights: what the files hold.
        unet_config: as for :func:`lora_places`.

    Raises:
        ConversionError: as :func:`lora_places` says, or two matrices that do not fit each other.
    """
    adapters: dict[str, ReleasedAdapter] = {}
    halves: dict[tuple[str, str], dict[str, tuple[Tensor, Tensor]]] = {}
    for place in lora_places(weights, unet_config):
        adapter = adapters.setdefault(place.adapter, ReleasedAdapter())
        a, b = weights[place.a].T, weights[place.b].T
        if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1]:
            raise ConversionError(f"{place.a} {tuple(a.T.shape)} and {place.b} {tuple(b.T.shape)} are no pair")
        if place.untrained and not b.any():
            adapter.inert += (place.a, place.b)
        elif place.network == UNET:
            adapter.unet[place.module] = (a, b)
        elif place.module.endswith("to_kv"):
            halves.setdefault((place.adapter, place.module), {})[place.part[-1]] = (a, b)
        else:
            adapter.projector[place.module] = (a, b)
    for (name, module), pair in halves.items():
        adapters[name].projector[module] = _key_and_value(module, pair)
    return adapters


def _key_and_value(module: str, pair: Mapping[str, tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The release adapts keys and values of one fused layer apart: [B_k 0; 0 B_v] [A_k; A_v] is both at once."""
    if set(pair) != {"k", "v"}:
        raise ConversionError(f"{module} has adapters for {' and '.join(sorted(pair))} alone, not for k and v")
    return torch.cat([pair["k"][0], pair["v"][0]]), torch.block_diag(pair["k"][1], pair["v"][1])


def peft_adapter(pairs: Mapping[str, tuple[Tensor, Tensor]]) -> tuple[LoraConfig, dict[str, Tensor]]:
    """Module -> (A, B) as peft's settings (scale 1 whatever the rank) and state."""
    ranks = {module: a.shape[0] for module, (a, _) in pairs.items()}
    usual = Counter(ranks.values()).most_common(1)[0][0]
    others = {module: rank for module, rank in ranks.items() if rank != usual}
    config = LoraConfig(
        r=usual,
        lora_alpha=usual,
        rank_pattern=others,
        alpha_pattern=dict(others),
        target_modules=sorted(pairs),
    )
    state: dict[str, Tensor] = {}
    for module, (a, b) in pairs.items():
        state |= {f"{module}.lora_A.weight": a.contiguous(), f"{module}.lora_B.weight": b.contiguous()}
    return config, state
