"""ViCLIP: both towers against CLIP's of transformers, its pixels against OpenCV and torchvision, and its files."""

from __future__ import annotations

import json

import cv2
import huggingface_hub.constants
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torchvision import transforms
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from showme.conversion.clip_tokenizer import find_vocabulary, make_tokenizer
from showme.errors import InputError, TruncationWarning
from showme.evaluation.networks.viclip import (
    PREPROCESSINGS,
    TextTransformer,
    ViCLIP,
    VideoClip,
    VisionTransformer,
)

from .tiny_video_text import (
    HEAD_WIDTH,
    LETTERS,
    LONGEST,
    clip_tokenizer,
    save_weights,
    tiny_viclip,
    tiny_video_clip,
)

_BLOCK = {"num_hidden_layers": 2, "hidden_act": "quick_gelu", "projection_dim": 10}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    clip_tokenizer().save_pretrained(folder)
    return folder


def clip_weights(weights: dict[str, torch.Tensor], tower: str) -> dict[str, torch.Tensor]:
    """A tower's weights under the names of transformers."""
    places = {"class_embedding": "embeddings.class_embedding", "ln_pre.": "pre_layrnorm.",
              "ln_post.": "post_layernorm.",
              "positional_embedding": "embeddings.position_embedding.weight", "ln_final.": "final_layer_norm.",
              "token_embedding.": "embeddings.token_embedding.", "conv1.": "embeddings.patch_embedding.",
              "transformer.resblocks.": "encoder.layers.", ".attn.": ".self_attn.", ".ln_1.": ".layer_norm1.",
              ".ln_2.": ".layer_norm2.", ".mlp.c_fc.": ".mlp.fc1.", ".mlp.c_proj.": ".mlp.fc2."}  # fmt: skip
    named = {}
    for name, value in weights.items():
        if name == "temporal_positional_embedding":
            continue
        if name in ("proj", "text_projection"):
            named["visual_projection.weight" if name == "proj" else "text_projection.weight"] = value.T
            continue
        for ours, theirs in places.items():
            name = theirs + name.removeprefix(ours) if name.startswith(ours) else name.replace(ours, theirs)
        value = value.squeeze(2) if "patch_embedding" in name else value
        parts = {"": value}
        if "in_proj_" in name:
            parts = dict(zip(("q_proj.", "k_proj.", "v_proj."), value.chunk(3), strict=True))
        for part, piece in parts.items():
            named[f"{tower}_model.{name.replace('in_proj_', part)}"] = piece
    return named


def clip_vision(tower: VisionTransformer) -> CLIPVisionModelWithProjection:
    config = CLIPVisionConfig(
        **_BLOCK, hidden_size=24, intermediate_size=96, num_attention_heads=3, image_size=32, patch_size=8
    )
    model = CLIPVisionModelWithProjection(config).eval()
    model.load_state_dict(clip_weights(tower.state_dict(), "vision"))
    return model


