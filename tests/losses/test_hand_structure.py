"""IVG's hand structure loss against its equation, at its edges, and its gradient."""

from __future__ import annotations

import pytest
import torch

from showme.losses.hand_structure import hand_structure_loss


def _joints(seed: int, shape=(2, 3, 2)) -> torch.Tensor:
    return torch.rand(*shape, 21, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_it_is_equation_2():
    made, truth = _joints(0), _joints(1)
    presence = torch.ones(2, 3, 2, dtype=torch.float64)
    wanted = [((m - t) ** 2).flatten(1).sum(1).div(42).mean() for m, t in zip(made, truth, strict=True)]
    assert hand_structure_loss(made, presence, truth, 0.5).tolist() == pytest.approx([float(w) for w in wanted])
    assert not hand_structure_loss(truth, presence, truth, 0.5).any()


def test_frames_and_hands_that_are_not_there_do_not_count():
    made, truth = _joints(2), _joints(3)
    presence = torch.ones(2, 3, 2, dtype=torch.float64)
    truth[0, 0, 1] = torch.nan
    truth[0, 1] = torch.nan
    truth[1] = torch.nan
    found = hand_structure_loss(made, presence, truth, 0.5)
    first = ((made[0, 0, 0] - truth[0, 0, 0]) ** 2).sum() / 21
    third = ((made[0, 2] - truth[0, 2]) ** 2).sum() / 42
    assert float(found[0]) == pytest.approx(float((first + third) / 2))
    assert float(found[1]) == 0


def test_a_hand_that_is_lacked_stands_in_the_corner():
    made, truth = _joints(4), _joints(5)
    lacked = hand_structure_loss(made, torch.zeros(2, 3, 2, dtype=torch.float64), truth, 0.5)
    assert lacked.tolist() == pytest.approx((truth**2).flatten(2).sum(-1).div(42).mean(1).tolist())
    sure = [hand_structure_loss(made, torch.full((2, 3, 2), p, dtype=torch.float64), truth, 0.5) for p in (0.5, 0.9)]
    assert torch.equal(*sure)


def test_the_gradient_agrees_with_finite_differences_and_asks_for_the_hand():
    made, truth = _joints(6, (1, 2, 2)).requires_grad_(), _joints(7, (1, 2, 2))
    truth[0, 1, 1] = torch.nan
    presence = torch.tensor([[[0.2, 0.9], [0.3, 0.1]]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda j, p: hand_structure_loss(j, p, truth, 0.5), (made, presence))
    near = truth.nan_to_num().clone()
    (slope,) = torch.autograd.grad(hand_structure_loss(near, presence, truth, 0.5).sum(), presence)
    # Where the joints are right, more presence is less loss; above the threshold and without a hand it is nothing.
    assert slope[0, 0, 0] < 0
    assert slope[0, 0, 1] == slope[0, 1, 1] == 0
    assert torch.isfinite(slope).all()
