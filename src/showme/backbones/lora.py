"""Named LoRA adapters on any network: where they sit, which are active, and their files."""

from __future__ import annotations

import contextlib
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..bundle import LORA_CONFIG
from ..errors import InputError, first_line
from .merging import merged
from .waiting import waits

# In an adapter's settings: modules that are kept with it. And the network's methods that add and remove each.
_KEPT = "kept_modules"
_ADDED_BY = {
    "conv_in_masked": ("add_mask_entrance", "remove_mask_entrance"),
    "region_embedding": ("add_region_entrance", "remove_region_entrance"),
}

# A network of ours or of diffusers: mypy does not see what diffusers' mixins give them.
Network = Any


def lora_config(
    names: Sequence[str], rank: int, dropout: float, other: tuple[Sequence[str], int] = ((), 0)
) -> LoraConfig:
    """LoRA on layers of a network, at scale 1 whatever the rank (lora_alpha = r): y = W x + B A x.

    Args:
        names: of the layers, in full.
        rank: of most of them.
        dropout: on the adapter's input.
        other: of ``names``, those of another rank, and that rank.
    """
    ranks = {re.escape(name): other[1] for name in other[0] if other[1] != rank}
    return LoraConfig(
        r=rank,
        lora_alpha=rank,
        lora_dropout=dropout,
        target_modules=list(names),
        rank_pattern=ranks,
        alpha_pattern=dict(ranks),
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


def drop_adapter(network: Network, name: str) -> None:
    """Take an adapter away, and the modules that are kept with it."""
    with warnings.catch_warnings():
        # It was active: which are active is said afterwards.
        warnings.filterwarnings("ignore", message="Adapter .* was active which is now deleted")
        network.delete_adapters(name)
    for module in kept_modules(network).pop(name, ()):
        getattr(network, _ADDED_BY[module][1])()


@contextlib.contextmanager
def active_adapters(network: Network, names: Sequence[str], beside: bool = False) -> Iterator[None]:
    """While open, ``network`` runs with those of the named adapters that it has and no others, at the cost of a network
    without any.

    Their weights are added to the layers' own (W + B A) for the time being and taken back by putting the old tensors
    in place again, so that nothing drifts however often the task changes. A network that is moved between devices, or
    whose layers are packed, keeps them as they are and runs the adapters beside them, and so does any with ``beside``.
    """
    present = [name for name in names if name in getattr(network, "peft_config", {})]
    if not present:
        yield
        return
    if beside or waits(network) or hasattr(network, "_hf_hook") or getattr(network, "hf_quantizer", None) is not None:
        network.enable_adapters()
        network.set_adapters(present)
        yield
        return
    with merged(network, present):
        yield


def trained_adapters(network: nn.Module) -> set[str]:
    """Names of the adapters whose weights take gradients."""
    layers = [layer for layer in network.modules() if isinstance(layer, LoraLayer)]
    return {name for layer in layers for name, a in layer.lora_A.items() if a.weight.requires_grad}


@contextlib.contextmanager
def silenced(network: nn.Module, names: Iterable[str]) -> Iterator[None]:
    """While open, the named adapters add nothing. Which are active stays as it is, and with it which are trained: peft
    ties the two together."""
    layers: list[Any] = [layer for layer in network.modules() if isinstance(layer, LoraLayer)]
    kept = [(layer, name, layer.scaling[name]) for layer in layers for name in names if name in layer.scaling]
    for layer, name, _ in kept:
        layer.scaling[name] = 0.0
    try:
        yield
    finally:
        for layer, name, scale in kept:
            layer.scaling[name] = scale


def adapter_state(network: nn.Module, name: str) -> dict[str, Tensor]:
    """The tensors of one adapter, named as peft names them in files (without the adapter's name)."""
    return get_peft_model_state_dict(network, adapter_name=name)


def kept_modules(network: nn.Module) -> dict[str, tuple[str, ...]]:
    """Adapter -> names of modules that are kept with it, whole: what it adds to the network beside LoRA."""
    return network.__dict__.setdefault("_showme_kept_modules", {})


def is_of_an_adapter(network: nn.Module, parameter: str) -> bool:
    """Whether a parameter of ``network`` belongs to one of its adapters."""
    names = [name for names in kept_modules(network).values() for name in names]
    return ".lora_" in parameter or any(parameter.startswith(f"{name}.") for name in names)


def save_adapters(network: nn.Module, folder: Path, dtype: torch.dtype | None = None) -> None:
    """One safetensors file per adapter of ``network``; its LoraConfig stands in the header under ``lora_config``.

    Args:
        network: with adapters, or without: then nothing is written.
        folder: made if there is something to write.
        dtype: precision on disk; None keeps each tensor's own.
    """
    for name, config in getattr(network, "peft_config", {}).items():
        folder.mkdir(parents=True, exist_ok=True)
        state = {key: cast(value, dtype).contiguous() for key, value in adapter_state(network, name).items()}
        settings = _config_dict(config, state)
        if kept := kept_modules(network).get(name):
            settings[_KEPT] = list(kept)
            state |= {key: cast(value, dtype).contiguous() for key, value in _kept_state(network, kept).items()}
        _write(state, settings, folder / f"{name}.safetensors")


def write_adapter(state: dict[str, Tensor], config: LoraConfig, path: Path) -> None:
    """An adapter that no network holds, in the form of :func:`save_adapters`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write({key: value.contiguous() for key, value in state.items()}, _config_dict(config, state), path)


def _write(state: dict[str, Tensor], settings: dict[str, Any], path: Path) -> None:
    # A single entry: safetensors writes several in an order that changes from run to run.
    save_file(state, path, {LORA_CONFIG: json.dumps(settings, sort_keys=True)})


def load_adapter(network: Network, path: Path) -> None:
    """Add the adapter in ``path`` to ``network`` under the file's name.

    Raises:
        InputError: a tensor missing, unknown or misshapen, or a file that :func:`save_adapters` did not write.
    """
    place_adapter(network, *read_adapter(path), path)


def read_adapter(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of an adapter's file, and the settings in its header.

    Raises:
        InputError: a file that :func:`save_adapters` did not write.
    """
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    if LORA_CONFIG not in metadata:
        raise InputError(f"{path} has no {LORA_CONFIG} in its header: save the adapter with save_adapters.")
    return state, json.loads(metadata[LORA_CONFIG])


def place_adapter(network: Network, state: dict[str, Tensor], settings: dict[str, Any], path: Path) -> None:
    """Add what :func:`read_adapter` read of ``path`` to ``network`` under the file's name.

    Raises:
        InputError: a tensor missing, unknown or misshapen.
    """
    name = path.stem
    kept = tuple(settings.pop(_KEPT, ()))
    own = {key: state.pop(key) for key in list(state) if any(key.startswith(f"{module}.") for module in kept)}
    if kept:
        _load_kept(network, name, kept, own, path)
    attach_adapter(network, name, LoraConfig(**settings), state, path)


def _kept_state(network: nn.Module, kept: Iterable[str]) -> dict[str, Tensor]:
    return {f"{name}.{key}": each for name in kept for key, each in network.get_submodule(name).state_dict().items()}


def _load_kept(network: Network, adapter: str, kept: tuple[str, ...], state: dict[str, Tensor], origin: Path) -> None:
    """Add the modules that are kept with an adapter, and fill them.

    Raises:
        InputError: a module that the network does not know how to add, or a tensor missing, unknown or misshapen.
    """
    for module in kept:
        if module not in _ADDED_BY:
            raise InputError(f"{origin} holds a module {module!r}, which is none of this version: update showme-video.")
        getattr(network, _ADDED_BY[module][0])()
    expected = _kept_state(network, kept)
    check_keys(origin, expected.keys() - state.keys(), state.keys() - expected.keys())
    check_shapes(origin, expected, state)
    network.load_state_dict(state, strict=False)
    kept_modules(network)[adapter] = kept


def attach_adapter(network: Network, name: str, config: LoraConfig, state: dict[str, Tensor], origin: Path) -> None:
    """Add an adapter to ``network`` and fill it, every tensor in its place once.

    Args:
        network: what it belongs to.
        name: its name there; a network without values (torch's meta device) is only asked whether they fit.
        config: peft's settings.
        state: its tensors, named as :func:`adapter_state` names them.
        origin: the file that they came from, for messages.

    Raises:
        InputError: a tensor missing, unknown or misshapen.
    """
    with warnings.catch_warnings():
        # A second adapter is what this model has.
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")
        try:
            network.add_adapter(config, name)
        except ValueError as error:
            raise InputError(f"{origin} belongs to another network ({first_line(error)}).") from error
    expected = adapter_state(network, name)
    check_keys(origin, expected.keys() - state.keys(), state.keys() - expected.keys())
    check_shapes(origin, expected, state)
    if not next(network.parameters()).is_meta:
        set_peft_model_state_dict(network, state, adapter_name=name)


def check_shapes(path: Path, expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Refuse weights of other shapes, naming the first.

    Raises:
        InputError: there are such.
    """
    for key, value in expected.items():
        if value.shape != state[key].shape:
            raise InputError(
                f"{path} does not fit the network: {key} is of {tuple(state[key].shape)}, and there of "
                f"{tuple(value.shape)}: choose one that was made for it."
            )


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
