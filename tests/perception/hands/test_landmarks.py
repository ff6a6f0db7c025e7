"""From palms to joints: geometry in closed form, gradients against finite differences."""

from __future__ import annotations

import math

import pytest
import torch

from showme.errors import InputError
from showme.perception.hands.landmarks import UPRIGHT_IN_TASKS, HandLandmarks, crop, hand_regions, place

# The cook's hands in the first frame: x, y, side and rotation.
LEFT_HAND, RIGHT_HAND = (225.9, 129.9, 56.2, -2.07), (186.5, 103.9, 61.5, 2.82)


@pytest.fixture(scope="module")
def landmarks(hand_bundle):
    return HandLandmarks.from_file(hand_bundle)


def gaussian(x: float, y: float, height: int = 60, width: int = 80, radius: float = 3.0) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * radius**2)).expand(1, 3, -1, -1)


@pytest.mark.parametrize("degrees", [0, 90, 30, -135])
def test_a_crop_shows_what_lies_in_its_region(degrees):
    # A blob at a known place of the region must appear there, and ``place`` must lead back.
    region = torch.tensor([[40.0, 30.0, 32.0, math.radians(degrees)]])
    right, down = 6.0, -4.0
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = 40 + cosine * right - sine * down, 30 + sine * right + cosine * down
    shown = crop(gaussian(x, y), region, 64)[0, 0]
    total = shown.sum()
    column = float((shown.sum(0) * torch.arange(64)).sum() / total)
    row = float((shown.sum(1) * torch.arange(64)).sum() / total)
    assert (column, row) == pytest.approx(((right / 32 + 0.5) * 64, (down / 32 + 0.5) * 64), abs=0.05)
    back = place(torch.tensor([[[column / 64, row / 64]]]), region)
    assert back.flatten().tolist() == pytest.approx([x, y], abs=0.05)


def test_a_crop_of_the_whole_is_the_picture_and_a_quarter_turn_a_transposition():
    picture = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(crop(picture, torch.tensor([[8.0, 8.0, 16.0, 0.0]]), 16), picture)
    # Of a quarter turn clockwise, columns run down the picture and rows to the left.
    turned = crop(picture, torch.tensor([[7.0, 8.0, 16.0, math.pi / 2]]), 16)
    torch.testing.assert_close(turned, picture.mT.flip(-2), atol=1e-4, rtol=0)


def test_outside_the_picture_its_edge_or_black():
    picture = torch.full((1, 3, 8, 8), 0.5)
    far = torch.tensor([[100.0, 100.0, 8.0, 0.3]])
    assert torch.equal(crop(picture, far, 4), torch.full((1, 3, 4, 4), 0.5))
    assert torch.equal(crop(picture, far, 4, border="zeros"), torch.zeros(1, 3, 4, 4))


def palm(direction: tuple[float, float], centre=(50.0, 40.0), size=(20.0, 10.0)) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = centre
    box = torch.tensor([[x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2]])
    keypoints = torch.zeros(1, 7, 2)
    keypoints[0, 0] = torch.tensor(centre)
    keypoints[0, 2] = torch.tensor([x + direction[0], y + direction[1]])
    return box, keypoints


@pytest.mark.parametrize(
    ("direction", "rotation", "middle"),
    [
        ((0, -1), 0, (50, 35)),
        ((1, 0), math.pi / 2, (55, 40)),
        ((-1, 0), -math.pi / 2, (45, 40)),
        ((0, 1), -math.pi, (50, 45)),
        ((1, -1), math.pi / 4, (50 + 5 * math.sqrt(0.5), 40 - 5 * math.sqrt(0.5))),
    ],
)
def test_regions_lie_half_a_palm_towards_the_fingers_and_turn_them_up(direction, rotation, middle):
    (region,) = hand_regions(*palm(direction))
    # Long side 20 times 2.6; the shift is half the height, 5.
    assert region.tolist() == pytest.approx([*middle, 52, rotation], abs=1e-4)


def test_tasks_lets_hands_lie_aslant():
    (region,) = hand_regions(*palm((0, -1)), upright=UPRIGHT_IN_TASKS)
    assert math.degrees(float(region[3])) == pytest.approx(math.degrees(90) % 360 - 90, abs=1e-3)


