"""Adapters added to the weights of a network for the time being, at the cost of one without any."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

# Up to this size a frozen network's merged weights are kept from call to call on a CPU: the embedded model merges for
# as long as it takes a step of the image task. Of larger networks merging is a small part, and memory is what counts.
_KEPT_BYTES = 2**26


@dataclass(frozen=True)
class _Kept:
    """Merged weights and what they were made of; holding the sources keeps their addresses from being reused."""

    sources: list[Tensor]
    state: list[tuple]
    weights: list[Tensor]


_kept: WeakKeyDictionary[nn.Module, dict[tuple[str, ...], _Kept]] = WeakKeyDictionary()


def all_modules(network: nn.Module) -> Iterator[nn.Module]:
    """Every module below ``network`` and itself, in no set order and without names, whose making takes ten times as
    long in torch's own walk."""
    waiting: list[nn.Module] = [network]
    while waiting:
        module = waiting.pop()
        yield module
        waiting.extend(child for child in module._modules.values() if child is not None)


@contextlib.contextmanager
def merged(network: nn.Module, names: list[str]) -> Iterator[None]:
    """While open, the layers' own weights are W + B A of the adapters ``names``; the old tensors come back after."""
    layers: list[Any] = [module for module in all_modules(network) if isinstance(module, LoraLayer)]
    if any(layer.disable_adapters for layer in layers):
        network.enable_adapters()  # type: ignore[operator]
    bases = [layer.get_base_layer() for layer in layers]
    old = [base.weight.data for base in bases]
    weights = _merged_weights(network, layers, names)
    try:
        for layer, base, weight in zip(layers, bases, weights, strict=True):
            base.weight.data = weight
            # peft runs a layer that says so without its adapters.
            layer.merged_adapters = list(names)
        yield
    finally:
        for layer, base, weight in zip(layers, bases, old, strict=True):
            base.weight.data = weight
            layer.merged_adapters = []


def _merged_weights(network: nn.Module, layers: list[Any], names: list[str]) -> list[Tensor]:
    sources = [tensor for layer in layers for tensor in _sources(layer, names)]
    if not _may_keep(sources):
        return [_merge(layer, names) for layer in layers]
    state = [(tensor.data_ptr(), tensor._version, tensor.dtype) for tensor in sources]
    state.append(tuple(layer.scaling.get(name) for layer in layers for name in names))
    kept = _kept.setdefault(network, {})
    found = kept.get(tuple(names))
    if found is None or found.state != state:
        found = _Kept([tensor.data for tensor in sources], state, [_merge(layer, names) for layer in layers])
        if sum(weight.nbytes for weight in found.weights) <= _KEPT_BYTES:
            kept[tuple(names)] = found
    return found.weights


def _merge(layer: Any, names: list[str]) -> Tensor:
    weight = layer.get_base_layer().weight.data
    for name in names:
        if name in layer.lora_A:
            # Adapters may be trained in fp32 beside a narrower base.
            weight = (weight + layer.get_delta_weight(name)).to(weight.dtype)
    return weight


def _sources(layer: Any, names: list[str]) -> Iterator[Tensor]:
    yield layer.get_base_layer().weight
    for name in names:
        if name in layer.lora_A:
            yield layer.lora_A[name].weight
            yield layer.lora_B[name].weight


def _may_keep(sources: Iterable[Tensor]) -> bool:
    """Frozen weights on a CPU: what is trained may change without a trace, and autocast merges in another precision."""
    return not torch.is_autocast_enabled("cpu") and all(
        tensor.device.type == "cpu" and not tensor.requires_grad and not tensor.is_inference() for tensor in sources
    )
