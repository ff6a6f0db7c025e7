"""What tensors without values answer, and what stays real beside them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils.checkpoint import checkpoint

from showme.forecast.weightless import without_values


def test_a_question_is_answered_with_what_takes_most():
    with without_values(card=True):
        x = torch.randn(4, 5)
        assert bool((x > 0).all())
        assert (x > 0).nonzero().shape == (20, 2)
        assert x[x > 0].shape == (20,)
        assert x[:, torch.tensor([0, 2])].shape == (4, 2)
        assert not x.numpy().any()


def test_real_tensors_stay_real_among_themselves():
    with without_values(card=True) as mode:
        given = torch.tensor([1.0, -1.0])
        assert not bool((given > 0).all())
        assert float(torch.rand((), generator=torch.Generator().manual_seed(0))) < 1
        assert isinstance(given + torch.zeros(2), FakeTensor)
        with mode.apart():
            assert not isinstance(torch.zeros(2), FakeTensor)


def test_autocast_widens_as_on_a_card():
    found = {}
    for card in (True, False):
        with without_values(card), torch.autocast("cpu", torch.bfloat16):
            x = nn.Linear(8, 8)(torch.zeros(2, 8))
            assert x.dtype == torch.bfloat16
            found[card] = F.layer_norm(x, (8,)).dtype
    assert found == {True: torch.float32, False: torch.bfloat16}


def test_moving_changes_dtypes_alone():
    with without_values(card=True):
        layer = nn.Linear(8, 8).to("cpu", torch.bfloat16)
        assert layer.weight.dtype == torch.bfloat16
        assert isinstance(layer.weight, FakeTensor)


def test_what_is_recomputed_is_widened_as_before():
    with without_values(card=True):
        layers = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8))
        with torch.autocast("cpu", torch.bfloat16):
            result = checkpoint(layers, torch.zeros(2, 8), use_reentrant=False)
        torch.autograd.backward(result.sum())
        assert layers[0].weight.grad.shape == (8, 8)
