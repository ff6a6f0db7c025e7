"""AnimateAnything's motion strength: its value by hand, and the gradient of its term."""

from __future__ import annotations

import torch

from showme.losses.motion_strength import motion_strength, motion_strength_loss


def test_it_is_ten_times_the_mean_change_summed_over_channels():
    latents = torch.zeros(2, 4, 3, 2, 2)
    latents[0, 0, 1] = 0.5
    # Channel 0 rises by 0.5 and falls by 0.5: a mean change of 0.5.
    latents[1, 2, 2, 0, 0] = -2.0
    # Channel 2: one of four places, in one of two steps, changes by 2.
    torch.testing.assert_close(motion_strength(latents), torch.tensor([5.0, 2.5]))
    assert motion_strength(latents[:, :, :1]).tolist() == [0, 0]


def test_equal_strengths_cost_nothing_and_the_gradient_is_right():
    torch.manual_seed(0)
    true = torch.randn(2, 3, 4, 2, 2, dtype=torch.float64)
    assert not motion_strength_loss(true, true).any()
    # What moves as much elsewhere is as strong.
    assert not motion_strength_loss(true.flip(0), true).isclose(torch.zeros(1, dtype=torch.float64)).all()
    torch.testing.assert_close(motion_strength_loss(true.flip(-1), true), torch.zeros(2, dtype=torch.float64))
    predicted = torch.randn_like(true).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: motion_strength_loss(x, true), predicted)
