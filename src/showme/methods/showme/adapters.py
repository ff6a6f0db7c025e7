"""The two named LoRA adapters (arXiv 2511.17839, figure 2): where they sit, which task uses which, and their files."""

from __future__ import annotations

import contextlib
import json
import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ...errors import InputError, first_line
from .merging import merged
from .tasks import ACTIVE_ADAPTERS, LORA_CONFIG, STATE_IMAGE, STATE_VIDEO

# A VideoUNet or an ImageProjector: mypy does not see what diffusers' mixins give them.
Network = Any

# q, k, v of every attention (not to_out) and both feed-forward projections, as in the released configuration.
_ATTENTION = r"attn[12]\.to_(q|k|v|k_ip|v_ip)"
_FEED_FORWARD = r"ff\.proj_(in|out)"
_SPATIAL = r".*spatial_attention\."
_TEMPORAL = r".*temporal_(attention|in)\."
_PROJECTOR = r"attentions\.\d+\.to_(q|kv)"


def lora_config(
    unet: nn.Module, adapter: str, rank: int, dropout: float, feed_forward_rank: int | None = None
) -> LoraConfig:
    """The adapter's places in ``unet``: spatial layers for ``state_image``, spatial and temporal for ``state_video``.

    The scale is 1 whatever the rank (lora_alpha = r), as in the released code: y = W x + B A x.

    Args:
        unet: the network.
        adapter: its name.
        rank: of attention.
        dropout: on the adapter's input.
        feed_forward_rank: of feed-forward layers; as ``rank`` when None, left out when 0.

    Raises:
        ValueError: another adapter name.
    """
    halves = {STATE_IMAGE: (_SPATIAL,), STATE_VIDEO: (_SPATIAL, _TEMPORAL)}
    if adapter not in halves:
        raise ValueError(f"adapter {adapter!r}: choose {STATE_IMAGE} or {STATE_VIDEO}.")
    feed_forward_rank = rank if feed_forward_rank is None else feed_forward_rank
    leaf = f"({_ATTENTION}|{_FEED_FORWARD})" if feed_forward_rank else _ATTENTION
    pattern = "|".join(f"({half}{leaf})" for half in halves[adapter])
    other = {f".*{_FEED_FORWARD}": feed_forward_rank} if feed_forward_rank not in (0, rank) else {}
    return _config(unet, pattern, rank, dropout, other)


def projector_lora_config(projector: nn.Module, rank: int, dropout: float) -> LoraConfig:
    """LoRA on the q, k, v of the Q-Former's attentions. Keys and values are one matrix here, with twice the rank."""
    return _config(projector, _PROJECTOR, rank, dropout, {r".*to_kv": 2 * rank})


def _config(network: nn.Module, pattern: str, rank: int, dropout: float, other: dict[str, int]) -> LoraConfig:
    targets = [name for name, _ in network.named_modules() if re.fullmatch(pattern, name)]
    return LoraConfig(
        r=rank, lora_alpha=rank, lora_dropout=dropout, target_modules=targets, rank_pattern=other, alpha_pattern=other
    )


def add_fresh_adapter(network: Network, name: str, config: LoraConfig) -> None:
    """Add an adapter that changes nothing yet: A ~ N(0, 1/r), B = 0, as the released code begins."""
    with warnings.catch_warnings():
        # A second adapter is what this model has.
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")
        network.add_adapter(config, name)
    layers: list[Any] = [layer for layer in network.modules() if isinstance(layer, LoraLayer)]
    for layer in layers:
        if name in layer.lora_A:
            torch.nn.init.normal_(layer.lora_A[name].weight, std=layer.r[name] ** -0.5)


@contextlib.contextmanager
def active_adapters(unet: Network, task: str) -> Iterator[None]:
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
    if hasattr(unet, "_hf_hook"):
        unet.enable_adapters()
        unet.set_adapters(names)
        yield
        return
    with merged(unet, names):
        yield


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


def load_adapter(network: Network, path: Path) -> None:
    """Add the adapter in ``path`` to ``network`` under the file's name.

    Raises:
        InputError: a tensor missing, unknown or misshapen, or a file that :func:`save_adapters` did not write.
    """
    name = path.stem
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    if LORA_CONFIG not in metadata:
        raise InputError(f"{path} has no {LORA_CONFIG} in its header: save the adapter with save_adapters.")
    attach_adapter(network, name, LoraConfig(**json.loads(metadata[LORA_CONFIG])), state, path)


def attach_adapter(network: Network, name: str, config: LoraConfig, state: dict[str, Tensor], origin: Path) -> None:
    """Add an adapter to ``network`` and fill it, every tensor in its place once.

    Args:
        network: what it belongs to.
        name: its name there.
        config: peft's settings.
        state: its tensors, named as :func:`adapter_state` names them.
        origin: the file that they came from, for messages.

    Raises:
        InputError: a tensor missing, unknown or misshapen.
    """
    with warnings.catch_warnings():
        # A second adapter is what this model has.
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")
        network.add_adapter(config, name)
    expected = set(adapter_state(network, name))
    check_keys(origin, expected - set(state), set(state) - expected)
    try:
        set_peft_model_state_dict(network, state, adapter_name=name)
    except RuntimeError as error:
        raise InputError(f"{origin} does not fit the network ({first_line(error)}).") from error


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
