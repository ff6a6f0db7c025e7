"""EgoVLP: divided attention against dense masked attention, one frame against timm's ViT, and its published files."""

from __future__ import annotations

import argparse
import json

import huggingface_hub.constants
import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torchvision import transforms
from transformers import DistilBertConfig, DistilBertModel

from showme.errors import InputError, TruncationWarning
from showme.evaluation.networks.egovlp import (
    DividedAttention,
    EgoVLP,
    FrozenInTime,
    SpaceTimeTransformer,
    fit_time,
)

from .tiny_video_text import (
    HEAD_WIDTH,
    LETTERS,
    LONGEST,
    bert_tokenizer,
    randomised,
    save_weights,
    tiny_egovlp,
    tiny_frozen_in_time,
)

_TIME = ("timeattn", "norm3", "temporal_embed")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    bert_tokenizer().save_pretrained(folder)
    return folder


def dense_attention(weights: dict[str, torch.Tensor], heads: int, x: torch.Tensor, allowed: torch.Tensor):
    """(B, L, D) -> the same: every pair of tokens is weighed, and those not ``allowed`` (L, L) get nothing."""
    width = x.shape[-1]
    size = width // heads
    out = torch.zeros_like(x)
    for head in range(heads):
        rows = slice(head * size, (head + 1) * size)
        q, k, v = (
            x @ weights["qkv.weight"][part * width :][rows].T + weights["qkv.bias"][part * width :][rows]
            for part in range(3)
        )
        scores = q @ k.transpose(1, 2) / size**0.5
        out[..., rows] = scores.masked_fill(~allowed, -torch.inf).softmax(-1) @ v
    return out @ weights["proj.weight"].T + weights["proj.bias"]


def allowed_pairs(frames: int, patches: int, along: str) -> torch.Tensor:
    """Whom each token sees: the class token everybody, a patch those of its frame or place and the class token."""
    length = 1 + frames * patches
    allowed = torch.zeros(length, length, dtype=torch.bool)
    allowed[0] = allowed[:, 0] = True
    for one in range(length - 1):
        for other in range(length - 1):
            same_frame, same_place = one // patches == other // patches, one % patches == other % patches
            allowed[1 + one, 1 + other] = same_frame if along == "space" else same_place
    return allowed


def part_of(weights: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}


def tower_by_hand(weights: dict[str, torch.Tensor], clips: torch.Tensor, heads: int, patch: int) -> torch.Tensor:
    """The video tower written from its description, patch by patch."""
    frames, side = clips.shape[1], clips.shape[-1] // patch
    tokens = [(weights["cls_token"] + weights["pos_embed"][:, :1]).expand(len(clips), -1, -1)]
    kernel = weights["patch_embed.proj.weight"].flatten(1)
    for time in range(frames):
        for place in range(side * side):
            top, left = place // side * patch, place % side * patch
            pixels = clips[:, time, :, top : top + patch, left : left + patch].flatten(1)
            token = pixels @ kernel.T + weights["patch_embed.proj.bias"]
            token = token + weights["pos_embed"][0, 1 + place] + weights["temporal_embed"][0, time]
            tokens.append(token[:, None])
    x = torch.cat(tokens, dim=1)
    masks = {along: allowed_pairs(frames, side * side, along) for along in ("space", "time")}

    def normal(name: str, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-6)

    for block in range(2):
        at = f"blocks.{block}."
        time = dense_attention(part_of(weights, f"{at}timeattn."), heads, normal(f"{at}norm3", x), masks["time"])
        seen = normal(f"{at}norm1", x + time)
        x = x + dense_attention(part_of(weights, f"{at}attn."), heads, seen, masks["space"])
        hidden = normal(f"{at}norm2", x) @ weights[f"{at}mlp.fc1.weight"].T + weights[f"{at}mlp.fc1.bias"]
        x = x + F.gelu(hidden) @ weights[f"{at}mlp.fc2.weight"].T + weights[f"{at}mlp.fc2.bias"]
    return normal("norm", x)[:, 0]


