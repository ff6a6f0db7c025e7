"""Networks and tensors that have shapes and no values: what is asked of them runs, and takes no memory.

Tensors without values are torch's fake ones, of the CPU: with a graphics card's there is no backward pass on a machine
that has none. Where a card would round, keep or compute in another way than a CPU, that is put in place here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_iter, tree_map

from ..models.dot_product import fused_attention

_aten = torch.ops.aten
_NUMPY = {
    torch.uint8: np.uint8, torch.bool: np.bool_, torch.int64: np.int64, torch.float32: np.float32,
    torch.float64: np.float64,
}  # fmt: skip
# What autocast on a CUDA device widens and autocast on a CPU does not, of all that our networks call.
_WIDENED = {
    F.layer_norm, torch.layer_norm, F.group_norm, torch.group_norm, F.softmax, torch.softmax, Tensor.softmax,
    F.log_softmax, torch.log_softmax, F.mse_loss, F.l1_loss, F.softplus, torch.exp, Tensor.exp, torch.log, Tensor.log,
    torch.pow, Tensor.pow, Tensor.__pow__, torch.rsqrt, Tensor.rsqrt, torch.sum, Tensor.sum, torch.cumsum,
    Tensor.cumsum, torch.norm, Tensor.norm, F.normalize, F.cosine_similarity, torch.prod, Tensor.prod,
}  # fmt: skip


class Weightless(FakeTensorMode):
    """While open, new tensors have no values. Real ones stay real among themselves, and lose theirs beside others.

    A question whose answer is a value is answered with what takes the most memory: a condition holds, every entry is
    chosen.
    """

    def __init__(self) -> None:
        super().__init__(allow_non_fake_inputs=True)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [value for value in tree_iter((args, kwargs)) if isinstance(value, Tensor)]
        real = not any(isinstance(value, FakeTensor) for value in tensors)
        if real and (tensors or kwargs.get("generator") is not None):
            # What is drawn for one sample is small, and decides which part of a clip it is of.
            return func(*args, **kwargs)
        if func is _aten._local_scalar_dense.default:
            return _one(args[0].dtype)
        if func is _aten.nonzero.default:
            return self._empty(args[0].numel(), args[0].ndim)
        if func in (_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default):
            numbers = [each for index in args[1] for each in self._by_numbers(index)]
            args = (args[0], numbers, *args[2:])
        return super().__torch_dispatch__(func, types, args, kwargs)

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """While open, new tensors have values, as those that are read from files need."""
        with unset_fake_temporarily():
            yield

    def like(self, value: Tensor) -> Tensor:
        """The same without values."""
        blank = torch.empty_like(value)
        return nn.Parameter(blank, value.requires_grad) if isinstance(value, nn.Parameter) else blank

    def _by_numbers(self, index: Tensor | None) -> list[Tensor | None]:
        """A mask of what is chosen as the numbers of all there are, one tensor for each of its dimensions."""
        if index is None or index.dtype not in (torch.bool, torch.uint8):
            return [index]
        return [self._empty(index.numel()) for _ in range(index.ndim)]

    def _empty(self, *shape: int) -> Tensor:
        with self:
            return torch.empty(shape, dtype=torch.long)


def _one(dtype: torch.dtype) -> bool | int | float:
    if dtype is torch.bool:
        return True
    return 1.0 if dtype.is_floating_point else 1


class _Asked(TorchFunctionMode):
    """What is asked of tensors by name: their values, zeros where there are none; and widened as on a card."""

    def __init__(self, card: bool):
        super().__init__()
        self.card = card

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.numpy and isinstance(args[0], FakeTensor):
            return np.zeros(tuple(args[0].shape), _NUMPY[args[0].dtype])
        if func is torch.autograd.backward:
            # This mode is closed while it answers, and what is recomputed is to be as it was computed.
            with self:
                return _backward(*args[0])
        if self.card and func in _WIDENED and torch.is_autocast_enabled("cpu"):
            args, kwargs = tree_map(_wide, (args, kwargs))
        return func(*args, **kwargs)


def _backward(loss: Tensor) -> None:
    """``torch.autograd.backward`` of a scalar, past its question of which modes are open."""
    engine: Any = torch.autograd.Variable._execution_engine
    engine.run_backward(
        (loss,), (torch.ones_like(loss),), False, False, (), allow_unreachable=True, accumulate_grad=True
    )


def _wide(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16) else value


@contextlib.contextmanager
def without_values(card: bool) -> Iterator[Weightless]:
    """While open, new tensors have no values.

    Args:
        card: whether they lie on a graphics card, else on a CPU: attention is fused there, and autocast widens more.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(nn.Module, "to", _moved))
        if card:
            stack.enter_context(fused_attention())
        mode = stack.enter_context(Weightless())
        stack.enter_context(_Asked(card))
        yield mode


def _moved(module: nn.Module, *arguments: Any, **named: Any) -> nn.Module:
    """As ``Module.to``, which cannot exchange parameters without values: all lie on one device, dtypes alone change."""
    dtype = torch._C._nn._parse_to(*arguments, **named)[1]
    for each in module.modules() if dtype is not None else ():
        for name, parameter in each._parameters.items():
            if parameter is not None and parameter.is_floating_point() and parameter.dtype != dtype:
                each._parameters[name] = nn.Parameter(parameter.detach().to(dtype), parameter.requires_grad)
    return module
