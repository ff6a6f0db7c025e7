"""The dual-query transformer: shapes, what each branch reads, and that states and frames are told apart."""

from __future__ import annotations

import pytest
import torch

from showme.models.dqformer import DQFormer

SIZES = {"text_width": 6, "image_width": 5, "context_width": 10, "frames": 4, "channels": 8, "heads": 2, "queries": 3}


def inputs(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {"text": torch.randn(2, 7, 6), "image": torch.randn(2, 9, 5), "states": torch.randn(2, 4, 7, 6)}


@pytest.mark.parametrize(
    ("branches", "tokens"),
    [({}, 7 + 3), ({"multimodal": False}, 3), ({"decomposed": False}, 7)],
)
def test_every_frame_gets_the_tokens_of_the_branches_that_are_there(branches, tokens):
    network = DQFormer(**SIZES, **branches)
    given = inputs()
    out = network(given["text"], given["image"], 4, given["states"])
    assert out.shape == (2, 4, tokens, 10)
    # The multimodal branch says the same of all frames, the decomposed one does not.
    shared = out[:, 0, :7] if branches != {"multimodal": False} else None
    if shared is not None:
        assert torch.equal(shared, out[:, 3, :7])
    if "decomposed" not in branches:
        assert not torch.allclose(out[:, 0, -3:], out[:, 3, -3:])


def test_each_branch_reads_what_is_its_own():
    network, given = DQFormer(**SIZES), inputs()
    other = inputs(1)
    plain = network(given["text"], given["image"], 4, given["states"])
    picture = network(given["text"], other["image"], 4, given["states"])
    assert not torch.allclose(picture[:, :, :7], plain[:, :, :7])
    assert torch.equal(picture[:, :, 7:], plain[:, :, 7:])
    states = network(given["text"], given["image"], 4, other["states"])
    assert torch.equal(states[:, :, :7], plain[:, :, :7])
    assert not torch.allclose(states[:, :, 7:], plain[:, :, 7:])
    text = network(other["text"], given["image"], 4, given["states"])
    assert not torch.allclose(text[:, :, :7], plain[:, :, :7])
    assert not torch.allclose(text[:, :, 7:], plain[:, :, 7:])


def test_states_that_are_not_there_are_not_read():
    network, given = DQFormer(**SIZES), inputs()
    there = torch.tensor([[True, True, True, False]]).expand(2, -1)
    three = network(given["text"], given["image"], 4, given["states"][:, :3])
    masked = network(given["text"], given["image"], 4, given["states"], there)
    torch.testing.assert_close(masked, three)


def test_without_states_the_instruction_stands_for_them():
    network, given = DQFormer(**SIZES), inputs()
    torch.testing.assert_close(
        network(given["text"], given["image"], 4),
        network(given["text"], given["image"], 4, given["text"][:, None]),
    )


def test_other_numbers_of_frames_lie_between():
    network, given = DQFormer(**SIZES, multimodal=False), inputs()
    for layer in network.decomposed_layers:
        # Nothing but the queries themselves passes.
        for attention in layer.attentions:
            torch.nn.init.zeros_(attention.to_out.weight)
            torch.nn.init.zeros_(attention.to_out.bias)
        torch.nn.init.zeros_(layer.feed_forward[-1].weight)
        torch.nn.init.zeros_(layer.feed_forward[-1].bias)
    network.norm_out = torch.nn.Identity()
    few, many = network(given["text"], None, 4), network(given["text"], None, 7)
    torch.testing.assert_close(many[:, ::2], few)
    torch.testing.assert_close(many[:, 1], few[:, :2].mean(1))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"multimodal": False, "decomposed": False}, "one branch at least"),
        ({"image_width": None}, "has no image encoder"),
        ({"heads": 3}, "3 heads do not divide 8 channels"),
    ],
)
def test_what_cannot_be_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        DQFormer(**SIZES | changes)


def test_the_papers_sizes_on_the_meta_device():
    with torch.device("meta"):
        network = DQFormer()
    # Four layers of 16 squares of 1024, three projections, 77 queries for each of 16 frames; biases and norms beside.
    weights = 4 * 16 * 1024**2 + (1024 + 1280 + 1024) * 1024 + 16 * 77 * 1024
    assert sum(each.numel() for each in network.parameters() if each.ndim > 1) == weights