@torch.no_grad()
@pytest.mark.parametrize("along", ["space", "time"])
def test_divided_attention_is_dense_attention_with_the_other_patches_hidden(along):
    layer = randomised(DividedAttention(12, 3), spread=1.0).double()
    x = torch.randn(64, 1 + 3 * 4, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = dense_attention(layer.state_dict(), 3, x, allowed_pairs(3, 4, along))
    torch.testing.assert_close(layer(x, 3, along), expected, rtol=0, atol=1e-12)


@torch.no_grad()
def test_the_video_tower_is_the_one_that_is_described():
    tower = randomised(SpaceTimeTransformer(side=16, patch=8, width=24, depth=2, heads=3, frames=4)).double()
    clips = torch.randn(64, 4, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for frames in (4, 3):
        expected = tower_by_hand(tower.state_dict(), clips[:, :frames], 3, 8)
        assert float(expected.std(0).mean()) > 0.01
        torch.testing.assert_close(tower(clips[:, :frames]), expected, rtol=0, atol=1e-11)


@torch.no_grad()
def test_one_frame_is_what_the_vit_of_timm_sees_until_time_is_trained():
    tower = SpaceTimeTransformer(side=32, patch=8, width=24, depth=2, heads=3, frames=4).eval()
    for name, weight in tower.named_parameters():
        if not any(part in name for part in _TIME):
            weight.data.copy_(0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name))))
    vit = timm.models.VisionTransformer(img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=0)
    shared = {k: v for k, v in tower.state_dict().items() if not any(part in k for part in _TIME)}
    vit.load_state_dict(shared)
    pictures = torch.randn(64, 1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    expected = vit.eval()(pictures[:, 0])
    assert float(expected.std(0).mean()) > 0.01
    torch.testing.assert_close(tower(pictures), expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_sentences_are_those_of_transformers_and_do_not_depend_on_what_goes_along():
    encoder, generator = tiny_egovlp(), torch.Generator().manual_seed(0)
    model = DistilBertModel(encoder.network.text_model.config).eval()
    model.load_state_dict(encoder.network.text_model.state_dict())
    letters = [LETTERS[int(n)] for n in torch.randint(26, (64, 9), generator=generator).flatten()]
    sentences = [" ".join(letters[9 * n : 9 * n + n % 10]) for n in range(64)]
    weights = encoder.network.state_dict()
    projected = []
    for sentence in sentences:
        token = model(encoder.tokenizer(sentence, return_tensors="pt")["input_ids"]).last_hidden_state[0, 0]
        projected.append(weights["txt_proj.1.weight"] @ token.clamp(min=0) + weights["txt_proj.1.bias"])
    expected = torch.stack(projected)
    expected = expected / expected.square().sum(1, keepdim=True).sqrt()
    torch.testing.assert_close(encoder.texts(sentences), expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_clips_are_made_ready_as_the_releases_do_it_and_frames_taken_evenly():
    encoder = tiny_egovlp()
    clips = torch.rand(64, 7, 3, 40, 60, generator=torch.Generator().manual_seed(0))
    ready = transforms.Compose([
        transforms.Resize(32, antialias=False),
        transforms.CenterCrop(32),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ])  # fmt: skip
    prepared = ready(clips[:, ::2].flatten(0, 1)).unflatten(0, (64, 4))
    expected = F.normalize(encoder.network.videos(prepared), dim=-1)
    features = encoder.videos(clips)
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(64))
    # Short side and middle once more, without torchvision.
    bent = F.interpolate(clips[0, :1], (32, 48), mode="bilinear", align_corners=False)[..., 8:40]
    mean, spread = (torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    torch.testing.assert_close(prepared[0, 0], (bent[0] - mean) / spread, rtol=0, atol=1e-5)
    one = encoder.videos(clips[:, :1])
    torch.testing.assert_close(one, encoder.videos(clips[:, :1].expand(-1, 4, -1, -1, -1)), rtol=0, atol=0)


def test_a_metrics_training_mode_turns_no_dropout_on():
    encoder = tiny_egovlp()
    encoder.train()
    assert not any(module.training for module in encoder.modules())


@pytest.mark.parametrize(
    "wrong", [torch.rand(2, 3, 32, 32), torch.rand(0, 4, 3, 8, 8), torch.ones(1, 4, 3, 8, 8).int()]
)
def test_other_clips_are_refused(wrong):
    with pytest.raises(ValueError, match=r"\(B, T, 3, H, W\)"):
        tiny_egovlp().videos(wrong)


def test_sentences_that_are_too_long_are_refused_or_cut_when_that_is_asked_for():
    encoder = tiny_egovlp()
    long = " ".join(LETTERS[:LONGEST])
    with pytest.raises(InputError, match=rf"has {LONGEST + 2} tokens and EgoVLP reads {LONGEST}: shorten it"):
        encoder.texts(["a", long])
    cut = EgoVLP(encoder.network, encoder.tokenizer, truncate=True)
    with pytest.warns(
        TruncationWarning, match=f"{LONGEST} tokens that EgoVLP reads: '{' '.join(LETTERS[LONGEST - 2 :][:2])}'"
    ):
        features = cut.texts([long])
    torch.testing.assert_close(features, encoder.texts([" ".join(LETTERS[: LONGEST - 2])]))
    assert cut.fingerprint != encoder.fingerprint


@torch.no_grad()
def test_checkpoints_in_every_form_give_the_same_network(tmp_path, tokenizer):
    network = tiny_frozen_in_time()
    clips, sentences = torch.rand(2, 4, 3, 32, 32), ["open the jar", "lift"]
    weights = network.state_dict()
    # As DistributedDataParallel names them, and with a buffer that older versions of transformers saved.
    trained = {f"module.{name}": value for name, value in weights.items()}
    trained["module.text_model.embeddings.position_ids"] = torch.arange(LONGEST)[None]
    torch.save({"arch": "FrozenInTime", "epoch": 3, "state_dict": trained}, tmp_path / "trained.pth")
    torch.save(weights, tmp_path / "plain.pth")
    save_weights(network, tmp_path / "plain.safetensors")
    expected = EgoVLP(network, bert_tokenizer())
    for name in ("trained.pth", "plain.pth", "plain.safetensors"):
        encoder = EgoVLP.from_file(tmp_path / name, tokenizer=tokenizer, head_width=HEAD_WIDTH)
        assert json.loads(json.dumps(encoder.fingerprint)) == expected.fingerprint
        torch.testing.assert_close(encoder.videos(clips), expected.videos(clips), rtol=0, atol=0)
        torch.testing.assert_close(encoder.texts(sentences), expected.texts(sentences), rtol=0, atol=0)
        assert not any(weight.requires_grad for weight in encoder.parameters())


def test_other_numbers_of_frames_cut_the_embeddings_of_time_or_fill_them_with_zeros_and_are_reported(
    tmp_path, tokenizer
):
    network = tiny_frozen_in_time()
    path = save_weights(network, tmp_path / "weights.safetensors")
    trained = network.video_model.temporal_embed
    recorded = {}
    for frames in (2, 4, 16):
        encoder = EgoVLP.from_file(path, tokenizer=tokenizer, frames=frames, head_width=HEAD_WIDTH)
        embedded = encoder.network.video_model.temporal_embed
        assert embedded.shape == (1, frames, 24)
        torch.testing.assert_close(embedded[:, :4], trained[:, :frames])
        assert not embedded[:, 4:].any()
        assert encoder.videos(torch.rand(1, 1, 3, 32, 32)).shape == (1, 10)
        recorded[frames] = encoder.fingerprint["temporal_embeddings"]
    assert recorded == {2: "the first 2 of 4", 4: "as they were trained", 16: "4, then zeros"}
    with pytest.raises(ValueError, match="at least at one frame"):
        fit_time(network.state_dict(), 0)


def test_a_file_with_the_trainers_settings_is_read_as_it_is_published(tmp_path, tokenizer):
    network = tiny_frozen_in_time()
    trained = {f"module.{name}": value for name, value in network.state_dict().items()}
    settings = argparse.Namespace(resume=None)
    torch.save({"state_dict": trained, "config": settings}, tmp_path / "epic_mir_plus.pth")
    read = EgoVLP.from_file(tmp_path / "epic_mir_plus.pth", tokenizer=tokenizer, head_width=HEAD_WIDTH)
    assert read.fingerprint["weights"] == EgoVLP(network, bert_tokenizer()).fingerprint["weights"]


def test_files_that_are_no_such_checkpoint_are_reported_in_one_sentence(tmp_path, tokenizer):
    whole = tiny_frozen_in_time().state_dict()

    def refused(name: str, weights: dict[str, torch.Tensor], match: str) -> None:
        save_file({key: value.contiguous() for key, value in weights.items()}, tmp_path / name)
        with pytest.raises(InputError, match=match) as caught:
            EgoVLP.from_file(tmp_path / name, tokenizer=tokenizer, head_width=HEAD_WIDTH)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)

    without = {key: value for key, value in whole.items() if key != "vid_proj.0.bias"}
    refused("lacking.safetensors", without, "vid_proj.0.bias")
    refused("more.safetensors", whole | {"head.weight": torch.ones(1)}, "head.weight")
    refused("other.safetensors", {"conv1.weight": torch.ones(3)}, "lacks video_model.patch_embed")
    refused("flat.safetensors", whole | {"video_model.pos_embed": torch.ones(3)}, "flat.safetensors does not hold")
    refused("whole numbers.safetensors", whole | {"vid_proj.0.bias": torch.ones(10).int()}, "does not hold")
    refused("many.safetensors", whole | {"video_model.blocks.999999999.norm1.bias": torch.ones(24)}, "block")
    with pytest.raises(InputError, match=r"There is no EgoVLP file .*egovlp\.pth or epic_mir_plus\.pth"):
        EgoVLP.from_file(tmp_path / "absent.pth", tokenizer=tokenizer)
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InputError, match="truncated"):
        EgoVLP.from_file(tmp_path / "cut.pth", tokenizer=tokenizer)
    endless = torch.ones(1).expand(24, 3, 100_000, 100_000)
    torch.save(whole | {"video_model.patch_embed.proj.weight": endless}, tmp_path / "endless.pth")
    with pytest.raises(InputError, match="claims larger weights than it holds"):
        EgoVLP.from_file(tmp_path / "endless.pth", tokenizer=tokenizer)


def test_tokenizers_that_are_missing_or_of_another_network_are_reported(tmp_path, tokenizer, monkeypatch):
    path = save_weights(tiny_frozen_in_time(), tmp_path / "weights.safetensors")

    def refused(name, match: str) -> None:
        with pytest.raises(InputError, match=match) as caught:
            EgoVLP.from_file(path, tokenizer=name, head_width=HEAD_WIDTH)
        assert "\n" not in str(caught.value)

    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "empty holds no tokenizer")
    smaller = type(bert_tokenizer())(vocab={"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "a": 5})
    smaller.save_pretrained(tmp_path / "smaller")
    refused(tmp_path / "smaller", "knows 6 words, and the network 57: give the tokenizer of distilbert-base-uncased")
    smaller.save_pretrained(tmp_path / "broken")
    (tmp_path / "broken" / "tokenizer.json").write_text('{"version": "1.0", "model": {"type": "WordPiece"')
    refused(tmp_path / "broken", "broken cannot be loaded")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for name in ("example/absent", str(tmp_path / "absent")):
        refused(name, f"The tokenizer {name} at revision [0-9a-z]+ is not on this disk, and ")


def test_the_full_network_has_the_names_and_shapes_of_its_parts_and_of_nothing_else():
    with torch.device("meta"):
        network = FrozenInTime(SpaceTimeTransformer(frames=16), DistilBertModel(DistilBertConfig()))
        vit = timm.create_model("vit_base_patch16_224", num_classes=0)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    expected = {f"video_model.{name}": tuple(value.shape) for name, value in vit.state_dict().items()}
    for block in range(12):
        at = f"video_model.blocks.{block}."
        expected |= {f"{at}timeattn.{name[5:]}": shape for name, shape in (
            (part.removeprefix(at), shape) for part, shape in list(expected.items()) if part.startswith(f"{at}attn.")
        )}  # fmt: skip
        expected |= {f"{at}norm3.weight": (768,), f"{at}norm3.bias": (768,)}
    expected["video_model.temporal_embed"] = (1, 16, 768)
    expected |= {"txt_proj.1.weight": (256, 768), "txt_proj.1.bias": (256,)}
    expected |= {"vid_proj.0.weight": (256, 768), "vid_proj.0.bias": (256,)}
    assert {name: shape for name, shape in shapes.items() if not name.startswith("text_model.")} == expected
    # DistilBERT's 66,362,880 (arXiv 1910.01108: 66 M); ViT-B/16's 85,798,656 without its classifier.
    assert sum(weight.numel() for weight in network.text_model.parameters()) == 66_362_880
    assert sum(weight.numel() for weight in vit.parameters()) == 85_798_656
    time = 12 * (768 * 2304 + 2304 + 768 * 768 + 768 + 2 * 768) + 16 * 768
    total = sum(weight.numel() for weight in network.parameters())
    assert total == 66_362_880 + 85_798_656 + time + 2 * (768 * 256 + 256) == 180_934_400
