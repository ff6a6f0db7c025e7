"""Sampling policies, against torch's interpolation, closed forms and the papers' rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from showme.data.sampling import POLICIES, draw_sample, evenly_spaced, is_uneven, state_image_pair


def drawn(policy: str, available: int, wanted: int, fps: float | None = 24.0, seed: int = 0):
    return draw_sample(policy, available, wanted, fps, torch.Generator().manual_seed(seed))


def test_evenly_spaced_frames_hold_first_and_last():
    assert evenly_spaced(16, 16) == list(range(16))
    assert evenly_spaced(16, 8) == [0, 2, 4, 6, 9, 11, 13, 15]
    sample = drawn("evenly_spaced", 30, 4)
    assert sample.indices[:, 0].tolist() == [0, 10, 19, 29]
    assert sample.stride == 9


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("available", [1, 2, 7, 16, 100])
def test_every_policy_stays_in_the_clip(policy, available):
    for seed in range(20):
        sample = drawn(policy, available, 16, seed=seed)
        assert len(sample) == (2 if policy == "first_last_pair" else 16)
        assert sample.indices.min() >= 0
        assert sample.indices.max() < available
        assert np.all(np.diff(sample.indices[:, 0]) >= 0)
        assert sample.stride >= 1


@pytest.mark.parametrize("available", [16, 30, 31, 120])
def test_rounding_down_is_numpys_whole_linspace(available):
    indices = drawn("evenly_spaced_floor", available, 16).indices[:, 0]
    assert indices.tolist() == np.linspace(0, available - 1, 16, dtype=int).tolist()


def test_consecutive_frames_leave_none_out():
    starts = set()
    for seed in range(80):
        sample = drawn("consecutive", 20, 16, seed=seed)
        assert np.diff(sample.indices[:, 0]).tolist() == [1] * 15
        starts.add(int(sample.indices[0, 0]))
    assert starts == {0, 1, 2, 3, 4}


def test_random_policies_reach_everything_and_repeat_by_seed():
    starts = {int(drawn("random_start", 40, 4, seed=seed).indices[0, 0]) for seed in range(80)}
    assert starts == {0}, "a stride of 13 leaves no remainder of 40"
    starts = {int(drawn("random_start", 42, 4, seed=seed).indices[0, 0]) for seed in range(80)}
    assert starts == {0, 1, 2}
    strides = {drawn("random_stride", 42, 4, seed=seed).stride for seed in range(400)}
    assert strides == set(range(1, 14))
    assert np.array_equal(drawn("random_stride", 42, 4, seed=3).indices, drawn("random_stride", 42, 4, seed=3).indices)


def test_last_at_8_fps_is_the_rule_of_the_released_data_set():
    sample = drawn("last_at_8_fps", 300, 16, fps=59.94)
    every = list(range(0, 300, 7))
    assert sample.indices[:, 0].tolist() == every[-16:]
    assert drawn("last_at_8_fps", 30, 16, fps=59.94).indices[:, 0].tolist() == evenly_spaced(30, 16)
    with pytest.raises(ValueError, match="needs the clip's frames per second"):
        drawn("last_at_8_fps", 300, 16, fps=None)


@pytest.mark.parametrize("available", [13, 16, 30, 61])
def test_seer_blend_is_torchs_trilinear_interpolation(available):
    clip = np.random.default_rng(0).integers(0, 256, (available, 6, 5, 3), dtype=np.uint8)
    sample = drawn("seer_blend", available, 12)
    video = torch.from_numpy(clip).permute(3, 0, 1, 2)[None].double()
    truth = F.interpolate(video, (12, 6, 5), mode="trilinear", align_corners=False)[0].permute(1, 2, 3, 0)
    mixed = sample.mix(clip[sample.needed])
    assert np.abs(mixed - truth.numpy()).max() <= 0.5 + 1e-6


def test_seer_pads_a_short_clip_with_grey():
    clip = np.full((5, 2, 2, 3), 200, np.uint8)
    mixed = drawn("seer_blend", 5, 8).mix(clip)
    assert mixed[:, 0, 0, 0].tolist() == [200] * 5 + [128] * 3


def test_the_pair_is_one_of_the_first_two_and_one_of_the_last_three():
    pairs = {state_image_pair(16, torch.Generator().manual_seed(seed)) for seed in range(200)}
    assert pairs == {(a, b) for a in (0, 1) for b in (13, 14, 15)}
    frames = {tuple(drawn("first_last_pair", 151, 16, seed=seed).indices[:, 0].tolist()) for seed in range(200)}
    assert frames == {(a, b) for a in (0, 10) for b in (130, 140, 150)}


def test_only_the_frames_that_count_are_needed():
    sample = drawn("evenly_spaced", 4, 8)
    assert sample.needed.tolist() == [0, 1, 2, 3]
    clip = np.arange(4, dtype=np.uint8)[:, None, None, None]
    assert sample.mix(clip)[:, 0, 0, 0].tolist() == sample.indices[:, 0].tolist()


def test_what_cannot_be_taken_is_refused():
    for arguments in (("evenly_spaced", 0, 4), ("evenly_spaced", 4, 0), ("every_other", 4, 4)):
        with pytest.raises(ValueError, match=r"cannot be taken|there is no sampling"):
            drawn(*arguments)


def test_a_policy_in_seconds_goes_by_the_times_of_frames():
    generator = torch.Generator()
    # 24 per second for two seconds, then 4 per second for two: at 8 per second each of the last is shown twice.
    times = np.concatenate([np.arange(48) / 24, 2 + np.arange(8) / 4])
    fps = 55 / float(times[-1])
    period = max(round(fps / 8), 1) / fps
    sample = draw_sample("last_at_8_fps", 56, 12, fps, generator, times)
    moments = np.arange(0, times[-1] + 1e-9, period)[-12:]
    assert sample.main.tolist() == [int(np.flatnonzero(times <= moment + 1 / 48 + 1e-9)[-1]) for moment in moments]
    assert len(set(sample.main.tolist())) < 12
    by_number = draw_sample("last_at_8_fps", 56, 12, fps, generator)
    assert by_number.main.tolist() != sample.main.tolist()


@pytest.mark.parametrize("fps", [7.5, 12, 23.976, 25, 29.97, 30, 60])
def test_even_times_change_nothing(fps):
    generator = torch.Generator()
    for count in (1, 2, 17, 100, 301):
        # Matroska rounds to milliseconds.
        times = np.round(np.arange(count) / fps, 3)
        rate = (count - 1) / float(times[-1]) if count > 1 else fps
        with_times = draw_sample("last_at_8_fps", count, 12, rate, generator, times)
        assert with_times.main.tolist() == draw_sample("last_at_8_fps", count, 12, rate, generator).main.tolist()


def test_frames_that_lie_unevenly_in_time_are_noticed():
    generator = torch.Generator()
    sample = draw_sample("evenly_spaced", 60, 16, None, generator)
    assert not is_uneven(sample, np.arange(60) / 30)
    assert is_uneven(sample, np.concatenate([np.arange(30) / 30, 1 + np.arange(30) / 5]))
    short = draw_sample("evenly_spaced", 3, 16, None, generator)
    assert not is_uneven(short, np.array([0, 0.1, 0.2]))
