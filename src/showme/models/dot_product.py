"""Scaled dot-product attention, by the form that is fastest where it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import torch
import torch.nn.functional as F
from torch import Tensor

# Up to this many keys the matrix of weights is small beside the queries and keys themselves.
_FEW_KEYS = 128
_always_fused = ContextVar("always_fused", default=False)


@contextlib.contextmanager
def fused_attention() -> Iterator[None]:
    """While open, attention is fused on a CPU too, as it is on a GPU: for those who ask what one would keep of it."""
    token = _always_fused.set(True)
    try:
        yield
    finally:
        _always_fused.reset(token)


def dot_product_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v for q (..., i, d), k and v (..., j, d) -> (..., i, d).

    On a CPU in bf16 torch's fused kernel is two to six times slower, forward and backward together, than the plain
    products when the keys are few, as those of a small latent are (benchmarks/attention.py). It took more than a
    quarter of a training step of the embedded model.
    """
    few = k.shape[-2] <= _FEW_KEYS and not _always_fused.get()
    if few and q.device.type == "cpu" and q.dtype is torch.bfloat16:
        weights = (q * q.shape[-1] ** -0.5) @ k.mT
        return weights.softmax(dim=-1).to(v.dtype) @ v
    return F.scaled_dot_product_attention(q, k, v)
