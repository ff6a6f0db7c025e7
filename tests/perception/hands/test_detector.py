"""Hands in real frames: PyTorch against MediaPipe, and the rules for doubles and thresholds."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from showme.errors import InputError
from showme.perception import hand_estimator
from showme.perception.hands import Hand, MediapipeHands, TorchHands
from showme.perception.hands.detector import is_double
from showme.perception.hands.landmarks import UPRIGHT_IN_TASKS


@pytest.fixture(scope="module")
def torch_hands(hand_bundle):
    return TorchHands.from_file(hand_bundle)


@pytest.fixture(scope="module")
def mediapipe_hands(hand_bundle):
    pytest.importorskip("mediapipe", reason="MediaPipe is not installed: pip install mediapipe")
    return MediapipeHands(hand_bundle)


def distances(ours: list[list[Hand]], theirs: list[list[Hand]]) -> list[tuple[float, Hand, Hand]]:
    """For each of our hands, where they see one too: how far the nearest's joints are on average, and both hands."""
    pairs = []
    for mine, others in zip(ours, theirs, strict=True):
        for hand in mine if others else []:
            far = [float(np.linalg.norm((hand.joints - o.joints)[:, :2], axis=1).mean()) for o in others]
            pairs.append((min(far), hand, others[int(np.argmin(far))]))
    return pairs


def test_the_hands_of_the_cook(torch_hands, loaf):
    found = torch_hands(loaf)
    assert [len(hands) for hands in found[:5]] == [2] * 5
    for hands in found[:5]:
        by_side = {hand.handedness: hand for hand in hands}
        # He faces the camera, so that his right hand, with the knife, is on the picture's left.
        assert by_side["right"].joints[:, 0].mean() < by_side["left"].joints[:, 0].mean()
        for hand in hands:
            assert hand.joints.shape == (21, 3)
            assert hand.joints.dtype == np.float32
            assert 0.5 <= hand.handedness_score <= 1
            assert 0.1 < hand.presence <= 1
            assert ((hand.joints[:, :2] > (150, 60)) & (hand.joints[:, :2] < (260, 160))).all()


def test_with_tasks_angle_the_hands_are_mediapipe_s(hand_bundle, mediapipe_hands, loaf, dough):
    ours = TorchHands.from_file(hand_bundle, upright=UPRIGHT_IN_TASKS)
    for frames, bound in ((loaf, 0.5), (dough, 3.0)):
        found, expected = ours(frames), mediapipe_hands(frames)
        pairs = distances(found, expected)
        assert abs(sum(map(len, found)) - sum(map(len, expected))) <= 1
        assert len(pairs) >= 0.9 * sum(map(len, expected))
        # Half the frames' hands in the dough are blurred.
        assert np.median([far for far, _, _ in pairs]) < bound
        assert np.mean([hand.handedness == other.handedness for _, hand, other in pairs]) > 0.9
        depths = [np.abs(hand.joints[:, 2] - other.joints[:, 2]).mean() for _, hand, other in pairs]
        assert np.median(depths) < bound


def test_with_upright_hands_they_are_near_mediapipe_s(torch_hands, mediapipe_hands, loaf):
    pairs = distances(torch_hands(loaf), mediapipe_hands(loaf))
    assert len(pairs) >= 15
    # A hand is some 50 pixels large.
    assert np.mean([far for far, _, _ in pairs]) < 4


def test_upright_hands_are_found_more_alike_in_a_mirror(hand_bundle, torch_hands, loaf):
    def unlikeness(estimator: TorchHands) -> float:
        mirrored = [
            [Hand((hand.joints * (-1, 1, 1) + (loaf.shape[2] - 1, 0, 0)), "", 1, 1) for hand in hands]
            for hands in estimator(loaf[:5, :, ::-1].copy())
        ]
        return float(np.median([far for far, _, _ in distances(estimator(loaf[:5]), mirrored)]))

    assert unlikeness(torch_hands) < 0.7 * unlikeness(TorchHands.from_file(hand_bundle, upright=UPRIGHT_IN_TASKS))


def test_every_frame_stands_for_itself(torch_hands, loaf):
    alone = [torch_hands(frame[None])[0] for frame in loaf[:3]]
    for hands, others in zip(torch_hands(loaf)[:3], alone, strict=True):
        for hand, other in zip(hands, others, strict=True):
            np.testing.assert_allclose(hand.joints, other.joints, atol=0.01)


