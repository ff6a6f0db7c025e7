"""Instructions of more tokens than the text encoder reads: cut with a warning, read in windows, or refused."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from showme.backbones.instructions import InstructionReader, common_windows
from showme.errors import InputError, TruncationWarning

SHORT = "push the red box to the left"
# [BOS], 22 words and [EOS] are what the tiny encoder reads.
START = " ".join(["push the red box"] * 5 + ["to the"])
LONG = f"{START} left {{}}"


def states(pipeline, text: str) -> torch.Tensor:
    """What the text encoder says of one text, without anything of ours."""
    ids = pipeline.tokenizer(
        [text], padding="max_length", truncation=True, max_length=24, return_tensors="pt"
    ).input_ids
    return pipeline.text_encoder(ids).last_hidden_state[0]


@torch.no_grad()
def test_what_is_cut_is_read_as_ever_and_windows_are_laid_end_to_end(tiny_pipeline):
    texts, long = ["", SHORT, LONG.format("up")], LONG.format("up")
    assert torch.equal(
        tiny_pipeline.backbone.encode_text(texts), torch.stack([states(tiny_pipeline, text) for text in texts])
    )
    parts = torch.cat([states(tiny_pipeline, START), states(tiny_pipeline, "left up")])
    nothing, short, chunked = tiny_pipeline.backbone.encode_text(texts, long_instructions="chunk")
    assert long == f"{START} left up"
    torch.testing.assert_close(chunked, parts, atol=1e-6, rtol=0)
    # Whatever is shorter is repeated, the empty text of guidance among it.
    for row, text in ((nothing, ""), (short, SHORT)):
        torch.testing.assert_close(row, states(tiny_pipeline, text).repeat(2, 1), atol=1e-6, rtol=0)
    assert tiny_pipeline.backbone.encode_text([SHORT], long_instructions="chunk", windows=3).shape == (1, 72, 16)


@torch.no_grad()
def test_attention_to_a_repeated_context_is_attention_to_it_once(tiny_pipeline):
    torch.manual_seed(0)
    sample, text, image = torch.randn(2, 8, 4, 4, 4), torch.randn(2, 24, 16), torch.randn(2, 4, 2, 16)
    once = tiny_pipeline.unet(sample, torch.tensor(500), text, image)
    thrice = tiny_pipeline.unet(sample, torch.tensor(500), text.repeat(1, 3, 1), image)
    assert once.std() > 0.01
    torch.testing.assert_close(thrice, once, atol=1e-5, rtol=1e-4)


def test_the_end_of_a_long_instruction_counts_in_windows_alone(tiny_pipeline):
    photo = Image.linear_gradient("L").resize((32, 32)).convert("RGB")

    def picture(text, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TruncationWarning)
            return np.asarray(tiny_pipeline(photo, text, task="image", seed=0, output_type="np", **options).image)

    up, down = LONG.format("lift the blue mug"), LONG.format("pull the green ball closer")
    assert np.array_equal(picture(up), picture(down))
    assert not np.array_equal(picture(up, long_instructions="chunk"), picture(down, long_instructions="chunk"))
    # Whatever fits is read as ever, with guidance and without.
    for guidance in (1.0, 3.0):
        options = {"guidance_scale": guidance}
        assert np.array_equal(picture(SHORT, **options), picture(SHORT, long_instructions="chunk", **options))


def test_a_call_warns_each_time_of_what_was_cut_off(tiny_pipeline):
    photo = Image.new("RGB", (32, 32))
    for _ in range(2):
        with pytest.warns(
            TruncationWarning, match="24 tokens that the model reads: 'left lift' is beyond them and is cut off"
        ):
            tiny_pipeline(photo, LONG.format("lift"), task="image", seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", TruncationWarning)
        tiny_pipeline(photo, START, task="image", seed=0)
        tiny_pipeline(photo, LONG.format("lift"), task="image", seed=0, long_instructions="chunk")
    with pytest.raises(InputError, match=r"'left lift' is beyond them: shorten .* long_instructions to chunk or cut"):
        tiny_pipeline(photo, LONG.format("lift"), task="image", long_instructions="refuse")
    with pytest.raises(ValueError, match="choose cut, chunk, refuse"):
        tiny_pipeline(photo, SHORT, long_instructions="shorten")


def test_a_model_keeps_its_own_choice(tiny_pipeline, tmp_path):
    pipeline = copy.copy(tiny_pipeline)
    pipeline.register_to_config(long_instructions="refuse")
    with pytest.raises(InputError, match="longer than the 24 tokens"):
        pipeline(Image.new("RGB", (32, 32)), LONG.format("up"), task="image")
    pipeline.save_config(tmp_path)
    assert type(pipeline).load_config(tmp_path)["long_instructions"] == "refuse"
    assert tiny_pipeline.config.long_instructions == "cut"


def test_many_instructions_are_reported_at_once_with_the_first_ones_place(tiny_pipeline):
    reader = InstructionReader(tiny_pipeline.tokenizer, "cut")
    texts = [SHORT, LONG.format("up"), LONG.format("up"), LONG.format("")]
    with pytest.warns(TruncationWarning) as caught:
        reader.check(texts, [f"clip {name!r}" for name in "abcd"])
    assert [str(each.message) for each in caught] == [
        "3 of 4 instructions are longer than the 24 tokens that the model reads: of the first, clip 'b', 'left up' is "
        "beyond them and is cut off: shorten what is too long, or set long_instructions to chunk."
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reader.check([])
        InstructionReader(tiny_pipeline.tokenizer, "chunk").check(texts)


def test_texts_of_several_lengths_share_the_least_number_of_windows_up_to_a_bound():
    assert common_windows([["a"], ["a"]]) == 1
    assert common_windows([["a"], ["a"] * 2, ["a"] * 3]) == 6
    with pytest.raises(InputError, match=r"fill 7, 9 windows .* need 63 each, more than 60: shorten the longest"):
        common_windows([["a"] * 7, ["a"] * 9])
