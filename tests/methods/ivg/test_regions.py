"""Regions as masks: read from what a call is given, cleaned, brought to the latents' size; the loss that draws them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from showme.errors import InputError
from showme.losses.region import region_loss
from showme.methods.ivg.regions import CleanUp, at_latents, mask_of, read_region


def _masks(seed: int, frames: int = 5) -> torch.Tensor:
    return (torch.rand(3, frames, 8, 8, generator=torch.Generator().manual_seed(seed)) > 0.5).float()


def test_equal_masks_cost_nothing_and_disjoint_ones_everything():
    masks = _masks(0)
    masks[0, 2] = 0  # empty in both
    assert region_loss(masks, masks).tolist() == [0, 0, 0]
    assert region_loss(1 - masks, masks)[1:].tolist() == [1, 1]
    # Of the first clip one frame is all or nothing: its overlap is none, as everywhere else.
    assert float(region_loss(1 - masks, masks)[0]) == 1
    assert region_loss(masks, masks, count_first_frame=True).tolist() == pytest.approx([1 / 6] * 3)


def test_the_loss_is_equation_4():
    generated, target = torch.rand(2, 4, 6, 7, generator=torch.Generator().manual_seed(1)), _masks(2, 4)[:2, :, :6, :7]
    wanted = []
    for g, m in zip(generated.double().numpy(), target.double().numpy(), strict=True):
        ratios = [(a * b).sum() / (a + b - a * b).sum() for a, b in zip(g, m, strict=True)]
        wanted.append(1 - sum(ratios) / 4)
    assert region_loss(generated, target).tolist() == pytest.approx(wanted, rel=1e-5)


def test_the_gradient_passes_the_clamp_and_agrees_with_finite_differences():
    pictures = torch.randn(1, 2, 3, 4, 4, dtype=torch.float64).requires_grad_()
    mask_of(pictures).sum().backward()
    torch.testing.assert_close(pictures.grad, torch.full_like(pictures, 1 / 3))
    assert mask_of(pictures).min() >= 0
    assert mask_of(pictures).max() <= 1
    target = (torch.rand(2, 3, 4, 4) > 0.4).double()
    inside = torch.rand(2, 3, 4, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: region_loss(x, target), inside)


def test_specks_go_gaps_close_and_frames_unite():
    frames = torch.zeros(2, 64, 64)
    frames[0, 10:30, 10:30] = 0.9
    frames[0, 18:20, 18:20] = 0.1  # a hole
    frames[0, 50, 50] = 1  # a speck
    frames[1, 30:40, 30:40] = 0.6
    frames[1, 0:8, 0:64] = 0.4  # grey, not white
    region = CleanUp(threshold=0.5, least_area=0.002, closing=0.05)(frames)
    assert region.shape == (64, 64)
    assert region[10:30, 10:30].all()
    assert region[31:40, 31:40].all()
    assert not region[50, 50]
    assert not region[:8].any()
    wide = CleanUp(margin=0.1)(frames)
    assert wide[5:35, 15:25].all()
    assert not CleanUp()(torch.zeros(1, 16, 16)).any()


def test_a_latent_place_is_inside_when_half_of_it_is():
    mask = torch.zeros(1, 16, 16)
    mask[0, :8, :4] = 1
    mask[0, 8:, :3] = 1
    assert at_latents(mask, (2, 2))[0, 0, 0].tolist() == [[1, 0], [0, 0]]
    assert at_latents(mask, (2, 2)).shape == (1, 1, 1, 2, 2)


def test_regions_are_read_in_every_form():
    inside = np.zeros((32, 48), bool)
    inside[4:20, 8:30] = True
    picture = Image.fromarray(inside.astype(np.uint8) * 255)
    for given in (inside, inside.astype(np.uint8) * 255, inside.astype(np.float32), torch.from_numpy(inside)[None]):
        assert (read_region(given, 32, 48)[0].numpy() == inside).all()
    assert (read_region(picture, 32, 48)[0].numpy() == inside).all()
    assert read_region(picture.resize((480, 320)), 32, 48)[0].numpy()[5:19, 9:29].all()
    assert read_region("white", 32, 48).all()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (np.zeros((32, 48), bool), "The region is empty: nothing could move"),
        (np.ones((16, 48), bool), r"region has the shape \(16, 48\): give \(32, 48\)"),
        (np.full((32, 48), 2.0), "region has values outside of 0 to 1"),
        (np.full((32, 48), np.nan), "region has values outside of 0 to 1"),
        ("black", "region 'black': give a picture of the region, or white"),
        (7, "region is an int: give a PIL image"),
    ],
)
def test_what_is_no_region_is_refused(given, sentence):
    with pytest.raises(InputError, match=sentence):
        read_region(given, 32, 48)
