"""What the golden files do not show: the image mode, contexts shared or per frame, checkpointing, errors."""

from __future__ import annotations

import pytest
import torch

from showme.models import VideoUNet, split_image_tokens
from showme.models.video_unet import attention


def make_unet(**changes) -> VideoUNet:
    settings = {
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "attention_levels": (True, True),
        "cross_attention_dim": 16,
        "attention_head_dim": 8,
        "temporal_in_heads": 2,
        "temporal_conv_depth": 2,
        "norm_num_groups": 8,
        "dropout": 0.0,
    }
    torch.manual_seed(0)
    unet = VideoUNet(**{**settings, **changes})
    for parameter in unet.parameters():
        # Zero-initialised outputs would hide what the layers before them do.
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return unet.eval()


@pytest.fixture
def inputs():
    torch.manual_seed(1)
    return torch.randn(2, 8, 4, 8, 8), torch.tensor([10, 500]), torch.randn(2, 5, 16), torch.randn(2, 8, 16)


@torch.no_grad()
def test_image_mode_treats_every_frame_alone(inputs):
    sample, t, text, image = inputs
    unet = make_unet()
    together = unet(sample, t, text, image, temporal=False)
    alone = [unet(sample[:, :, i : i + 1], t, text, image, temporal=False) for i in range(sample.shape[2])]
    torch.testing.assert_close(together, torch.cat(alone, dim=2), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_video_mode_mixes_frames(inputs):
    sample, t, text, image = inputs
    unet = make_unet()
    changed = sample.clone()
    changed[:, :, 3] += 1
    assert not torch.allclose(unet(sample, t, text, image)[:, :, 0], unet(changed, t, text, image)[:, :, 0], atol=1e-4)


@torch.no_grad()
def test_temporal_convolutions_in_image_mode_are_a_setting(inputs):
    sample, t, text, image = inputs
    without, with_them = make_unet(), make_unet(image_mode_temporal_conv=True)
    with_them.load_state_dict(without.state_dict())
    one = sample[:, :, :1]
    assert not torch.allclose(
        without(one, t, text, image, temporal=False), with_them(one, t, text, image, temporal=False), atol=1e-4
    )


@torch.no_grad()
def test_shared_context_equals_the_same_context_repeated_per_frame(inputs):
    sample, t, text, image = inputs
    unet = make_unet()
    repeated = image[:, None].expand(-1, sample.shape[2], -1, -1)
    torch.testing.assert_close(unet(sample, t, text, image), unet(sample, t, text, repeated), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_working_in_pieces_changes_nothing(inputs, monkeypatch):
    unet = make_unet()
    whole = unet(*inputs)
    monkeypatch.setattr(attention, "_PIECE", 1)
    torch.testing.assert_close(unet(*inputs), whole, atol=1e-5, rtol=1e-5)


def test_only_without_gradients_a_layer_sees_pieces(monkeypatch):
    monkeypatch.setattr(attention, "_PIECE", 4 * 8 * 3 * 2)
    seen, x = [], torch.randn(10, 3, 2)

    def layer(piece):
        seen.append(len(piece))
        return 2 * piece

    assert torch.equal(attention.in_pieces(layer, x, 8), 2 * x)
    with torch.no_grad():
        assert torch.equal(attention.in_pieces(layer, x, 8), 2 * x)
    assert seen == [10, 4, 4, 2]


def test_tokens_split_only_when_they_divide():
    tokens = torch.arange(12.0).reshape(1, 12, 1)
    assert split_image_tokens(tokens, 4).shape == (1, 4, 3, 1)
    assert split_image_tokens(tokens, 4)[0, 1, :, 0].tolist() == [3, 4, 5]
    assert split_image_tokens(tokens, 5).shape == (1, 12, 1)


def test_gradient_checkpointing_changes_nothing(inputs):
    sample, t, text, image = inputs
    gradients = []
    for checkpointing in (False, True):
        unet = make_unet().train()
        if checkpointing:
            unet.enable_gradient_checkpointing()
        unet(sample, t, text, image).square().mean().backward()
        gradients.append({name: p.grad for name, p in unet.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


@torch.no_grad()
def test_odd_latent_sizes_come_back(inputs):
    _, t, text, image = inputs
    assert make_unet()(torch.randn(2, 8, 3, 9, 7), t, text, image).shape == (2, 4, 3, 9, 7)


def test_save_and_load(tmp_path, inputs):
    unet = make_unet()
    unet.save_pretrained(tmp_path)
    again = VideoUNet.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        torch.testing.assert_close(again(*inputs), unet(*inputs))


@pytest.mark.parametrize("field", ["image_attention_scale", "condition_axis", "scalar_condition"])
def test_unknown_settings_are_named(field):
    with pytest.raises(ValueError, match=field):
        make_unet(**{field: "sideways"})


def test_arguments_that_the_model_does_not_take(inputs):
    sample, t, text, image = inputs
    unet = make_unet()
    with pytest.raises(ValueError, match="mask_channel"):
        unet(sample, t, text, image, mask=torch.ones(2, 1, 1, 8, 8))
    with pytest.raises(ValueError, match="condition_axis"):
        unet(sample, t, text, image, condition_latent=sample[:, :4, :1])
