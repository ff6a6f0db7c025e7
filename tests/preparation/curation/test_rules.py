"""Rules: against loops written out, at their thresholds, and as settings."""

from __future__ import annotations

import numpy as np
import pytest

from showme.config import parse_config
from showme.errors import InputError
from showme.preparation.curation import FRAME_NUMBERS, RULES, apply
from showme.preparation.curation.rules import hand_presence, handi_motion, lego_window, motion_intensive, showme_goal


def _goal(products, length: int = 91, **limits):
    """The rule on 16 frames whose similarity to the first is 1 / 2."""
    first = np.full(16, 0.5, np.float32)
    text = np.asarray(products, np.float32) / first
    numbers = np.linspace(0, length - 1, 16).round().astype(np.float32)
    return showme_goal(text, first, numbers, **limits)


def test_the_goal_is_the_best_of_the_last_eight_frames():
    generator = np.random.default_rng(0)
    numbers = np.sort(generator.choice(200, 16, replace=False)).astype(np.float32)
    kept = 0
    for _ in range(200):
        text, first = (generator.uniform(-0.2, 0.6, 16).astype(np.float32) for _ in range(2))
        scores = {index: text[index] * first[index] for index in range(8, 16)}
        best = max(scores, key=scores.__getitem__)
        verdict = showme_goal(text, first, numbers)
        assert verdict.last == numbers[best]
        assert verdict.kept == (scores[best] >= 0.1 and numbers[best] >= 15)
        assert (verdict.cause == "goal not seen") == (scores[best] < 0.1)
        kept += verdict.kept
    assert 20 < kept < 180


def test_a_clip_in_which_the_goal_is_not_seen_is_dropped_with_its_number():
    low = np.full(16, 0.05)
    low[:8] = 0.9
    verdict = _goal(low)
    assert not verdict.kept
    assert verdict.reason == "The goal's best score is 0.05, less than 0.1."
    assert _goal(np.full(16, 0.1)).kept
    verdict = _goal(np.full(16, 0.09999))
    assert not verdict.kept
    assert "0.09999, less than 0.1" in verdict.reason


def test_of_equal_frames_the_first_is_the_end_and_too_early_counts_in_the_clips_own_frames():
    products = np.full(16, 0.3)
    # 91 frames, 6 apart: the ninth of those looked at is frame 48 of the clip. Counted among 16 it would be too early.
    verdict = _goal(products)
    assert (verdict.kept, verdict.last) == (True, 48)
    # Two apart: frame 16. One apart: frame 8, and only the very last is late enough.
    assert _goal(products, 31).last == 16
    verdict = _goal(products, 16)
    assert (verdict.kept, verdict.cause, verdict.last) == (False, "goal too early", 8)
    assert verdict.reason == "The goal is seen best in frame 8, before frame 15."
    products[15] = 0.4
    assert _goal(products, 16).kept
    # A clip of 15 frames has none that is late enough; the release drops it for having too few.
    assert not _goal(products, 15).kept
    assert _goal(products, 15, min_last=14).kept
    assert _goal(np.linspace(0.5, 0.3, 16), candidates=16, min_last=0).last == 0


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (0.5, "changes too much"),
        (np.nextafter(np.float32(0.81), np.float32(0)), "changes too much"),
        (np.float32(0.81), "changes enough"),
        (0.9, "changes enough"),
        # In float32 this is a little more than 0.97 in float64.
        (np.float32(0.97), "changes enough"),
        (np.nextafter(np.float32(0.97), np.float32(1)), "changes too little"),
        (1.0, "changes too little"),
    ],
)
def test_legos_window_includes_its_bounds(change, cause):
    verdict = lego_window(float(change))
    assert verdict.cause == cause
    assert verdict.kept == (cause == "changes enough")
    assert verdict.last is None


def test_the_reason_never_says_that_a_number_is_less_than_itself():
    verdict = lego_window(float(np.nextafter(np.float32(0.81), np.float32(0))))
    assert "0.8099999" in verdict.reason
    assert "less than 0.81." in verdict.reason


@pytest.mark.parametrize(("motion", "kept"), [(49.4, False), (49.49, False), (49.5, True), (50, True), (300, True)])
def test_motion_is_rounded_before_it_is_compared(motion, kept):
    verdict = handi_motion(motion)
    assert verdict.kept == kept == (round(motion) >= 50)
    assert f"rounded {round(motion)}" in verdict.reason


def test_hands_must_be_in_enough_frames():
    hands = np.array([0, 1, 2, 1, 0, 0, 0, 1], np.float32)
    sure = np.array([0, 0.2, 0.9, 0.5, 0, 0, 0, 0.5], np.float32)
    verdict = hand_presence(hands, sure)
    assert verdict.kept
    assert verdict.reason == "Hands are in 4 of 8 frames, at least 50%."
    verdict = hand_presence(hands, sure, min_confidence=0.5)
    assert not verdict.kept
    assert verdict.reason == "Hands are in 3 of 8 frames, less than 50%."
    assert hand_presence(hands, sure, min_share=3 / 8, min_confidence=0.5).kept
    assert hand_presence(np.zeros(8), np.zeros(8), min_share=0).kept


def test_a_confidence_needs_an_estimator_that_gives_it():
    hands, sure = np.ones(2, np.float32), np.array([np.nan, 0.5], np.float32)
    assert hand_presence(hands, sure).kept
    with pytest.raises(InputError, match="set min_confidence to 0"):
        hand_presence(hands, sure, min_confidence=0.1)


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [(100, 0.1, 10), (30, 0.1, 3), (8893, 0.1, 889), (15, 0.1, 2), (14, 0.1, 1), (3, 0.1, 1), (1, 0.1, 1),
     (100, 0.145, 15), (7, 1.0, 7)],
)  # fmt: skip
def test_the_largest_regions_are_kept_to_the_nearest_whole_number(count, share, expected):
    regions = np.random.default_rng(count).permutation(np.linspace(0.01, 0.9, count)).astype(np.float32)
    kept = np.array([verdict.kept for verdict in motion_intensive(regions, share)])
    assert kept.sum() == expected
    assert set(np.flatnonzero(kept)) == set(np.argsort(-regions)[:expected])


