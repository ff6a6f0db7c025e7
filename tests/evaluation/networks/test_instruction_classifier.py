"""The classifier of tabletop actions: what it cannot see, what its file holds, what the packaged one tells apart."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from showme.errors import InputError
from showme.evaluation.networks.instruction_classifier import (
    CLASSES,
    NOTHING,
    TABLETOP_WEIGHTS,
    InstructionClassifier,
    shrunken,
)


def small(seed: int = 0) -> InstructionClassifier:
    torch.manual_seed(seed)
    return InstructionClassifier(frames=6, widths=(8, 8, 8, 8), hidden=8).requires_grad_(False).eval()


def test_the_first_frame_itself_is_not_seen():
    """What is far from every change does not count; what changes, and what is near, does."""
    torch.manual_seed(1)
    network, scenery = small(), torch.rand(8, 1, 3, 64, 64)
    clips = scenery.repeat(1, 9, 1, 1, 1)
    clips[:, 4:, :, :16, :16] = torch.rand(8, 5, 3, 16, 16)
    far, near = clips.clone(), clips.clone()
    far[..., 24:, 24:] = torch.rand(8, 1, 3, 40, 40)
    near[..., 17:20, :16] = torch.rand(8, 1, 3, 3, 16)
    torch.testing.assert_close(network(clips), network(far), atol=1e-5, rtol=0)
    assert (network(clips) - network(near)).abs().max() > 1e-3
    still = network(scenery.expand_as(clips))
    torch.testing.assert_close(still, still[:1].expand_as(still), atol=1e-5, rtol=0)
    assert (network(clips) - network(clips.flip(1))).abs().max() > 1e-3


def test_clips_are_judged_each_for_itself():
    torch.manual_seed(1)
    network, clips = small(), torch.rand(9, 7, 3, 64, 64)
    logits = torch.cat([network(clip[None]) for clip in clips])
    assert logits.shape == (9, len(CLASSES))
    assert network.actions(clips) == [CLASSES[row] for row in logits.argmax(1)]
    with pytest.raises(InputError, match="two frames"):
        network.actions(clips[:, :1])


def test_pictures_are_shrunken_by_averaging_areas():
    torch.manual_seed(0)
    clips = torch.rand(1, 2, 3, 128, 128)
    # A triangle of four pixels to either side: its weights, normalised.
    weights = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    rows = torch.einsum("...ijk,j->...ik", clips[..., 1:-1, :].unfold(-2, 4, 2).transpose(-1, -2), weights)
    middle = torch.einsum("...ij,j->...i", rows[..., 1:-1].unfold(-1, 4, 2), weights)
    torch.testing.assert_close(shrunken(clips)[..., 1:-1, 1:-1], middle, atol=1e-5, rtol=0)


def test_a_file_gives_the_network_back(tmp_path):
    network, clips = small(3), torch.rand(4, 6, 3, 64, 64)
    network.to_file(tmp_path / "a.safetensors", 0.75, trained="never")
    again = InstructionClassifier.from_assets(tmp_path / "a.safetensors")
    assert again.accuracy == 0.75
    assert again.config == network.config
    assert not any(p.requires_grad for p in again.parameters())
    # Stored in half precision.
    torch.testing.assert_close(again(clips), network.half().float()(clips), atol=1e-6, rtol=0)
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata()["trained"] == "never"


@pytest.mark.parametrize(
    "change",
    [
        {"classes": json.dumps(["a"])},
        {"config": "{}"},
        {"config": "[" * 100_000},
        {"config": json.dumps({"frames": 10**9, "widths": [8, 8, 8, 8], "hidden": 8})},
        {"config": json.dumps({"frames": 6, "widths": [8, 8, 8, 80_000], "hidden": 80_000})},
        {"accuracy": "good"},
        {"accuracy": None},
    ],
)
def test_other_files_are_refused(tmp_path, change):
    path = tmp_path / "a.safetensors"
    small().to_file(path, 0.5)
    with safe_open(path, "pt") as file:
        notes = {**file.metadata(), **change}
    save_file(load_file(path), path, {key: value for key, value in notes.items() if value is not None})
    with pytest.raises(InputError, match=r"a\.safetensors does not hold .*train_instruction_classifier") as error:
        InstructionClassifier.from_assets(path)
    assert "\n" not in str(error.value)


def test_a_missing_and_a_damaged_file_are_refused(tmp_path):
    with pytest.raises(InputError, match="no instruction classifier"):
        InstructionClassifier.from_assets(tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes(b"x" * 40)
    with pytest.raises(InputError, match="does not hold"):
        InstructionClassifier.from_assets(tmp_path / "b.safetensors")


def test_the_packaged_weights_are_small_and_state_their_accuracy():
    assert TABLETOP_WEIGHTS.stat().st_size < 2**20
    assert 0.85 < InstructionClassifier.from_assets().accuracy < 1


def test_the_packaged_classifier_names_true_renders_and_nothing_where_nothing_moves(opengl):
    """Scenes of the test split, which its training never saw, one of each action."""
    from showme.worlds.tabletop import render_scene
    from tests.worlds.conftest import scenes_by_action

    network = InstructionClassifier.from_assets()
    frames = {name: render_scene(scene, labels=False).frames for name, scene in scenes_by_action().items()}
    clips = torch.stack([torch.from_numpy(each) for each in frames.values()]).permute(0, 1, 4, 2, 3).float() / 255
    seen = network.actions(clips)
    assert sum(a == b for a, b in zip(seen, frames, strict=True)) >= len(frames) - 2
    still = clips[:, :1].expand_as(clips)
    assert network.actions(still) == [NOTHING] * len(clips)
