"""A hand is followed by its joints: the square around them shows the network the same hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from showme.perception.hands import TorchHands
from showme.perception.hands.landmarks import regions_of_joints


def test_the_same_joints_are_found_in_the_square_of_the_joints(hand_bundle, loaf):
    hands = TorchHands.from_file(hand_bundle)
    found = [(frame, hand.joints) for frame in range(5) for hand in hands(loaf[frame : frame + 1])[0]]
    pixels = torch.from_numpy(loaf[[frame for frame, _ in found]]).permute(0, 3, 1, 2).float() / 255
    joints = torch.from_numpy(np.stack([joints[:, :2] for _, joints in found]))
    again = hands.landmarks(pixels, regions_of_joints(joints))
    assert (again.presence > 0.5).all()
    far = (again.joints[..., :2] - joints).norm(dim=-1).mean(1)
    size = (joints.amax(1) - joints.amin(1)).amax(-1)
    # Hands that hold a loaf: the fingers that it hides are guessed anew in another square.
    assert float((far / size).median()) < 0.06
    assert float((far / size).max()) < 0.2


@pytest.mark.parametrize("angle", [0.0, 0.7, 2.5, -1.9])
def test_the_square_turns_moves_and_grows_with_the_hand(angle):
    joints = torch.randn(1, 21, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    joints[0, [0, 9]] = torch.tensor([[0.0, 3.0], [0.0, -2.0]], dtype=torch.float64)
    joints[0, [5, 13]] = torch.tensor([[-1.0, -2.0], [1.0, -2.0]], dtype=torch.float64)
    before = regions_of_joints(joints)[0]
    # Its fingers point up: it is not turned.
    assert abs(float(before[3])) < 1e-6
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[cosine, -sine], [sine, cosine]], dtype=torch.float64)
    after = regions_of_joints(2 * joints @ turn.T + torch.tensor([5.0, -7.0], dtype=torch.float64))[0]
    assert float(after[3]) == pytest.approx(angle, abs=1e-6)
    assert float(after[2]) == pytest.approx(2 * float(before[2]))
    moved = 2 * turn @ before[:2] + torch.tensor([5.0, -7.0], dtype=torch.float64)
    torch.testing.assert_close(after[:2], moved)