def test_ties_are_kept_together_whatever_the_order_and_no_region_is_never_large():
    regions = np.array([0.2, 0.5, 0.2, 0.1, 0.2, 0, 0, 0, 0, 0], np.float32)
    kept = np.array([verdict.kept for verdict in motion_intensive(regions, 0.2)])
    assert kept.tolist() == [True, True, True, False, True, False, False, False, False, False]
    order = np.random.default_rng(0).permutation(10)
    assert [verdict.kept for verdict in motion_intensive(regions[order], 0.2)] == kept[order].tolist()
    verdicts = motion_intensive(regions, 0.9)
    assert sum(verdict.kept for verdict in verdicts) == 5
    assert verdicts[5].reason == "No hand was found in the clip."
    assert not any(verdict.kept for verdict in motion_intensive(np.zeros(5, np.float32)))
    assert motion_intensive(np.zeros(0, np.float32)) == []


def test_the_reason_of_the_subset_names_the_areas():
    reasons = [verdict.reason for verdict in motion_intensive(np.array([0.25, 0.125], np.float32), 0.5)]
    rest = "0.25, the least among the largest 50% of 2 clips."
    assert reasons == [f"Hands move in 0.25 of the picture, at least {rest}",
                       f"Hands move in 0.125 of the picture, less than {rest}"]  # fmt: skip


def _clips(count: int = 12) -> dict[str, dict[str, np.ndarray]]:
    generator = np.random.default_rng(3)
    return {
        f"clip {number}": {
            "text_similarity": generator.uniform(0, 0.4, 16).astype(np.float32),
            "first_similarity": generator.uniform(0.2, 0.8, 16).astype(np.float32),
            FRAME_NUMBERS: np.arange(0, 32, 2).astype(np.float32),
            "change": np.float32(generator.uniform(0.7, 1)),
            "motion": np.float32(generator.uniform(20, 80)),
            "hands": generator.integers(0, 3, 16).astype(np.float32),
            "hand_confidence": generator.uniform(0, 1, 16).astype(np.float32),
            "region": np.float32(generator.uniform(0, 0.5)),
        }
        for number in range(count)
    }


@pytest.mark.parametrize("kind", RULES)
def test_every_rule_is_applied_by_name_and_measures_what_it_compares(kind):
    clips = _clips()
    rule = parse_config({"kind": kind}, RULES[kind], [], "rule")
    assert rule.kind == kind
    assert all(field.description for field in RULES[kind].model_fields.values())
    verdicts = apply(rule, clips)
    assert list(verdicts) == list(clips)
    assert all(verdict.reason.endswith(".") and verdict.cause for verdict in verdicts.values())
    for measure in rule.measures(list(clips.values())):
        assert measure.values.shape == (len(clips),)
        assert len(measure.bounds) in (1, 2)
    # Only what the rule needs is looked at.
    needed = {name: {need: scores[need] for need in rule.needs} for name, scores in clips.items()}
    assert apply(rule, needed) == verdicts
    assert apply(rule, {}) == {}
    assert all(len(measure.values) == 0 for measure in rule.measures([]))


def test_one_threshold_parts_the_clips_of_a_rule_with_one_measure():
    clips = _clips(40)
    for kind in ("lego_window", "handi_motion", "hand_presence", "motion_intensive"):
        rule = RULES[kind]()
        (measure,) = rule.measures(list(clips.values()))
        low, high = (*measure.bounds, np.inf)[:2]
        values = np.round(measure.values) if kind == "handi_motion" else measure.values
        inside = (values >= np.float32(low)) & (values <= np.float32(high))
        assert [verdict.kept for verdict in apply(rule, clips).values()] == inside.tolist()
        assert 0 < inside.sum() < 40


def test_settings_reach_the_rule():
    clips = _clips()
    assert all(verdict.kept for verdict in apply(RULES["handi_motion"](minimum=20), clips).values())
    assert not any(verdict.kept for verdict in apply(RULES["showme_goal"](min_last=31), clips).values())
    assert all(verdict.last == 30 for verdict in apply(RULES["showme_goal"](candidates=1), clips).values())
    verdicts = apply(RULES["motion_intensive"](share=0.5), clips)
    assert sum(verdict.kept for verdict in verdicts.values()) == 6


def test_wrong_settings_are_reported():
    for kind, fields, words in (
        ("lego_window", {"low": 0.98}, "low 0.98 is above high 0.97"),
        ("handi_motion", {"treshold": 3}, "there is no field treshold"),
        ("motion_intensive", {"share": 0}, "share 0"),
        ("hand_presence", {"kind": "handi_motion"}, "kind 'handi_motion'"),
    ):
        with pytest.raises(InputError, match=words):
            parse_config({"kind": kind} | fields, RULES[kind], [], "rule")


def test_scores_that_are_missing_or_no_numbers_are_reported_with_the_clip():
    clips = _clips(3)
    del clips["clip 1"]["change"]
    with pytest.raises(ValueError, match="clip 1: the rule reads change, which the scorer 'change' gives"):
        apply(RULES["lego_window"](), clips)
    clips["clip 2"]["text_similarity"][3] = np.nan
    with pytest.raises(InputError, match="clip 2: text_similarity is no finite number"):
        apply(RULES["showme_goal"](), clips)