def test_num_hands_and_thresholds_bound_what_is_found(hand_bundle, loaf):
    assert [len(hands) for hands in TorchHands.from_file(hand_bundle, num_hands=1)(loaf[:2])] == [1, 1]
    assert TorchHands.from_file(hand_bundle, min_presence=1.0)(loaf[:2]) == [[], []]
    assert TorchHands.from_file(hand_bundle, min_palm_score=1.0)(loaf[:2]) == [[], []]


def test_nothing_is_found_in_nothing(torch_hands, mediapipe_hands):
    for estimator in (torch_hands, mediapipe_hands):
        assert estimator(np.full((2, 48, 64, 3), 128, np.uint8)) == [[], []]
        assert estimator(np.zeros((0, 48, 64, 3), np.uint8)) == []
        assert estimator(np.zeros((1, 1, 1, 3), np.uint8)) == [[]]
        for frames in (np.zeros((2, 48, 64, 3), np.float32), np.zeros((48, 64, 3), np.uint8)):
            with pytest.raises(ValueError, match="uint8 frames"):
                estimator(frames)


def test_doubles_share_joints_and_boxes():
    hand = np.random.default_rng(0).uniform(0, 100, (21, 2)).astype(np.float32)
    corners = hand[[0, 5, 17]]
    size = max(np.linalg.norm(corners[i] - corners[j]) for i, j in ((0, 1), (1, 2), (2, 0)))
    assert is_double(hand, hand)
    assert is_double(hand, hand + np.array([0.19 * size, 0]))
    assert not is_double(hand, hand + np.array([0.21 * size, 0]))
    nine, ten = hand.copy(), hand.copy()
    nine[9:] += (0.5 * size, 0)
    ten[10:] += (0.5 * size, 0)
    assert (is_double(hand, nine), is_double(hand, ten)) == (False, True)
    assert not is_double(np.zeros((21, 2)), np.zeros((21, 2)))


def test_of_two_findings_of_one_hand_the_surer_palm_s_stays(torch_hands, loaf, monkeypatch):
    detect = torch_hands.palms.forward

    def twice(pixels):
        palms = detect(pixels)
        for each in palms:
            object.__setattr__(each, "boxes", each.boxes[:1].repeat(2, 1))
            object.__setattr__(each, "keypoints", each.keypoints[:1].repeat(2, 1, 1))
        return palms

    monkeypatch.setattr(torch_hands.palms, "forward", twice)
    assert [len(hands) for hands in torch_hands(loaf[:2])] == [1, 1]


def test_estimators_for_hands_by_name(hand_bundle, tmp_path, monkeypatch):
    pytest.importorskip("mediapipe", reason="MediaPipe is not installed: pip install mediapipe")
    assert isinstance(hand_estimator(f"torch:{hand_bundle}", num_hands=1), TorchHands)
    assert isinstance(hand_estimator(f"mediapipe:{hand_bundle}"), MediapipeHands)
    with pytest.raises(InputError, match="no estimator for hands named 'openpose'"):
        hand_estimator("openpose")
    (tmp_path / "other.task").write_bytes(b"no bundle")
    for family in ("torch", "mediapipe"):
        with pytest.raises(InputError, match=r"no hand model .*none\.task"):
            hand_estimator(f"{family}:{tmp_path / 'none.task'}")
        with pytest.raises(InputError, match=r"other\.task is not"):
            hand_estimator(f"{family}:{tmp_path / 'other.task'}")
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(InputError, match=r'pip install "showme-video\[hands\]"'):
        hand_estimator(f"mediapipe:{hand_bundle}")


def test_mediapipe_without_its_opengl_library_says_what_brings_it(hand_bundle, monkeypatch):
    tasks = pytest.importorskip("mediapipe.tasks.python", reason="MediaPipe is not installed: pip install mediapipe")

    def create(options):
        raise OSError("libGLESv2.so.2: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(tasks.vision.HandLandmarker, "create_from_options", create)
    with pytest.raises(InputError, match=r"by MediaPipe needs .* libGLESv2\.so\.2, .*: apt-get install libgles2\.$"):
        hand_estimator(f"mediapipe:{hand_bundle}")
