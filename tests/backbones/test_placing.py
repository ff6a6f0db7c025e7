"""Known pictures stand in their slots and nowhere else."""

from __future__ import annotations

import pytest
import torch

from showme.backbones.base import Conditions, Facts
from showme.backbones.placing import beside, in_slots
from showme.errors import InputError


def test_known_pictures_stand_in_their_slots():
    pictures = torch.randn(2, 4, 3, 5, 5)
    known = in_slots(pictures, (0, 2, -1), 6)
    assert known.latents.shape == (2, 4, 6, 5, 5)
    assert known.where[:, 0, :, 0, 0].tolist() == [[1, 0, 1, 0, 0, 1]] * 2
    assert torch.equal(known.latents[:, :, [0, 2, 5]], pictures)
    assert not known.latents[:, :, [1, 3, 4]].any()
    assert torch.equal(beside(known.latents, known)[:, 4:], known.latents)


def test_a_repeated_first_picture_leaves_the_others_theirs():
    pictures = torch.randn(1, 4, 2, 3, 3)
    known = in_slots(pictures, (0, -1), 5, repeat=True)
    assert torch.equal(known.latents[:, :, :4], pictures[:, :, :1].expand(-1, -1, 4, -1, -1))
    assert torch.equal(known.latents[:, :, 4:], pictures[:, :, 1:])
    assert known.where.flatten().tolist() == [1, 0, 0, 0, 1]


def test_a_clip_of_one_slot_is_its_beginning():
    pictures = torch.randn(1, 4, 2, 3, 3)
    assert torch.equal(in_slots(pictures, (0, -1), 1).latents, pictures[:, :, :1])


def test_conditions_of_one_clip_serve_every_branch():
    known = in_slots(torch.randn(1, 4, 1, 3, 3), (0,), 2)
    repeated = Conditions(torch.randn(3, 7, 8), None, known).repeated(3)
    assert repeated.known.latents.shape == (3, 4, 2, 3, 3)
    assert repeated.known.where.shape == (3, 1, 2, 1, 1)


def test_frames_that_a_codec_would_leave_out_are_refused():
    wan = Facts(space=8, time=4)
    assert [wan.slots(frames) for frames in (1, 5, 17)] == [1, 2, 5]
    with pytest.raises(InputError, match="choose 13 or 17 frames"):
        wan.slots(16)
    assert Facts(space=8).slots(16) == 16
