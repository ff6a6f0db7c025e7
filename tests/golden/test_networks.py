"""The networks give the reference implementations' outputs, from the reference's own weights, to 1e-4 in fp32."""

from __future__ import annotations

import pytest
import torch

from showme.conversion import animate_anything, dynamicrafter
from showme.models import split_image_tokens

from .conftest import Golden, golden_files

TEXT_TOKENS = 77


def split_context(context, num_frames):
    """The reference's one context (B, 77 + N, D) -> our text and image tokens."""
    text, image = context[:, :TEXT_TOKENS], context[:, TEXT_TOKENS:]
    return text, split_image_tokens(image, num_frames)


@pytest.mark.parametrize("path", golden_files("dynamicrafter256_unet") + golden_files("dynamicrafter512_unet"))
@torch.no_grad()
def test_dynamicrafter_unet(path, compare):
    golden = Golden(path)
    model = dynamicrafter.convert_unet(golden.weights, golden.config)
    for name in golden.metadata["cases"]:
        case = golden.case(name)
        text, image = split_context(case["context"], case["sample"].shape[2])
        output = model(case["sample"], case["timestep"], text, image, scalar=case["fs"])
        compare(f"{path.stem}:{name}", output, case["output"])


@pytest.mark.parametrize("path", golden_files("animate_anything_unet"))
@torch.no_grad()
def test_animate_anything_unet(path, compare):
    golden = Golden(path)
    model = animate_anything.convert_unet(golden.weights, golden.config)
    for name in sorted({key.split(".")[0] for key in golden.tensors}):
        case = golden.case(name)
        output = model(
            case["sample"],
            case["timestep"],
            case["context"],
            scalar=case["motion"],
            condition_latent=case["condition_latent"],
            mask=None if name.endswith("nomask") else case["mask"],
        )
        compare(f"{path.stem}:{name}", output, case["output"])


@pytest.mark.parametrize("path", golden_files("dynamicrafter_resampler"))
@torch.no_grad()
def test_image_projector(path, compare):
    golden = Golden(path)
    model = dynamicrafter.convert_projector(golden.weights, golden.config)
    compare(path.stem, model(golden.tensors["input"]), golden.tensors["output"])
