"""Pairs: every clip in the protocol's form, and what does not fit it refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from showme.data.media import Rendered
from showme.data.sources.record import Record
from showme.errors import InputError
from showme.evaluation.pairs import (
    Files,
    PairRows,
    ReferenceRows,
    check_generated,
    check_reference,
    stretched,
)
from showme.evaluation.protocol import Protocol

from .conftest import FRAMES, SIZE, moving_square, write_set


def protocol(**fields) -> Protocol:
    defaults = {"name": "mine", "published": "nowhere", "task": "video", "metrics": ["psnr"], "frames": FRAMES}
    return Protocol(**(defaults | {"height": SIZE, "width": SIZE} | fields))


def true_of(folder, frames: int) -> Record:
    """A true clip of so many frames, written into a folder."""
    write_set(folder, {"true": moving_square(1, frames)})
    return Record("true", Rendered(folder / "true.safetensors"), "push it")


@pytest.fixture
def rows(tmp_path):
    """A protocol's rows of one pair: the truth moves by 2 pixels a frame, the generated clip by 1."""
    write_set(tmp_path / "true", {"a": moving_square(2)})
    write_set(tmp_path / "made", {"a": moving_square(1)})

    def build(**fields) -> PairRows:
        chosen = protocol(**fields)
        record = Record("a", Rendered(tmp_path / "true" / "a.safetensors"), "push it")
        files = Files("made", [Rendered(tmp_path / "made" / "a.safetensors")], [None], chosen)
        return PairRows(files, ReferenceRows([record], chosen), chosen)

    return build


def test_shown_frames_count_as_the_protocol_says(rows):
    true, made = moving_square(2), moving_square(1)
    plain = rows(condition_frames=2)
    assert np.array_equal(plain.generated(0), made)
    assert np.array_equal(plain.reference.compared(0), true)
    truth = rows(condition_frames=2, shown_frames="truth")
    assert np.array_equal(truth.generated(0), np.concatenate([true[:2], made[2:]]))
    left = rows(condition_frames=2, shown_frames="left_out")
    assert np.array_equal(left.generated(0), made[2:])
    assert np.array_equal(left.reference.compared(0), true[2:])


def test_a_picture_stands_beside_every_target(rows):
    pictures = rows(task="image", targets=3)
    assert np.array_equal(pictures.generated(0), np.repeat(moving_square(1)[-1:], 3, axis=0))
    assert np.array_equal(pictures.reference.compared(0), moving_square(2)[-3:])
    pairs = pictures.pairs(0)
    assert pairs.generated.shape == pairs.reference.shape == (1, 3, 3, SIZE, SIZE)
    assert torch.equal(
        (pairs.reference[0] * 255).round().byte().permute(0, 2, 3, 1), torch.tensor(moving_square(2)[-3:])
    )


def test_stretching_is_to_each_frames_own_range(rows):
    frames = np.stack([np.full((4, 4, 3), 60, np.uint8), np.full((4, 4, 3), 10, np.uint8)])
    frames[0, 0, 0] = (110, 60, 60)
    frames[1, 1, 1] = (10, 20, 30)
    result = stretched(frames)
    assert result[0].max() == 255
    assert result[0].min() == 0
    assert result[0, 0, 0].tolist() == [255, 0, 0]
    assert result[1, 1, 1].tolist() == [0, 128, 255]
    assert rows(generated_range="min_max").generated(0).min() == 0


def test_identities_change_with_what_is_compared(rows, tmp_path):
    before = rows().identities
    assert rows().identities == before
    write_set(tmp_path / "made", {"a": moving_square(3)})
    assert rows().identities != before
    assert rows().fingerprint != rows(shown_frames="truth").fingerprint
    assert rows().fingerprint == rows(metrics=["ssim"]).fingerprint


@pytest.mark.parametrize(
    ("frames", "fields", "sentence"),
    [
        (3, {}, "made.safetensors has 3 frames, and the protocol mine needs 6: generate longer ones, or set frames=3"),
        (8, {}, "has 8 frames, and the protocol mine needs 6: generated_sampling=evenly_spaced takes"),
        (3, {"generated_sampling": "evenly_spaced"}, "has 3 frames, and the protocol mine needs at least 6"),
        (6, {"height": 24}, "is 32x32 pixels, and the protocol mine compares 32x24: generate clips of that shape"),
    ],
)
def test_clips_that_do_not_fit_are_refused(tmp_path, frames, fields, sentence):
    write_set(tmp_path, {"made": moving_square(1, frames)})
    with pytest.raises(InputError, match=sentence):
        check_generated(Rendered(tmp_path / "made.safetensors"), protocol(**fields), true_of(tmp_path, 6))


def test_true_clips_that_are_too_short_are_refused(tmp_path):
    record = true_of(tmp_path, 3)
    with pytest.raises(
        InputError, match=r"clip 'true', .*true\.safetensors, has 3 frames, and the protocol mine needs 6"
    ):
        check_reference(record, protocol())
    check_reference(record, protocol(sampling="seer_blend"))
    assert check_generated(record.media, protocol(frames=3), record) == (32, 32)
    assert check_generated(record.media, protocol(task="image"), record) == (32, 32)


def test_where_true_clips_are_bent_generated_ones_of_their_shape_are_as_well(tmp_path):
    truth = true_of(tmp_path, 6)
    bent = {"height": 24, "width": 32, "fit": "squash"}
    assert check_generated(truth.media, protocol(**bent), truth) == (32, 32)
    write_set(tmp_path, {"wide": np.zeros((6, 32, 48, 3), np.uint8), "fits": np.zeros((6, 48, 64, 3), np.uint8)})
    assert check_generated(Rendered(tmp_path / "fits.safetensors"), protocol(**bent), truth) == (48, 64)
    with pytest.raises(InputError, match="is 48x32 pixels, and the protocol mine compares 32x24"):
        check_generated(Rendered(tmp_path / "wide.safetensors"), protocol(**bent), truth)


def test_a_codec_changes_the_truth_and_not_what_a_model_is_shown(tmp_path):
    write_set(tmp_path, {"true": moving_square(1)})
    record = Record("true", Rendered(tmp_path / "true.safetensors"), "push it")
    rows = ReferenceRows([record], protocol(through_codec=True), codec=lambda frames: frames // 2)
    assert np.array_equal(rows.frames(0), moving_square(1) // 2)
    assert np.array_equal(rows.original(0), moving_square(1))
