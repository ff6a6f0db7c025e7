"""The two named LoRA adapters (arXiv 2511.17839, figure 2): where they sit, which task uses which, and their files."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ...errors import InputError
from ...models import VideoUNet

ADAPTER_FOLDER = "adapters"
LORA_CONFIG = "lora_config"

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


@contextlib.contextmanager
def active_adapters(unet: VideoUNet, task: str) -> Iterator[None]:
    """While open, ``unet`` runs with the adapters of ``task`` and no others, at the cost of a network without any.

    Their weights are added to the layers' own (W + B A) for the time being and taken back by putting the old tensors
    in place again, so that nothing drifts however often the task changes. A network that hooks move between devices
    keeps its layers as they are and runs the adapters beside them.

    Args:
        unet: a network with some of the named adapters, or with none.
        task: ``image`` or ``video``.
    """
    names = [name for name in ACTIVE_ADAPTERS[task] if name in getattr(unet, "peft_config", {})]
    if not names:
        yield
        return
    unet.enable_adapters()
    unet.set_adapters(names)
    if hasattr(unet, "_hf_hook"):
        yield
        return
    with _merged(unet, names):
        yield


@contextlib.contextmanager
def _merged(unet: VideoUNet, names: list[str]) -> Iterator[None]:
    old: list[tuple[nn.Module, Tensor]] = []
    try:
        for layer in unet.modules():
            present = [name for name in names if isinstance(layer, LoraLayer) and name in layer.lora_A]
            if present:
                base = layer.get_base_layer()
                old.append((base, base.weight.data))
                base.weight.data = base.weight.data + sum(layer.get_delta_weight(name) for name in present)
        unet.disable_adapters()
        yield
    finally:
        for base, weight in old:
            base.weight.data = weight
        unet.enable_adapters()


def adapter_state(unet: nn.Module, name: str) -> dict[str, Tensor]:
    """The tensors of one adapter, named as peft names them in files (without the adapter's name)."""
    return get_peft_model_state_dict(unet, adapter_name=name)


def save_adapters(unet: nn.Module, folder: Path, dtype: torch.dtype | None = None) -> None:
    """One safetensors file per adapter of ``unet``; its LoraConfig stands in the header under ``lora_config``.

    Args:
        unet: a network with adapters, or without: then nothing is written.
        folder: made if there is something to write.
        dtype: precision on disk; None keeps each tensor's own.
    """
    for name, config in getattr(unet, "peft_config", {}).items():
        folder.mkdir(parents=True, exist_ok=True)
        state = {key: cast(value, dtype).contiguous() for key, value in adapter_state(unet, name).items()}
        # A single entry: safetensors writes several in an order that changes from run to run.
        metadata = {LORA_CONFIG: json.dumps(_config_dict(config, state), sort_keys=True)}
        save_file(state, folder / f"{name}.safetensors", metadata)


def load_adapter(unet: VideoUNet, path: Path) -> None:
    """Add the adapter in ``path`` to ``unet`` under the file's name.

    Raises:
        InputError: a tensor missing, unknown or misshapen, or a file that :func:`save_adapters` did not write.
    """
    name = path.stem
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    if LORA_CONFIG not in metadata:
        raise InputError(f"{path} has no {LORA_CONFIG} in its header: save the adapter with save_adapters.")
    unet.add_adapter(LoraConfig(**json.loads(metadata[LORA_CONFIG])), name)
    expected = set(adapter_state(unet, name))
    check_keys(path, expected - set(state), set(state) - expected)
    try:
        set_peft_model_state_dict(unet, state, adapter_name=name)
    except RuntimeError as error:
        raise InputError(
            f"{path} does not fit the network ({str(error).strip().splitlines()[0].rstrip('.')})."
        ) from error


def check_keys(path: Path, missing: Iterable[str], unexpected: Iterable[str]) -> None:
    """Refuse weights that lack keys or hold unknown ones, naming the first three.

    Raises:
        InputError: there are such keys.
    """
    for what, keys in (("lacks", sorted(missing)), ("holds unknown", sorted(unexpected))):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise InputError(f"{path} does not fit its network: it {what} {', '.join(keys[:3])}{more}.")


@contextlib.contextmanager
def bare_weights(network: nn.Module, dtype: torch.dtype | None = None) -> Iterator[None]:
    """While open, ``network``'s state dict has no adapters, the layers' own names, and its floats cast to ``dtype``."""

    def hook(module: nn.Module, state: dict[str, Tensor], prefix: str, metadata: dict) -> None:
        for key in list(state):
            value = state.pop(key)
            if ".lora_" not in key:
                state[key.replace(".base_layer.", ".")] = cast(value, dtype)

    handle = network.register_state_dict_post_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def cast(value: Tensor, dtype: torch.dtype | None) -> Tensor:
    """Floating-point tensors in ``dtype``; others, and all when it is None, as they are."""
    return value.to(dtype) if dtype is not None and value.is_floating_point() else value


def _config_dict(config: LoraConfig, state: Iterable[str]) -> dict[str, Any]:
    """The settings that differ from peft's defaults, so that another version of peft can read them too.

    The target modules are named in full: peft shortens them to endings that are unique only in the network at hand.
    """
    defaults = LoraConfig().to_dict()
    settings = {key: value for key, value in config.to_dict().items() if value != defaults[key]}
    settings["target_modules"] = sorted({key.rsplit(".lora_", 1)[0] for key in state})
    return {key: sorted(value) if isinstance(value, set) else value for key, value in settings.items()}
