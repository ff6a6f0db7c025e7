"""Hand structure error: closed forms of known joints, and every permutation of hands tried."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from showme.errors import InputError
from showme.evaluation.metrics.base import Pairs
from showme.evaluation.metrics.estimators import SharedHandEstimator, bytes_of
from showme.evaluation.metrics.hand_structure import (
    HandCoverage,
    HandStructureError,
    MatchedHandStructureError,
    matched_errors,
)
from showme.perception.hands import Hand

_HEIGHT, _WIDTH = 20, 40


def hand(joints) -> Hand:
    return Hand(np.asarray(joints, np.float32), "right", 1.0, 1.0)


def random_hands(count: int, seed: int) -> list[Hand]:
    return [hand(joints) for joints in np.random.default_rng(seed).uniform(0, 20, (count, 21, 3))]


class Lookup:
    """An estimator that knows the hands of every frame by its first level."""

    def __init__(self, of_level: dict[int, list[Hand]]):
        self.of_level, self.calls = of_level, 0

    def __call__(self, frames: np.ndarray) -> list[list[Hand]]:
        assert frames.dtype == np.uint8
        assert frames.shape[1:] == (_HEIGHT, _WIDTH, 3)
        self.calls += 1
        return [self.of_level[int(frame[0, 0, 0])] for frame in frames]


def clips_of(levels: list[list[int]]) -> torch.Tensor:
    """(B, T, 3, H, W) of even frames."""
    values = torch.tensor(levels).float() / 255
    return values[:, :, None, None, None].expand(-1, -1, 3, _HEIGHT, _WIDTH)


def pairs_of(generated: list[list[int]], true: list[list[int]]) -> Pairs:
    names = [str(index) for index in range(len(true))]
    return Pairs(clips_of(generated), clips_of(true), names, names)


def test_paper_form_is_equation_2():
    true, ours = random_hands(2, 0), random_hands(1, 1)
    estimator = Lookup({0: true, 1: ours, 2: [], 3: true[:1]})
    # Frames: two true hands of which one was made, no true hand, one true hand and none made.
    value = HandStructureError(estimator, "lookup").score(pairs_of([[1, 1, 2]], [[0, 2, 3]]))
    scale = np.array([_WIDTH, _HEIGHT])
    of = [each.joints[:, :2] / scale for each in (*true, *ours)]
    first = (((of[2] - of[0]) ** 2).sum() + (of[1] ** 2).sum()) / 42
    third = (of[0] ** 2).sum() / 21
    assert float(value[0]) == pytest.approx((first + third) / 2, rel=1e-6)


def test_true_hands_can_be_the_worlds_own():
    true, ours, world = random_hands(1, 0), random_hands(1, 1), random_hands(1, 2)
    metric = HandStructureError(Lookup({0: true, 1: ours}), "lookup", every=2, world=Lookup({0: world}))
    value = metric.score(pairs_of([[1, 1, 1]], [[0, 0, 0]]))
    scale = np.array([_WIDTH, _HEIGHT])
    assert float(value) == pytest.approx(
        (((ours[0].joints - world[0].joints)[:, :2] / scale) ** 2).sum() / 21, rel=1e-5
    )
    assert metric.fingerprint["true hands"] == "rendered"


def test_a_shift_costs_its_square():
    true = random_hands(1, 0)[0]
    moved = hand(true.joints + np.array([4, 3, 7]))
    score = HandStructureError(Lookup({0: [true], 1: [moved]}), "lookup").score
    expected = (4 / _WIDTH) ** 2 + (3 / _HEIGHT) ** 2
    assert float(score(pairs_of([[1, 1]], [[0, 0]]))) == pytest.approx(expected, rel=1e-5)
    assert float(score(pairs_of([[0, 0]], [[0, 0]]))) == 0


def test_released_form_sums_mean_squares_over_every_fourth_frame():
    true, ours = random_hands(2, 0), random_hands(1, 1)
    estimator = Lookup({0: true, 1: ours, 9: []})
    metric = HandStructureError(estimator, "lookup", every=4, form="released")
    value = metric.score(pairs_of([[1] * 6], [[0, 9, 9, 9, 0, 0]]))
    scale = np.array([_WIDTH, _HEIGHT, _WIDTH])
    expected = 2 * np.mean((ours[0].joints / scale - true[0].joints / scale) ** 2)
    assert float(value) == pytest.approx(expected, rel=1e-6)
    # Hands on one side alone make no pair.
    assert metric.score(pairs_of([[9]], [[0]])).isnan().all()


@pytest.mark.parametrize("hand_size", ["box", "palm"])
@pytest.mark.parametrize(("ours", "theirs"), [(1, 1), (3, 2), (2, 4), (4, 4)])
def test_matching_is_the_best_of_all_permutations(ours, theirs, hand_size):
    for seed in range(20):
        a = [each.joints[:, :2] for each in random_hands(ours, seed)]
        b = [each.joints[:, :2] for each in random_hands(theirs, 1000 + seed)]
        apart = np.array([[np.sqrt(((p - q) ** 2).sum(1)).mean() for q in b] for p in a])
        few, many = (a, b) if ours <= theirs else (b, a)
        table = apart if ours <= theirs else apart.T
        best = min(
            itertools.permutations(range(len(many)), len(few)),
            key=lambda columns: sum(table[row, column] for row, column in enumerate(columns)),
        )
        of_true = best if ours <= theirs else range(theirs)
        spans = [b[t].max(0) - b[t].min(0) if hand_size == "box" else b[t][9] - b[t][0] for t in of_true]
        sizes = [max(np.linalg.norm(span), 1.0) for span in spans]
        expected = [table[row, column] / size for (row, column), size in zip(enumerate(best), sizes, strict=True)]
        np.testing.assert_allclose(sorted(matched_errors(a, b, hand_size)), sorted(expected), rtol=1e-5)


def test_swapped_hands_cost_nothing_when_matched_and_much_in_order():
    hands = random_hands(2, 0)
    estimator = Lookup({0: hands, 1: hands[::-1]})
    pairs = pairs_of([[1]], [[0]])
    assert float(MatchedHandStructureError(estimator, "lookup").score(pairs)) == 0
    assert float(HandStructureError(estimator, "lookup").score(pairs)) > 0.01


def test_matched_error_does_not_depend_on_scale_and_a_point_counts_as_a_pixel():
    a, b = (random_hands(1, seed)[0].joints[:, :2] for seed in (0, 1))
    assert matched_errors([3 * a], [3 * b], "box") == pytest.approx(matched_errors([a], [b], "box"), rel=1e-5)
    assert matched_errors([np.full((21, 2), 3.0)], [np.zeros((21, 2))], "palm") == pytest.approx([np.sqrt(18)])


def test_coverage_counts_partners_and_clips_without_hands_get_nan():
    estimator = Lookup({0: random_hands(2, 0), 1: random_hands(1, 1), 2: []})
    pairs = pairs_of([[1, 1, 0], [2, 2, 2], [1, 1, 1]], [[0, 1, 1], [0, 0, 0], [2, 2, 2]])
    coverage = HandCoverage(estimator, "lookup").score(pairs)
    assert coverage[:2].tolist() == [3 / 4, 0]
    matched = MatchedHandStructureError(estimator, "lookup").score(pairs)
    assert matched.isnan().tolist() == [False, True, True]
    assert coverage.isnan().tolist() == [False, False, True]


@pytest.mark.parametrize("metric", [HandStructureError, MatchedHandStructureError, HandCoverage])
def test_merged_is_all_at_once_in_any_order(metric):
    estimator = Lookup({level: random_hands(level % 3, level) for level in range(12)})
    batches = [pairs_of([[g, g + 1]], [[t, t + 1]]) for g, t in [(0, 4), (3, 6), (5, 9), (2, 2), (8, 10)]]
    whole, first, second = (metric(estimator, "lookup") for _ in range(3))
    for index, batch in enumerate(batches):
        whole.update(batch)
        (first if index % 2 else second).update(batch)
    first.merge_state(second)
    torch.testing.assert_close(first.compute(), whole.compute(), rtol=1e-12, atol=0)
    assert first.coverage == whole.coverage


def test_an_estimator_shared_by_metrics_looks_once_and_forgets_the_oldest():
    estimator = Lookup({0: random_hands(2, 0), 1: random_hands(1, 1)})
    shared = SharedHandEstimator(estimator, clips=2)
    pairs = pairs_of([[1, 1]], [[0, 0]])
    alone = HandStructureError(estimator, "lookup").score(pairs)
    estimator.calls = 0
    assert torch.equal(HandStructureError(shared, "lookup").score(pairs), alone)
    HandCoverage(shared, "lookup").score(pairs)
    assert estimator.calls == 2
    shared(bytes_of(clips_of([[0, 1]])[0]))
    shared(bytes_of(clips_of([[0, 0]])[0]))
    shared(bytes_of(clips_of([[1, 1]])[0]))
    assert estimator.calls == 4


def test_the_record_holds_settings_and_weights():
    class Network(torch.nn.Module):
        def __init__(self, value: float):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(value))

    records = [
        HandStructureError(Lookup({}), "lookup").fingerprint,
        HandStructureError(Lookup({}), "other").fingerprint,
        HandStructureError(Lookup({}), "lookup", form="released").fingerprint,
        HandStructureError(Lookup({}), "lookup", every=2).fingerprint,
        MatchedHandStructureError(Lookup({}), "lookup", hand_size="palm").fingerprint,
        MatchedHandStructureError(Lookup({}), "lookup", hand_size="box").fingerprint,
        HandStructureError(Network(1.0), "lookup").fingerprint,
        HandStructureError(SharedHandEstimator(Network(2.0)), "lookup").fingerprint,
    ]
    assert len({repr(record) for record in records}) == len(records)


def test_an_estimator_that_skips_frames_is_refused():
    with pytest.raises(InputError, match="1 of 2 frames"):
        HandCoverage(lambda frames: [[]], "half blind").score(pairs_of([[0, 0]], [[0, 0]]))
    with pytest.raises(ValueError, match="0-th"):
        HandCoverage(Lookup({}), "lookup", every=0)


def test_real_hands_that_are_moved_by_known_pixels(real_data):
    """A cook's hands, seen by MediaPipe's networks, against themselves and against the picture shifted by 6 pixels."""
    from showme.perception.hands import TorchHands
    from tests.perception.hands.conftest import read_gif

    estimator = SharedHandEstimator(TorchHands.from_file(real_data / "weights" / "mediapipe" / "hand_landmarker.task"))
    clip = torch.from_numpy(read_gif(real_data, "loaf")[:9:4]).permute(0, 3, 1, 2)[None].float() / 255
    shifted = clip.roll(6, -1)
    same, moved = Pairs(clip, clip, ["cut"], ["loaf"]), Pairs(shifted, clip, ["cut"], ["loaf"])
    for metric in (HandStructureError(estimator, "torch"), MatchedHandStructureError(estimator, "torch")):
        assert float(metric.score(same)) == 0
    assert float(HandCoverage(estimator, "torch").score(moved)) == 1
    # The networks see a moved hand a little differently: a fifth of the shift.
    assert float(HandStructureError(estimator, "torch").score(moved)) == pytest.approx((6 / 320) ** 2, rel=0.3)
    boxes = [np.linalg.norm(np.ptp(hand.joints[:, :2], 0)) for hands in estimator(bytes_of(clip[0])) for hand in hands]
    expected = np.mean(6 / np.array(boxes))
    assert float(MatchedHandStructureError(estimator, "torch").score(moved)) == pytest.approx(expected, rel=0.2)