@torch.no_grad()
def test_one_frame_without_an_embedding_of_time_is_what_clip_sees():
    tower = tiny_video_clip(frames=1).vision_encoder
    tower.temporal_positional_embedding.data.zero_()
    pictures = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = clip_vision(tower)(pixel_values=pictures).image_embeds
    assert float(expected.std(0).mean()) > 0.01
    torch.testing.assert_close(tower(pictures[:, None]), expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_patches_of_all_frames_attend_to_each_other_as_in_clips_encoder():
    tower = tiny_video_clip(frames=8).vision_encoder
    vision = clip_vision(tower).vision_model
    clips = torch.randn(64, 8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    weights = tower.state_dict()
    tokens = [(weights["class_embedding"] + weights["positional_embedding"][0]).expand(64, 1, -1)]
    for time in range(8):
        patches = F.conv2d(clips[:, time], weights["conv1.weight"][:, :, 0], stride=8).flatten(2).transpose(1, 2)
        embedded = weights["positional_embedding"][1:] + weights["temporal_positional_embedding"][0, time]
        tokens.append(patches + embedded)
    hidden = vision.encoder(inputs_embeds=vision.pre_layrnorm(torch.cat(tokens, dim=1))).last_hidden_state
    expected = vision.post_layernorm(hidden[:, 0]) @ weights["proj"]
    torch.testing.assert_close(tower(clips), expected, rtol=0, atol=1e-5)
    backwards = tower(clips.flip(1))
    assert float((backwards - expected).abs().max()) > 1e-3


@torch.no_grad()
def test_sentences_are_those_of_clip_and_do_not_depend_on_what_goes_along():
    encoder, generator = tiny_viclip(), torch.Generator().manual_seed(0)
    words = len(encoder.tokenizer)
    config = CLIPTextConfig(
        **_BLOCK, vocab_size=words, hidden_size=16, intermediate_size=64, num_attention_heads=2,
        max_position_embeddings=LONGEST, bos_token_id=words - 2, eos_token_id=words - 1, pad_token_id=words - 1,
    )  # fmt: skip
    model = CLIPTextModelWithProjection(config).eval()
    model.load_state_dict(clip_weights(encoder.network.text_encoder.state_dict(), "text"))
    sentences = [
        "".join(LETTERS[int(n)] for n in torch.randint(26, (size % (LONGEST - 2),), generator=generator))
        for size in range(64)
    ]
    expected = torch.cat([
        model(**encoder.tokenizer(each, return_tensors="pt", return_attention_mask=True)).text_embeds
        for each in sentences
    ])  # fmt: skip
    torch.testing.assert_close(encoder.texts(sentences), F.normalize(expected, dim=-1), rtol=0, atol=1e-5)


def test_tokens_of_the_real_vocabulary_are_those_of_openclip_cut_at_32(tmp_path):
    tokenize = pytest.importorskip("open_clip").tokenizer.SimpleTokenizer(context_length=32)
    make_tokenizer(find_vocabulary(None, tmp_path)).save_pretrained(tmp_path / "tokenizer")
    network = VideoClip(tiny_video_clip().vision_encoder, TextTransformer(width=8, layers=1, heads=1, features=10))
    path = save_weights(network, tmp_path / "weights.safetensors")
    encoder = ViCLIP.from_file(path, tokenizer=tmp_path / "tokenizer", truncate=True, head_width=HEAD_WIDTH)
    sentences = ["Pouring water into a cup", "a", "taking one of the many red cups from the shelf, then " * 6,
                 "plugging a cable into a laptop's USB-3 port!", ""]  # fmt: skip
    expected = tokenize(sentences)
    ids = encoder._ids(encoder._encoded(sentences))
    assert ids.shape == expected.shape
    assert (ids == expected).all()


def test_pixels_of_the_release_are_those_of_opencv():
    levels = np.random.default_rng(0).integers(0, 256, (64, 40, 60, 3), dtype=np.uint8)
    frames = torch.from_numpy(levels).permute(0, 3, 1, 2) / 255
    expected = np.stack([cv2.resize(each, (32, 32)) for each in levels]) / 255
    expected = (expected - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    seen = PREPROCESSINGS["internvid"](frames, 32).permute(0, 2, 3, 1).double().numpy()
    # OpenCV computes in fixed point and may round to the level beside, mostly where the half lies between two.
    level = 1 / 255 / 0.224
    assert np.abs(seen - expected).max() <= 1.01 * level
    assert np.abs(seen - expected).mean() < 0.2 * level


def test_pixels_of_vbench_are_those_of_torchvision():
    levels = torch.randint(0, 256, (64, 3, 40, 60), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ready = transforms.Compose([
        transforms.Resize(32, interpolation=transforms.InterpolationMode.BICUBIC, antialias=False),
        transforms.CenterCrop(32),
        transforms.Lambda(lambda x: x.float().div(255.0)),
        transforms.Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    ])  # fmt: skip
    torch.testing.assert_close(PREPROCESSINGS["vbench"](levels / 255, 32), ready(levels), rtol=0, atol=1e-5)


@torch.no_grad()
def test_frames_are_taken_evenly_features_have_length_1_and_the_preprocessing_is_reported():
    encoder = tiny_viclip()
    clips = torch.rand(5, 15, 3, 40, 60, generator=torch.Generator().manual_seed(0))
    ready = torch.stack([PREPROCESSINGS["internvid"](clip[::2], 32) for clip in clips])
    expected = F.normalize(encoder.network.vision_encoder(ready), dim=-1)
    torch.testing.assert_close(encoder.videos(clips), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(encoder.videos(clips).norm(dim=1), torch.ones(5))
    other = ViCLIP(encoder.network, encoder.tokenizer, "vbench")
    assert float((other.videos(clips) - expected).abs().max()) > 1e-3
    assert {key for key in encoder.fingerprint if encoder.fingerprint[key] != other.fingerprint[key]} == {
        "preprocessing"
    }
    with pytest.raises(ValueError, match="preprocessing is one of internvid, vbench, not 'clip'"):
        ViCLIP(encoder.network, encoder.tokenizer, "clip")


@pytest.mark.parametrize(
    "wrong", [torch.rand(2, 3, 32, 32), torch.rand(0, 8, 3, 8, 8), torch.ones(1, 8, 3, 8, 8).int()]
)
def test_other_clips_are_refused(wrong):
    with pytest.raises(ValueError, match=r"\(B, T, 3, H, W\)"):
        tiny_viclip().videos(wrong)


def test_sentences_that_are_too_long_are_refused_or_cut_when_that_is_asked_for():
    encoder = tiny_viclip()
    with pytest.raises(InputError, match=rf"has 28 tokens and ViCLIP reads {LONGEST}: shorten it"):
        encoder.texts(["a", LETTERS])
    cut = ViCLIP(encoder.network, encoder.tokenizer, truncate=True)
    # The last letter that is kept is inside a word, so that no shorter sentence has the same tokens.
    row = encoder.tokenizer(LETTERS)["input_ids"]
    with torch.no_grad():
        expected = encoder.network.text_encoder(torch.tensor([[*row[: LONGEST - 1], row[-1]]]))
    with pytest.warns(
        TruncationWarning, match=f"{LONGEST} tokens that ViCLIP reads: '{LETTERS[LONGEST - 2 :]}' is beyond them"
    ):
        features = cut.texts([LETTERS])
    torch.testing.assert_close(features, F.normalize(expected, dim=-1))


@torch.no_grad()
def test_checkpoints_in_every_form_give_the_same_network(tmp_path, tokenizer):
    network = tiny_video_clip()
    clips, sentences = torch.rand(2, 8, 3, 32, 32), ["open the jar", "lift"]
    torch.save({"model": network.state_dict()}, tmp_path / "released.pth")
    torch.save(network.state_dict(), tmp_path / "plain.pth")
    save_weights(network, tmp_path / "hub.safetensors")
    expected = ViCLIP(network, clip_tokenizer())
    for name in ("released.pth", "plain.pth", "hub.safetensors"):
        encoder = ViCLIP.from_file(tmp_path / name, tokenizer=tokenizer, head_width=HEAD_WIDTH, truncate=True)
        assert json.loads(json.dumps(encoder.fingerprint)) == expected.fingerprint | {"truncate": True}
        torch.testing.assert_close(encoder.videos(clips), expected.videos(clips), rtol=0, atol=0)
        torch.testing.assert_close(encoder.texts(sentences), expected.texts(sentences), rtol=0, atol=0)


def test_files_that_are_no_such_checkpoint_are_reported_in_one_sentence(tmp_path, tokenizer, monkeypatch):
    whole = tiny_video_clip().state_dict()

    def refused(name: str, match: str, words=tokenizer) -> None:
        with pytest.raises(InputError, match=match) as caught:
            ViCLIP.from_file(tmp_path / name, tokenizer=words, head_width=HEAD_WIDTH)
        assert "\n" not in str(caught.value)

    save_file({key: value for key, value in whole.items() if key != "temp"}, tmp_path / "lacking.safetensors")
    refused("lacking.safetensors", 'lacking.safetensors does not hold .* "temp"')
    longer = whole | {"vision_encoder.conv1.weight": torch.ones(24, 3, 2, 8, 8)}
    save_file(longer, tmp_path / "two frames.safetensors")
    refused("two frames.safetensors", "two frames.safetensors does not hold .*conv1.weight")
    save_file({"x": torch.ones(1)}, tmp_path / "other.safetensors")
    refused("other.safetensors", "other.safetensors does not hold .*lacks vision_encoder.conv1.weight")
    torch.save({"model": whole | {"config": pytest.approx(1)}}, tmp_path / "objects.pth")
    refused("objects.pth", "objects.pth .* holds other things than named tensors")
    torch.save({"model": whole | {"epoch": 3}}, tmp_path / "numbers.pth")
    refused("numbers.pth", "numbers.pth .* holds other things than named tensors")
    endless = torch.ones(1).expand(24, 3, 1, 100_000, 100_000)
    torch.save({"model": whole | {"vision_encoder.conv1.weight": endless}}, tmp_path / "endless.pth")
    refused("endless.pth", "claims larger weights than it holds")
    refused("absent.pth", r"There is no ViCLIP file .*download ViClip-InternVid-10M-FLT\.pth")
    save_file(whole, tmp_path / "whole.safetensors")
    (tmp_path / "empty").mkdir()
    refused("whole.safetensors", "empty holds no tokenizer", tmp_path / "empty")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    refused("whole.safetensors", "openai/absent at revision main is not on this disk", "openai/absent")


@pytest.mark.parametrize(
    ("vision", "text", "features", "gigabytes"),
    [
        ({}, {}, 768, 1.71),
        ({"patch": 16, "width": 768, "layers": 12, "heads": 12}, {"width": 512, "heads": 8}, 512, 0.598),
    ],
    ids=["L/14", "B/16"],
)
def test_full_networks_have_as_many_weights_as_clip_and_their_published_files(vision, text, features, gigabytes):
    with torch.device("meta"):
        ours = VideoClip(VisionTransformer(**vision, features=features), TextTransformer(**text, features=features))
        size, heads = ours.vision_encoder.ln_pre.normalized_shape[0], vision.get("heads", 16)
        width = ours.text_encoder.ln_final.normalized_shape[0]
        config = CLIPConfig(
            text_config={"hidden_size": width, "intermediate_size": 4 * width, "num_attention_heads": width // 64},
            vision_config={"hidden_size": size, "intermediate_size": 4 * size, "num_attention_heads": heads,
                           "num_hidden_layers": vision.get("layers", 24), "patch_size": vision.get("patch", 14)},
            projection_dim=features,
        )  # fmt: skip
        clip = CLIPModel(config)
    total = sum(weight.numel() for weight in ours.parameters())
    # 32 positions of text for CLIP's 77, and 8 frames.
    assert total == sum(weight.numel() for weight in clip.parameters()) - (77 - 32) * width + 8 * size
    assert round(4 * total / 1e9, len(str(gigabytes)) - 2) == gigabytes
    names = {name.split(".resblocks.")[0] for name in ours.state_dict()}
    assert names == {
        "temp", "vision_encoder.conv1.weight", "vision_encoder.class_embedding", "vision_encoder.positional_embedding",
        "vision_encoder.temporal_positional_embedding", "vision_encoder.ln_pre.weight", "vision_encoder.ln_pre.bias",
        "vision_encoder.transformer", "vision_encoder.ln_post.weight", "vision_encoder.ln_post.bias",
        "vision_encoder.proj", "text_encoder.positional_embedding", "text_encoder.text_projection",
        "text_encoder.transformer", "text_encoder.token_embedding.weight", "text_encoder.ln_final.weight",
        "text_encoder.ln_final.bias",
    }  # fmt: skip
    block = {name.split(".resblocks.0.")[1] for name in ours.state_dict() if ".resblocks.0." in name}
    assert block == {
        "attn.in_proj_weight", "attn.in_proj_bias", "attn.out_proj.weight", "attn.out_proj.bias", "ln_1.weight",
        "ln_1.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight",
        "mlp.c_proj.bias",
    }  # fmt: skip


def test_a_metrics_training_mode_turns_no_dropout_on():
    encoder = tiny_viclip()
    encoder.train()
    assert not any(module.training for module in encoder.modules())