def test_joints_lie_on_the_hand_wherever_and_however_it_is_shown(landmarks, loaf):
    pixels = torch.from_numpy(loaf[:1]).permute(0, 3, 1, 2) / 255
    region = torch.tensor([LEFT_HAND])
    seen = landmarks(pixels, region)
    assert seen.joints.shape == seen.world.shape == (1, 21, 3)
    assert float(seen.presence) > 0.9
    assert float(seen.handedness) < 0.1
    assert float((seen.joints[0, :, :2] - region[0, :2]).norm(dim=-1).max()) < 40
    # Half a turn of the picture about its middle, and of the region with it, shows the network the same crop.
    height, width = pixels.shape[-2:]
    turned = torch.tensor([[width - 1 - LEFT_HAND[0], height - 1 - LEFT_HAND[1], LEFT_HAND[2], LEFT_HAND[3] + math.pi]])
    again = landmarks(pixels.flip((-2, -1)), turned)
    mirrored = torch.tensor([width - 1.0, height - 1.0]) - seen.joints[..., :2]
    torch.testing.assert_close(again.joints[..., :2], mirrored, atol=0.05, rtol=0)
    torch.testing.assert_close(again.joints[..., 2], seen.joints[..., 2], atol=0.05, rtol=0)
    torch.testing.assert_close(again.world[..., :2], -seen.world[..., :2], atol=1e-3, rtol=0)


def test_a_mirror_makes_a_right_hand_of_a_left_one(landmarks, loaf):
    pixels = torch.from_numpy(loaf[:1]).permute(0, 3, 1, 2) / 255
    region = torch.tensor([[pixels.shape[-1] - 1 - LEFT_HAND[0], LEFT_HAND[1], LEFT_HAND[2], -LEFT_HAND[3]]])
    assert float(landmarks(pixels.flip(-1), region).handedness) > 0.9


def test_a_batch_is_its_pictures_and_may_be_empty(landmarks, loaf):
    pixels = torch.from_numpy(loaf[:2]).permute(0, 3, 1, 2) / 255
    regions = torch.tensor([LEFT_HAND, RIGHT_HAND])
    together = landmarks(pixels, regions)
    for number in range(2):
        alone = landmarks(pixels[number : number + 1], regions[number : number + 1])
        for whole, part in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[number : number + 1], part, atol=1e-3, rtol=0)
    assert landmarks(pixels[:0], regions[:0]).joints.shape == (0, 21, 3)


def test_gradients_to_the_pixels_equal_finite_differences(hand_bundle, loaf):
    network = HandLandmarks.from_file(hand_bundle).double()
    pixels = torch.from_numpy(loaf[:1]).permute(0, 3, 1, 2).double() / 255
    region = torch.tensor([LEFT_HAND], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(128, dtype=torch.float64, generator=generator)

    def seen(x: torch.Tensor) -> torch.Tensor:
        """Everything that the network says, in one number."""
        estimate = network(x, region)
        return torch.cat([values.flatten() for values in estimate]) @ weights

    pixels.requires_grad_()
    (gradient,) = torch.autograd.grad(seen(pixels), pixels)
    # So small a step meets none of the network's kinks, and in float64 still leaves six digits.
    step = 1e-8
    with torch.no_grad():
        for _ in range(3):
            direction = torch.randn(pixels.shape, dtype=torch.float64, generator=generator)
            slope = (seen(pixels + step * direction) - seen(pixels - step * direction)) / (2 * step)
            assert abs(float(slope)) > 1
            torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-4, atol=0)


def test_other_networks_are_refused(real_data):
    with pytest.raises(InputError, match=r"palm_detection_lite\.tflite finds no joints"):
        HandLandmarks.from_file(real_data / "weights" / "mediapipe" / "palm_detection_lite.tflite")


def test_the_lite_network_sees_the_same_hand(real_data, landmarks, loaf):
    pixels = torch.from_numpy(loaf[:1]).permute(0, 3, 1, 2) / 255
    region = torch.tensor([RIGHT_HAND])
    lite = HandLandmarks.from_file(real_data / "weights" / "mediapipe" / "hand_landmark_lite.tflite")
    seen, expected = lite(pixels, region), landmarks(pixels, region)
    assert float(seen.presence) > 0.5
    assert float(seen.handedness) > 0.9
    assert float((seen.joints - expected.joints)[..., :2].norm(dim=-1).mean()) < 5
