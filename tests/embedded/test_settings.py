"""The presets fit what a bundle may weigh."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from embedded import codec, encoders, networks
from embedded.settings import PRESETS
from showme.methods.showme.tasks import STATE_IMAGE, STATE_VIDEO
from showme.methods.showme.trainable import adapter_config
from tests.conftest import backbone_of

LIMIT_MEBIBYTES = 60


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_bundle_stays_under_the_limit(name):
    settings = PRESETS[name]
    with torch.device("meta"):
        unet = networks.build_unet(settings)
        for adapter in (STATE_IMAGE, STATE_VIDEO):
            unet.add_adapter(adapter_config(backbone_of(unet=unet), adapter, settings.lora_rank, 0.0), adapter)
        parts = [unet, codec.build_codec(settings), networks.build_projector(settings)]
        parts += encoders.build_encoders(settings)
    numbers = sum(p.numel() for part in parts for p in part.parameters())
    assert 2 * numbers / 2**20 < LIMIT_MEBIBYTES - 1, "bf16 weights, with a mebibyte left for everything else"
