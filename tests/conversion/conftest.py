"""A whole tiny DynamiCrafter checkpoint, under the published names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

SIZE = 32  # pictures of the tiny model
HEADS = {"unet": 16, "projector": 8, "text": 8, "image": 12}


@dataclass(frozen=True)
class TinyCheckpoint:
    """The networks, and their weights in one dictionary under the original names."""

    unet: Any
    projector: Any
    vae: Any
    clip: Any
    weights: dict[str, Any]


@pytest.fixture(scope="session")
def head_widths():
    from showme.conversion.dynamicrafter_checkpoint import HeadWidths

    return HeadWidths(**HEADS)


@pytest.fixture(scope="session")
def make_checkpoint():
    """make_checkpoint(rescale_base=None): 256's layout without a base, 512's and 1024's with."""
    pytest.importorskip("open_clip", reason="open_clip_torch makes the reference towers and brings the vocabulary")
    return make_tiny_checkpoint


def make_tiny_checkpoint(rescale_base: float | None = None) -> TinyCheckpoint:
    import open_clip
    import torch
    from diffusers import AutoencoderKL

    from showme.models import ImageProjector, VideoUNet

    from .originals import projector_originals, schedule_originals, unet_originals, vae_originals

    torch.manual_seed(0)
    unet = VideoUNet(
        block_out_channels=(32, 32, 64),
        layers_per_block=1,
        attention_levels=(True, True, False),
        cross_attention_dim=32,
        attention_head_dim=HEADS["unet"],
        image_attention_scale="learnable" if rescale_base is None else "fixed",
        image_mode_temporal_conv=True,
    )
    projector = ImageProjector(
        embedding_dim=48, output_dim=32, dim=32, depth=2, head_dim=HEADS["projector"], heads=3, num_queries=32
    )
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 32, 32),
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )
    clip = open_clip.model.CLIP(
        embed_dim=24,
        vision_cfg={"image_size": 42, "layers": 2, "width": 48, "head_width": HEADS["image"], "patch_size": 14},
        text_cfg={"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 32 // HEADS["text"], "layers": 3},
    )
    for network in (unet, projector, vae, clip):
        network.eval().requires_grad_(False)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.1)

    tower = clip.state_dict()
    text = {key: value for key, value in tower.items() if not key.startswith("visual.")}
    unread = {key: value for key, value in text.items() if not key.startswith("transformer.")}
    scalar_name = "framestride_embed" if rescale_base is None else "fps_embedding"
    groups = {
        "": schedule_originals(rescale_base),
        "model.diffusion_model.": unet_originals(unet, scalar_name),
        "image_proj_model.": projector_originals(projector),
        "first_stage_model.": {**vae_originals(vae), "loss.logvar": torch.zeros(())},
        "cond_stage_model.model.": text,
        "embedder.model.": {**{key: value for key, value in tower.items() if key.startswith("visual.")}, **unread},
    }
    constants = {"logvar": torch.zeros(1000), "embedder.mean": torch.zeros(3), "embedder.std": torch.ones(3)}
    weights = constants | {prefix + key: value for prefix, group in groups.items() for key, value in group.items()}
    return TinyCheckpoint(unet, projector, vae, clip, weights)
