"""Where the two adapters sit, by the released configuration's table."""

from __future__ import annotations

import pytest
import torch

from showme.methods.showme.adapters import STATE_IMAGE, STATE_VIDEO, active_adapters, lora_config
from showme.models import VideoUNet


@pytest.fixture(scope="module")
def unet() -> VideoUNet:
    return VideoUNet(
        block_out_channels=(16, 16),
        layers_per_block=1,
        attention_levels=(True, False),
        cross_attention_dim=16,
        attention_head_dim=8,
        norm_num_groups=8,
    )


def test_state_image_sits_in_spatial_layers_alone(unet):
    targets = lora_config(unet, STATE_IMAGE, 4, 0.1).target_modules
    one = {t.split("mid_layers.0.")[1] for t in targets if "mid_layers.0." in t}
    attn1 = {f"spatial_attention.attn1.to_{x}" for x in "qkv"}
    attn2 = {f"spatial_attention.attn2.to_{x}" for x in ("q", "k", "v", "k_ip", "v_ip")}
    ff = {"spatial_attention.ff.proj_in", "spatial_attention.ff.proj_out"}
    assert one == attn1 | attn2 | ff
    assert not any("temporal" in t for t in targets)


def test_state_video_adds_the_temporal_layers(unet):
    image = lora_config(unet, STATE_IMAGE, 4, 0.1).target_modules
    video = lora_config(unet, STATE_VIDEO, 4, 0.1).target_modules
    assert set(image) < set(video)
    added = set(video) - set(image)
    assert all("temporal" in t for t in added)
    assert {"temporal_in.attn2.to_v", "temporal_in.ff.proj_in"} <= added


def test_the_scale_is_one_and_the_name_is_checked(unet):
    config = lora_config(unet, STATE_VIDEO, 8, 0.1)
    assert config.lora_alpha / config.r == 1
    with pytest.raises(ValueError, match="state_image"):
        lora_config(unet, "other", 4, 0.1)


def test_active_adapters_cost_nothing_change_nothing_and_leave_no_trace(tiny_pipeline):
    unet = tiny_pipeline.unet
    inputs = (torch.randn(1, 8, 4, 4, 4), 10, torch.randn(1, 3, 16), torch.randn(1, 8, 16))
    before = {key: value.clone() for key, value in unet.state_dict().items()}
    for task, names in (("image", [STATE_IMAGE]), ("video", [STATE_IMAGE, STATE_VIDEO]), ("image", [STATE_IMAGE])):
        unet.set_adapters(names)
        with torch.no_grad():
            beside = unet(*inputs, temporal=task == "video")
            with active_adapters(unet, task):
                within = unet(*inputs, temporal=task == "video")
        torch.testing.assert_close(within, beside, atol=1e-5, rtol=1e-5)
    assert all(torch.equal(value, before[key]) for key, value in unet.state_dict().items())


def test_weights_come_back_after_an_error(tiny_pipeline):
    unet = tiny_pipeline.unet
    before = {key: value.clone() for key, value in unet.state_dict().items()}
    with pytest.raises(RuntimeError, match="stop"), active_adapters(unet, "video"):
        raise RuntimeError("stop")
    assert all(torch.equal(value, before[key]) for key, value in unet.state_dict().items())
