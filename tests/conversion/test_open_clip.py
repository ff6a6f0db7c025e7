"""OpenCLIP's towers after conversion: the tensors that DynamiCrafter reads, equal to open_clip's own."""

from __future__ import annotations

import pytest
import torch

from showme.conversion.open_clip import (
    IMAGE_INERT,
    TEXT_INERT,
    convert_image_tower,
    convert_text_tower,
    image_keys,
    split_in_proj,
    text_keys,
)
from showme.errors import ConversionError

open_clip = pytest.importorskip("open_clip", reason="open_clip_torch makes the reference towers")

VIT_H = {
    "embed_dim": 1024,
    "vision_cfg": {"image_size": 224, "layers": 32, "width": 1280, "head_width": 80, "patch_size": 14},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 1024, "heads": 16, "layers": 24},
}


@pytest.fixture(scope="module")
def clip():
    """A tiny CLIP in open_clip's own classes, with every weight random (fresh ones hold zeros and ones)."""
    torch.manual_seed(0)
    model = open_clip.model.CLIP(
        embed_dim=24,
        vision_cfg={"image_size": 42, "layers": 3, "width": 48, "head_width": 12, "patch_size": 14},
        text_cfg={"context_length": 11, "vocab_size": 50, "width": 32, "heads": 4, "layers": 4},
    ).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def text_weights(model) -> dict:
    return {key: value for key, value in model.state_dict().items() if not key.startswith("visual.")}


def image_weights(model) -> dict:
    return {key[7:]: value for key, value in model.state_dict().items() if key.startswith("visual.")}


@torch.no_grad()
def test_text_tower_gives_the_penultimate_output_after_the_final_norm(clip):
    ids = torch.randint(1, 48, (3, 11))
    ids[:, 0], ids[:, 7], ids[:, 8:] = 48, 49, 0
    x = clip.token_embedding(ids) + clip.positional_embedding
    for block in clip.transformer.resblocks[:-1]:
        x = block(x, attn_mask=clip.attn_mask)
    expected = clip.ln_final(x)
    got = convert_text_tower(text_weights(clip), head_width=8)(ids).last_hidden_state
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_image_tower_gives_all_tokens_before_the_last_norm(clip):
    pixels, visual = torch.randn(2, 3, 42, 42), clip.visual
    x = visual.conv1(pixels).flatten(2).transpose(1, 2)
    x = torch.cat([visual.class_embedding.expand(2, 1, -1), x], dim=1) + visual.positional_embedding
    expected = visual.transformer(visual.ln_pre(x))
    model = convert_image_tower(image_weights(clip), head_width=12)
    assert model.config.image_size == 42
    torch.testing.assert_close(model(pixels).last_hidden_state, expected, atol=1e-5, rtol=0)
    assert not torch.allclose(visual.ln_post(expected), expected, atol=0.1), "the norm must be one that shows"


def test_wrong_heads_show(clip):
    """The head width leaves no trace in the shapes: the documented rule is all there is, and 64 does not fill 48."""
    with pytest.raises(ConversionError, match="width 64"):
        convert_image_tower(image_weights(clip))


def test_every_full_size_key_is_read_or_inert():
    with torch.device("meta"):
        model = open_clip.model.CLIP(**VIT_H)
    text, image = text_weights(model), image_weights(model)
    assert len(text) + len(image) == len(model.state_dict())

    tower = convert_text_tower(text)
    assert (tower.config.num_hidden_layers, tower.config.num_attention_heads) == (23, 16)
    assert (tower.config.hidden_size, tower.config.intermediate_size) == (1024, 4096)
    assert (tower.config.vocab_size, tower.config.max_position_embeddings) == (49408, 77)
    split = split_in_proj(text)
    inert = {key for key in split if key in TEXT_INERT or ".resblocks.23." in key}
    assert set(text_keys(split)) | inert == set(split)
    assert not set(text_keys(split)) & inert

    tower = convert_image_tower(image)
    assert (tower.config.num_hidden_layers, tower.config.num_attention_heads) == (32, 16)
    assert (tower.config.hidden_size, tower.config.image_size, tower.config.patch_size) == (1280, 224, 14)
    split = split_in_proj(image)
    assert set(image_keys(split)) | set(IMAGE_INERT) == set(split)


@pytest.mark.parametrize(
    "key",
    [
        "transformer.resblocks.0.attn.banana",
        "transformer.resblocks.3.attn.banana",  # the unread block's
        "transformer.resblocks.1.banana.weight",
        "ln_final.banana",
        "banana",
    ],
)
def test_stray_text_key_is_named(clip, key):
    with pytest.raises(ConversionError, match="banana"):
        convert_text_tower({**text_weights(clip), key: torch.zeros(1)}, head_width=8)


@pytest.mark.parametrize(
    ("key", "named"),
    [
        ("ln_final.bias", "final_layer_norm.bias"),
        ("token_embedding.weight", "token_embedding.weight"),
        ("transformer.resblocks.1.attn.in_proj_weight", r"layers\.1\.self_attn\.k_proj\.weight"),
    ],
)
def test_missing_text_key_is_named(clip, key, named):
    weights = text_weights(clip)
    del weights[key]
    with pytest.raises(ConversionError, match=named):
        convert_text_tower(weights, head_width=8)


def test_stray_and_missing_image_keys_are_named(clip):
    weights = image_weights(clip)
    with pytest.raises(ConversionError, match="banana"):
        convert_image_tower({**weights, "banana": torch.zeros(1)}, head_width=12)
    del weights["ln_pre.weight"]
    with pytest.raises(ConversionError, match=r"pre_layrnorm\.weight"):
        convert_image_tower(weights, head_width=12)
