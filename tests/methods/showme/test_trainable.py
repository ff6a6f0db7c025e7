"""Where the two adapters sit, by the released configuration's table."""

from __future__ import annotations

import pytest
import torch
from peft.tuners.lora import LoraLayer

from showme.backbones.lora import active_adapters, add_fresh_adapter, bare_weights
from showme.methods.showme.tasks import ACTIVE_ADAPTERS, STATE_IMAGE, STATE_VIDEO
from showme.methods.showme.trainable import adapter_config, projector_config
from showme.models import ImageProjector, VideoUNet

from ...conftest import backbone_of


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
    targets = adapter_config(backbone_of(unet=unet), STATE_IMAGE, 4, 0.1).target_modules
    one = {t.split("mid_layers.0.")[1] for t in targets if "mid_layers.0." in t}
    attn1 = {f"spatial_attention.attn1.to_{x}" for x in "qkv"}
    attn2 = {f"spatial_attention.attn2.to_{x}" for x in ("q", "k", "v", "k_ip", "v_ip")}
    ff = {"spatial_attention.ff.proj_in", "spatial_attention.ff.proj_out"}
    assert one == attn1 | attn2 | ff
    assert not any("temporal" in t for t in targets)


def test_state_video_adds_the_temporal_layers(unet):
    image = adapter_config(backbone_of(unet=unet), STATE_IMAGE, 4, 0.1).target_modules
    video = adapter_config(backbone_of(unet=unet), STATE_VIDEO, 4, 0.1).target_modules
    assert set(image) < set(video)
    added = set(video) - set(image)
    assert all("temporal" in t for t in added)
    assert {"temporal_in.attn2.to_v", "temporal_in.ff.proj_in"} <= added


def test_the_scale_is_one_and_the_name_is_checked(unet):
    config = adapter_config(backbone_of(unet=unet), STATE_VIDEO, 8, 0.1)
    assert config.lora_alpha / config.r == 1
    with pytest.raises(ValueError, match="state_image"):
        adapter_config(backbone_of(unet=unet), "other", 4, 0.1)


def test_an_adapter_begins_as_the_released_one(unet):
    fresh = VideoUNet.from_config(unet.config)
    before = {key: value.clone() for key, value in fresh.state_dict().items()}
    add_fresh_adapter(
        fresh, STATE_VIDEO, adapter_config(backbone_of(unet=fresh), STATE_VIDEO, 16, 0.1, feed_forward_rank=4)
    )
    layers = {name: layer for name, layer in fresh.named_modules() if isinstance(layer, LoraLayer)}
    for name, layer in layers.items():
        rank = 4 if ".ff." in name else 16
        assert layer.lora_A[STATE_VIDEO].weight.shape[0] == rank
        assert layer.scaling[STATE_VIDEO] == 1
        assert not layer.lora_B[STATE_VIDEO].weight.any()
    for rank in (4, 16):
        first = torch.cat([layer.lora_A[STATE_VIDEO].weight.flatten() for layer in layers.values()
                           if layer.r[STATE_VIDEO] == rank])  # fmt: skip
        assert float(first.detach().std()) == pytest.approx(rank**-0.5, rel=0.05)
    with bare_weights(fresh):
        assert all(torch.equal(value, before[key]) for key, value in fresh.state_dict().items())


def test_full_size_adapters_have_the_papers_number_of_parameters():
    with torch.device("meta"):
        unet, projector = VideoUNet(), ImageProjector()
        unet.add_adapter(adapter_config(backbone_of(unet=unet), STATE_IMAGE, 128, 0.1), STATE_IMAGE)
        unet.add_adapter(adapter_config(backbone_of(unet=unet), STATE_VIDEO, 64, 0.1), STATE_VIDEO)
        projector.add_adapter(projector_config(backbone_of(image_projector=projector), 128, 0.1), STATE_IMAGE)

    def count(network, name: str) -> float:
        return sum(p.numel() for key, p in network.named_parameters() if f".{name}." in key) / 1e6

    assert count(unet, STATE_IMAGE) == pytest.approx(49.92, abs=0.01)
    assert count(unet, STATE_VIDEO) == pytest.approx(24.96 + 21.62, abs=0.01)
    # 2.75 M with keys and values apart; as one matrix of twice the rank, half of the second factor more.
    assert count(projector, STATE_IMAGE) == pytest.approx(3.54, abs=0.01)


def test_feed_forward_layers_can_be_left_alone(unet):
    targets = adapter_config(backbone_of(unet=unet), STATE_IMAGE, 4, 0.1, feed_forward_rank=0).target_modules
    assert targets
    assert not any(".ff." in target for target in targets)


def test_active_adapters_cost_nothing_change_nothing_and_leave_no_trace(tiny_pipeline):
    unet = tiny_pipeline.unet
    inputs = (torch.randn(1, 8, 4, 4, 4), 10, torch.randn(1, 3, 16), torch.randn(1, 8, 16))
    before = {key: value.clone() for key, value in unet.state_dict().items()}
    for task, names in (("image", [STATE_IMAGE]), ("video", [STATE_IMAGE, STATE_VIDEO]), ("image", [STATE_IMAGE])):
        unet.set_adapters(names)
        with torch.no_grad():
            beside = unet(*inputs, temporal=task == "video")
            with active_adapters(unet, ACTIVE_ADAPTERS[task]):
                within = unet(*inputs, temporal=task == "video")
        torch.testing.assert_close(within, beside, atol=1e-5, rtol=1e-5)
    assert all(torch.equal(value, before[key]) for key, value in unet.state_dict().items())


def test_weights_come_back_after_an_error(tiny_pipeline):
    unet = tiny_pipeline.unet
    before = {key: value.clone() for key, value in unet.state_dict().items()}
    with pytest.raises(RuntimeError, match="stop"), active_adapters(unet, ACTIVE_ADAPTERS["video"]):
        raise RuntimeError("stop")
    assert all(torch.equal(value, before[key]) for key, value in unet.state_dict().items())
