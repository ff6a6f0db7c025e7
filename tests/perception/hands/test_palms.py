"""The palm detector: anchors and boxes in closed form, suppression on constructed boxes, palms in real frames."""

from __future__ import annotations

import pytest
import torch

from showme.errors import InputError
from showme.perception.hands.palms import PalmDetector, decode, ssd_anchors, weighted_nms


def boxes_at(*corners: tuple[float, float], side: float = 10.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Square boxes, and points in their middles."""
    corner = torch.tensor(corners)
    return torch.cat([corner, corner + side], dim=1), (corner + side / 2)[:, None].expand(-1, 7, -1)


def test_anchors_stand_in_the_middle_of_cells():
    anchors = ssd_anchors()
    assert anchors.shape == (24 * 24 * 2 + 12 * 12 * 6, 2) == (2016, 2)
    # Row by row: the second cell of the fine grid comes third, the second row after 48.
    torch.testing.assert_close(
        anchors[[0, 1, 2, 48]] * 24, torch.tensor([[0.5, 0.5], [0.5, 0.5], [1.5, 0.5], [0.5, 1.5]])
    )
    torch.testing.assert_close(anchors[[1152, 1157, 1158]] * 12, torch.tensor([[0.5, 0.5], [0.5, 0.5], [1.5, 0.5]]))
    torch.testing.assert_close(anchors[[1151, 2015]], torch.tensor([[1 - 0.5 / 24] * 2, [1 - 0.5 / 12] * 2]))


def test_boxes_and_points_are_decoded_in_pixels_from_the_anchor():
    raw = torch.zeros(1, 1, 18)
    raw[0, 0, :4] = torch.tensor([19.2, -19.2, 96.0, 48.0])
    raw[0, 0, 4:6] = torch.tensor([0.0, 48.0])
    boxes, keypoints = decode(raw, torch.tensor([[0.5, 0.5]]))
    torch.testing.assert_close(boxes[0, 0], torch.tensor([0.6 - 0.25, 0.4 - 0.125, 0.6 + 0.25, 0.4 + 0.125]))
    torch.testing.assert_close(keypoints[0, 0, :2], torch.tensor([[0.5, 0.75], [0.5, 0.5]]))


def test_suppression_averages_what_overlaps_by_score():
    # Shifted by 4 of 10: intersection 6, union 14, 0.43. Shifted by 6: 4 of 16, 0.25.
    boxes, keypoints = boxes_at((4.0, 0.0), (0.0, 0.0), (-6.0, 0.0), (50.0, 0.0))
    palms = weighted_nms(boxes, keypoints, torch.tensor([0.2, 0.8, 0.6, 0.9]), overlap=0.3)
    torch.testing.assert_close(palms.scores, torch.tensor([0.9, 0.8, 0.6]))
    torch.testing.assert_close(palms.boxes[:, 0], torch.tensor([50.0, 0.2 * 4, -6.0]))
    torch.testing.assert_close(palms.keypoints[1, 0], torch.tensor([0.2 * 4 + 5, 5.0]))


def test_suppression_compares_with_the_surest_box_and_not_with_the_mean():
    # A chain: the outer boxes overlap the middle one but not each other.
    boxes, keypoints = boxes_at((0.0, 0.0), (4.0, 0.0), (8.0, 0.0))
    middle_first = weighted_nms(boxes, keypoints, torch.tensor([0.5, 0.9, 0.5]))
    assert len(middle_first.boxes) == 1
    end_first = weighted_nms(boxes, keypoints, torch.tensor([0.9, 0.5, 0.8]))
    torch.testing.assert_close(end_first.scores, torch.tensor([0.9, 0.8]))


def test_suppression_of_nothing_and_of_equal_boxes():
    boxes, keypoints = boxes_at((0.0, 0.0), (0.0, 0.0))
    assert weighted_nms(boxes[:0], keypoints[:0], torch.zeros(0)).boxes.shape == (0, 4)
    assert weighted_nms(boxes, keypoints, torch.tensor([0.5, 0.5])).boxes.shape == (1, 4)


def test_palms_of_the_cook(hand_bundle, loaf):
    detector = PalmDetector.from_file(hand_bundle)
    pixels = torch.from_numpy(loaf[:3]).permute(0, 3, 1, 2) / 255
    for palms in detector(pixels):
        assert len(palms.boxes) == 2
        assert (palms.scores >= 0.5).all()
        # The knife's hand above the loaf, the other on it, as seen in the frames.
        for centre in (torch.tensor([181.0, 100.0]), torch.tensor([229.0, 131.0])):
            distance = ((palms.boxes[:, :2] + palms.boxes[:, 2:]) / 2 - centre).norm(dim=-1)
            assert float(distance.min()) < 15
        inside = (palms.keypoints >= palms.boxes[:, None, :2] - 10) & (palms.keypoints <= palms.boxes[:, None, 2:] + 10)
        assert inside.all()


def test_a_margin_moves_palms_and_a_higher_threshold_drops_them(hand_bundle, loaf):
    detector = PalmDetector.from_file(hand_bundle, min_score=0.5)
    pixels = torch.from_numpy(loaf[:1]).permute(0, 3, 1, 2) / 255
    (alone,) = detector(pixels)
    # The letterbox's black bars, put there by hand.
    (padded,) = detector(torch.nn.functional.pad(pixels, (0, 0, 70, 70)))
    torch.testing.assert_close(padded.boxes, alone.boxes + torch.tensor([0.0, 70.0, 0.0, 70.0]), atol=1e-2, rtol=0)
    torch.testing.assert_close(padded.keypoints, alone.keypoints + torch.tensor([0.0, 70.0]), atol=1e-2, rtol=0)
    detector.min_score = 1.0
    assert len(detector(pixels)[0].boxes) == 0


def test_other_networks_are_refused(real_data):
    with pytest.raises(InputError, match=r"hand_landmark_lite\.tflite is no palm detector"):
        PalmDetector.from_file(real_data / "weights" / "mediapipe" / "hand_landmark_lite.tflite")
