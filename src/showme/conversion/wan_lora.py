"""LoRA of Wan under the names of other tools, and back: diffusers', and the authors', which ComfyUI reads.

Ours are diffusers' names without a prefix, ``blocks.0.attn1.to_q.lora_A.weight``, at scale 1 whatever the rank.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from peft import LoraConfig
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..backbones.lora import lora_config
from ..errors import InputError, first_line
from ..staged_files import staged

Tool = Literal["diffusers", "comfyui"]
_PREFIXES: dict[Tool, str] = {"diffusers": "transformer.", "comfyui": "diffusion_model."}
# Layers of a block: diffusers' name, the authors'.
_LAYERS = {
    "attn1.to_q": "self_attn.q",
    "attn1.to_k": "self_attn.k",
    "attn1.to_v": "self_attn.v",
    "attn1.to_out.0": "self_attn.o",
    "attn2.to_q": "cross_attn.q",
    "attn2.to_k": "cross_attn.k",
    "attn2.to_v": "cross_attn.v",
    "attn2.to_out.0": "cross_attn.o",
    "attn2.add_k_proj": "cross_attn.k_img",
    "attn2.add_v_proj": "cross_attn.v_img",
    "ffn.net.0.proj": "ffn.0",
    "ffn.net.2": "ffn.2",
}
_OURS = {theirs: ours for ours, theirs in _LAYERS.items()}
_KEY = re.compile(
    r"(?:(?:base_model\.model\.)?(?:transformer|diffusion_model)\.)?blocks\.(?P<block>\d+)\.(?P<layer>.+?)\."
    r"(?P<part>lora_A|lora_B|lora_down|lora_up|alpha)(?:\.default)?(?:\.weight)?"
)
_PARTS = {"lora_A": "lora_A", "lora_down": "lora_A", "lora_B": "lora_B", "lora_up": "lora_B", "alpha": "alpha"}


def write_lora(state: Mapping[str, Tensor], path: Path, to: Tool) -> None:
    """Write an adapter as another tool reads it.

    Args:
        state: of :func:`showme.backbones.lora.adapter_state`.
        path: the file.
        to: the tool.

    Raises:
        InputError: a layer that has no name there, or a place that cannot be written to.
    """
    renamed = {_PREFIXES[to] + _renamed(key, to): value.contiguous() for key, value in state.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with staged(path) as draft:
            save_file(renamed, draft, {"format": "pt"})
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): choose another place.") from error


def _renamed(key: str, to: Tool) -> str:
    if to == "diffusers":
        return key
    found = _KEY.fullmatch(key)
    if found is None or found["layer"] not in _LAYERS:
        raise InputError(f"{key} is a layer that ComfyUI's Wan has no name for: write it for diffusers.")
    return f"blocks.{found['block']}.{_LAYERS[found['layer']]}.{found['part']}.weight"


def read_lora(path: Path) -> tuple[LoraConfig, dict[str, Tensor]]:
    """An adapter that any of these tools wrote, under our names, its scale within its weights.

    Raises:
        InputError: no such file, a key that is none of a LoRA of Wan, or a layer without both of its matrices.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read as safetensors ({first_line(error)}): fetch it again.") from error
    layers: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        name, part = _placed(key, path)
        if part in layers.setdefault(name, {}):
            raise InputError(f"{path} names {name}.{part} twice, last as {key}: it is damaged.")
        layers[name][part] = tensor
    state: dict[str, Tensor] = {}
    ranks: dict[str, int] = {}
    for name, parts in layers.items():
        if not {"lora_A", "lora_B"} <= parts.keys():
            raise InputError(f"{path} has of {name} only {', '.join(sorted(parts))}: fetch it again.")
        down, up = parts["lora_A"], parts["lora_B"]
        ranks[name] = len(down)
        scale = float(parts["alpha"]) / len(down) if "alpha" in parts else 1.0
        state |= {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up * scale}
    if not state:
        raise InputError(f"{path} holds no LoRA: choose a file that does.")
    return _config(ranks), state


def _placed(key: str, path: Path) -> tuple[str, str]:
    """A key as our layer's name and the part of it."""
    found = _KEY.fullmatch(key)
    layer = None if found is None else found["layer"] if found["layer"] in _LAYERS else _OURS.get(found["layer"])
    if found is None or layer is None:
        raise InputError(f"{path} holds {key}, which has no place in a LoRA of Wan: choose another file.")
    return f"blocks.{found['block']}.{layer}", _PARTS[found["part"]]


def _config(ranks: Mapping[str, int]) -> LoraConfig:
    """Of layers and their ranks."""
    usual = max(ranks.values(), key=list(ranks.values()).count)
    config = lora_config(list(ranks), usual, 0.0)
    others = {re.escape(name): rank for name, rank in ranks.items() if rank != usual}
    config.rank_pattern, config.alpha_pattern = others, dict(others)
    return config
