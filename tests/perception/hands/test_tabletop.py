"""The joint networks of the tabletop world: what they find in rendered frames, and the gradient through them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors import safe_open

from showme.errors import InputError
from showme.perception import hand_estimator, hand_landmarks
from showme.perception.hands.landmarks import place, regions_of_joints
from showme.perception.hands.tabletop import JUDGE_WEIGHTS, WEIGHTS, TabletopHandLandmarks, TabletopHands, whole_picture

NAMES = ("tabletop", "tabletop-judge")


@pytest.fixture(scope="module")
def clips(opengl) -> list[tuple[np.ndarray, torch.Tensor]]:
    """Frames and joints (T, 21, 2), the first pixel's middle being (0, 0), of scenes that no training has seen."""
    from showme.worlds.tabletop import render

    rendered = [render(seed, "test", labels=False) for seed in range(6)]
    return [(clip.frames, torch.from_numpy(clip.joints[:, 0] - 0.5)) for clip in rendered]


@pytest.mark.parametrize("name", NAMES)
def test_joints_are_found_in_true_squares_and_in_whole_frames(clips, name):
    landmarks, hands = hand_landmarks(name), hand_estimator(name, num_hands=2, min_palm_score=0.5, min_presence=0.5)
    in_squares, in_frames, there = [], [], []
    for frames, joints in clips:
        pixels = torch.from_numpy(frames).permute(0, 3, 1, 2) / 255
        seen = landmarks(pixels, regions_of_joints(joints))
        in_squares.append((seen.joints - joints).norm(dim=-1).mean())
        assert seen.presence.mean() > 0.9
        found = hands(frames)
        assert all(hand.joints.shape == (21, 3) and hand.handedness == "right" for frame in found for hand in frame)
        there.append(np.mean([len(frame) for frame in found]))
        in_frames += [
            np.linalg.norm(frame[0].joints[:, :2] - true.numpy(), axis=-1).mean()
            for frame, true in zip(found, joints, strict=True)
            if frame
        ]
    # Of a hand of 41 pixels, from corner to corner.
    assert np.mean(in_squares) < 2
    assert np.median(in_frames) < 2
    assert np.mean(there) > 0.95


@pytest.mark.parametrize("name", NAMES)
def test_where_no_hand_is_there_is_none(clips, name):
    landmarks = hand_landmarks(name)
    squares = torch.tensor([[24.0, 24.0, 40.0, 0.0]])
    frames = torch.stack([torch.from_numpy(frames[0]).permute(2, 0, 1) / 255 for frames, _ in clips])
    # At first all hands lie at the right, near the viewer.
    assert landmarks(frames, squares.expand(len(frames), -1)).presence.mean() < 0.2


def test_the_judge_is_another_network():
    first, second = (TabletopHandLandmarks.from_assets(path) for path in (WEIGHTS, JUDGE_WEIGHTS))
    assert first.config != second.config
    notes = []
    for path in (WEIGHTS, JUDGE_WEIGHTS):
        assert path.stat().st_size < 2**20
        with safe_open(str(path), "pt") as file:
            notes.append(file.metadata())
    assert notes[0]["trained"] != notes[1]["trained"]
    assert all("mean error" in each["measured"] for each in notes)


def test_the_gradient_agrees_with_finite_differences():
    torch.manual_seed(0)
    network = TabletopHandLandmarks((8, 8, 8), (1,)).double()
    pixels = torch.rand(1, 3, 40, 40, dtype=torch.float64, requires_grad=True)
    square = torch.tensor([[18.0, 21.0, 26.0, 0.3]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: network(x, square), pixels, fast_mode=True, atol=1e-6)
    network.zero_grad()
    (network(pixels, square).joints.sum() + network(pixels, square).presence.sum()).backward()
    assert pixels.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_whole_picture_is_one_square():
    squares = whole_picture(torch.zeros(2, 3, 60, 100))
    corners = place(torch.tensor([[[0.0, 0.0], [1.0, 1.0]]]).expand(2, -1, -1), squares)
    # Widened, as the network widens every square, it is as wide as the picture.
    assert torch.allclose(corners.mean(1), torch.tensor([49.5, 29.5]).expand(2, -1))
    assert torch.allclose(squares[:, 2] * 1.25, torch.tensor(100.0))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no TabletopHandLandmarks file .*a\.safetensors: make it with scripts/train"):
        hand_landmarks(f"tabletop:{tmp_path / 'a.safetensors'}")
    with pytest.raises(
        InputError, match="does not hold TabletopHandLandmarks weights: make it with scripts/train_hands"
    ):
        hand_estimator("tabletop:" + str(WEIGHTS.parents[1] / "depth" / "tabletop.safetensors"))
    with pytest.raises(ValueError, match="uint8 frames"):
        TabletopHands(TabletopHandLandmarks())(np.zeros((1, 8, 8, 3)))
