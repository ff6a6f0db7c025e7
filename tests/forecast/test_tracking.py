"""The tracker's bytes are those that can be said beforehand, of real tensors and of ones without values."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from showme.forecast.tracking import ACTIVATIONS, GRADIENTS, MemoryTracker
from showme.forecast.weightless import without_values

ROWS, WIDTH, FLOAT = 32, 64, 4
ACTIVATION = ROWS * WIDTH * FLOAT


@pytest.fixture(params=["real", "without values"])
def tracked(request):
    with ExitStack() as stack:
        if request.param != "real":
            stack.enter_context(without_values(card=False))
        yield stack.enter_context(MemoryTracker())


def test_a_linear_layer(tracked):
    layer = nn.Linear(WIDTH, WIDTH)
    tracked.count([*layer.parameters()], "weights")
    weights = (WIDTH * WIDTH + WIDTH) * FLOAT
    assert tracked.live == {"weights": weights, ACTIVATIONS: 0}
    handles = tracked.watch_gradients(layer.parameters())
    result = layer(torch.ones(ROWS, WIDTH))
    # What goes in, which autograd keeps, and what comes out.
    assert tracked.live[ACTIVATIONS] == 2 * ACTIVATION
    result.sum().backward()
    del result
    assert tracked.live == {"weights": weights, GRADIENTS: weights, ACTIVATIONS: 0}
    for handle in handles:
        handle.remove()


def peak_of(tracker: MemoryTracker, depth: int, recompute: bool) -> int:
    layers = [nn.Sequential(nn.Linear(WIDTH, WIDTH, bias=False), nn.Tanh(), nn.Tanh()) for _ in range(depth)]
    for layer in layers:
        tracker.count([*layer.parameters()], "weights")
    x = torch.ones(ROWS, WIDTH, requires_grad=True)
    tracker.forget_peak()
    for layer in layers:
        x = checkpoint(layer, x, use_reentrant=False) if recompute else layer(x)
    return tracker.peak[ACTIVATIONS]


def test_a_checkpointed_stack_keeps_what_goes_into_each_layer(tracked):
    # The input of every layer, and within the last what one step reads and what it makes.
    assert peak_of(tracked, 5, recompute=True) == (5 + 2) * ACTIVATION


def test_a_plain_stack_keeps_everything(tracked):
    # What goes into the first, and of every layer both results of tanh: a product is let go when they are made.
    assert peak_of(tracked, 5, recompute=False) == (1 + 2 * 5) * ACTIVATION


def test_views_count_once_and_pieces_are_rounded_up():
    with MemoryTracker(granularity=512) as tracker:
        x = torch.zeros(3)
        assert x.view(3, 1).t()[0].untyped_storage().nbytes() == 12
        assert tracker.live[ACTIVATIONS] == 512
        del x
        assert tracker.live[ACTIVATIONS] == 0
