"""Bytes of weights by the settings of ``memory``: on the accelerator, and in main memory where they wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..backbones.base import Backbone
from ..backbones.lora import is_of_an_adapter
from ..run_config import MemoryConfig

# Bytes per frozen weight.
_WHOLE, _HALF = {"fp32": 4}, 2
# Of those below 16 bits, with the scales beside them: 4 bytes for each row, or 2 for each 64 weights.
_BELOW = {"fp8": 1.0, "int8": 1.0, "int4": 0.5 + 2 / 64}
_SCALE = {"fp8": 4, "int8": 4, "int4": 0}
# The unit that runs, and the one that comes ahead of its turn.
_UNITS_THERE = 2


@dataclass(frozen=True)
class Weights:
    """Bytes of a pipeline's weights.

    Attributes:
        frozen: of the denoiser and what stands beside it, on the accelerator.
        encoders: of the encoders and the codec.
        waiting: frozen ones that wait in main memory.
        trained: in fp32.
        widened: of the largest layer below 16 bits, which is widened when it runs; 0: none is.
    """

    frozen: int
    encoders: int
    waiting: int
    trained: int
    widened: int

    @property
    def loaded(self) -> int:
        """What is read into main memory before it is moved, where nothing waits there."""
        return self.frozen + self.encoders + self.trained


def narrow(networks: Iterable[nn.Module]) -> None:
    """Give frozen weights 16 bits, in which they compute; called when it is known what is trained."""
    for network in networks:
        done: dict[int, nn.Parameter] = {}
        for module, name, parameter in list(_frozen(network)):
            if parameter.dtype == torch.float32:
                half = nn.Parameter(parameter.detach().to(torch.bfloat16), requires_grad=False)
                module._parameters[name] = done.setdefault(id(parameter), half)


def weigh(backbone: Backbone, networks: Mapping[str, nn.Module], memory: MemoryConfig) -> Weights:
    """What the settings make of a pipeline's networks.

    Args:
        backbone: whose ``units`` wait in turn, and whose encoders are told apart.
        networks: those that are there, by the names of components.
        memory: the settings.
    """
    layers = {id(parameter) for unit in backbone.units for parameter in unit.parameters()}
    encoders = {id(encoder) for encoder in backbone.encoders.values()}
    frozen = beside = widened = 0
    for network in networks.values():
        size = 0
        for parameter in _not_trained(network):
            below = memory.base in _BELOW and id(parameter) in layers and parameter.ndim > 1
            size += _size(parameter, memory.base, below)
            widened = max(widened, _HALF * parameter.numel()) if below else widened
        size += sum(each.numel() * each.element_size() for each in network.buffers())
        size += sum(4 * p.numel() for name, p in network.named_parameters() if _is_resting(network, name, p))
        beside, frozen = (beside + size, frozen) if id(network) in encoders else (beside, frozen + size)
    trained = sum(4 * p.numel() for network in networks.values() for p in network.parameters() if p.requires_grad)
    waiting = 0
    if memory.offload:
        sizes = sorted(_unit_size(unit, memory.base) for unit in backbone.units)
        waiting = sum(sizes)
        frozen -= waiting - sum(sizes[-_UNITS_THERE:])
    return Weights(frozen, beside, waiting, trained, widened)


def _unit_size(unit: nn.Module, base: str) -> int:
    return sum(_size(p, base, base in _BELOW and p.ndim > 1) for p in _not_trained(unit))


def _size(parameter: Tensor, base: str, below: bool) -> int:
    if below:
        return round(parameter.numel() * _BELOW[base]) + _SCALE[base] * parameter.shape[0]
    return parameter.numel() * (_WHOLE.get(base, _HALF) if parameter.is_floating_point() else parameter.element_size())


def _not_trained(network: nn.Module) -> Iterator[Tensor]:
    """Each once, however many places it is tied to."""
    return iter({id(parameter): parameter for _, _, parameter in _frozen(network)}.values())


def _is_resting(network: nn.Module, name: str, parameter: Tensor) -> bool:
    """Whether it belongs to an adapter that is not trained now: these keep fp32."""
    return not parameter.requires_grad and is_of_an_adapter(network, name)


def _frozen(network: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor]]:
    """Module, name there, and parameter of all that is frozen and no adapter's; tied ones in each of their places."""
    for prefix, module in network.named_modules():
        for name, parameter in module._parameters.items():
            whole = f"{prefix}.{name}"
            if parameter is not None and not parameter.requires_grad and not is_of_an_adapter(network, whole):
                yield module, name, parameter
