"""Blocks of a network that wait in main memory and come to the accelerator for their turn, one ahead of it.

A block's weights are copied when it runs and dropped after it; with gradient checkpointing it runs again in the
backward pass, where the same happens in the other order. So the accelerator holds the weights of two blocks, however
many there are, and what trains stays there. It costs the way of all frozen weights, twice a step, beside the computing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..errors import InputError


class BlockLoader:
    """The blocks of a network, in the order of their turns.

    Args:
        blocks: whose weights wait.
        device: where they run.
    """

    def __init__(self, blocks: nn.ModuleList, device: torch.device):
        self.device = device
        self._order = list(blocks)
        # What is on its way or there: by the block's number.
        self._coming: dict[int, tuple[dict[str, Tensor], Any]] = {}
        self._last = -1
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def run(self, block: nn.Module, *arguments: Any) -> Tensor:
        """``block(*arguments)`` with the block's weights on the device."""
        number = self._order.index(block)
        weights = self._arrived(number)
        # The next in this direction: the backward pass comes from the other end.
        ahead = number + (1 if number >= self._last else -1)
        self._last = number
        if self._stream is not None and 0 <= ahead < len(self._order) and ahead not in self._coming:
            self._coming = {ahead: self._copied(ahead)}
        return functional_call(block, weights, arguments)

    def _copied(self, number: int) -> tuple[dict[str, Tensor], Any]:
        """Copies of a block's weights, and the event after which they are whole."""
        waiting = self._order[number].named_parameters()
        with torch.cuda.stream(self._stream):
            copies = {
                name: parameter.detach().to(self.device, non_blocking=True)
                for name, parameter in waiting
                if not parameter.requires_grad
            }
            done = torch.cuda.Event()
            done.record(self._stream)
        return copies, done

    def _arrived(self, number: int) -> dict[str, Tensor]:
        if self._stream is None:
            waiting = self._order[number].named_parameters()
            return {name: each.detach().to(self.device) for name, each in waiting if not each.requires_grad}
        copies, done = self._coming.pop(number) if number in self._coming else self._copied(number)
        current = torch.cuda.current_stream(self.device)
        current.wait_event(done)
        for copy in copies.values():
            # Made on another stream: their memory is not given away before this one is through with them.
            copy.record_stream(current)
        return copies


def wait(network: Any, device: torch.device, name: str = "memory.offload") -> None:
    """Have a network's blocks wait in main memory, and move all else, and what trains in them, to a device.

    It is called again when other parameters train.

    Args:
        network: whose blocks wait.
        device: where they run.
        name: of the setting that asks for it, for messages.

    Raises:
        InputError: a network without blocks that can wait.
    """
    if not hasattr(network, "run_block"):
        raise InputError(f"{name}: {type(network).__name__} has no blocks that can wait: it is for Wan.")
    blocks = network.blocks
    frozen = {parameter for parameter in blocks.parameters() if not parameter.requires_grad}
    for module in network.modules():
        for parameter in module._parameters.values():
            if parameter is not None and parameter not in frozen:
                parameter.data = parameter.data.to(device)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = buffer.to(device)
    if device.type == "cuda":
        for parameter in frozen:
            parameter.data = parameter.data.pin_memory()
    network.run_block = BlockLoader(blocks, device).run


def bring(network: Any, device: torch.device) -> None:
    """Move a network to a device, but for blocks that wait."""
    if waits(network):
        wait(network, device)
    else:
        network.to(device)


def waits(network: Any) -> bool:
    """Whether blocks of a network wait."""
    return isinstance(getattr(getattr(network, "run_block", None), "__self__", None), BlockLoader)
