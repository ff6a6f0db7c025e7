"""Estimators for depth: what they see, that they are frozen, and that the gradient through them is right."""

from __future__ import annotations

import json

import huggingface_hub.constants
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
    DPTImageProcessor,
)

from showme.errors import InputError
from showme.perception.depth import TABLETOP_WEIGHTS, TabletopDepth, TransformersDepth

_NECK = {"neck_hidden_sizes": [8, 8, 8, 8], "fusion_hidden_size": 8, "reassemble_factors": [4, 2, 1, 0.5]}
# With the published initialisation, of 0.02, networks this small see nothing at all.
_SPREAD = {"initializer_range": 0.3}
_VIT = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, **_SPREAD}


@pytest.fixture(scope="module")
def tabletop() -> TabletopDepth:
    return TabletopDepth.from_assets()


def _tiny_dpt(folder, **processing):
    config = DPTConfig(
        **_VIT, **_NECK, intermediate_size=16, image_size=32, patch_size=8, backbone_out_indices=[0, 1, 2, 3]
    )
    _save(DPTForDepthEstimation(config), folder, {"size": {"height": 32, "width": 32}, **processing})


def _tiny_depth_anything(folder, **changes):
    backbone = Dinov2Config(
        **_VIT, mlp_ratio=1, image_size=28, patch_size=7, out_indices=[1, 2, 3, 4], reshape_hidden_states=False
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=7,
        reassemble_hidden_size=16,
        head_hidden_size=8,
        **_NECK,
        **_SPREAD,
        **changes,
    )
    processing = {"size": {"height": 28, "width": 28}, "keep_aspect_ratio": True, "ensure_multiple_of": 7}
    _save(DepthAnythingForDepthEstimation(config), folder, {**processing, "image_mean": [0.5, 0.4, 0.3]})


def _save(network, folder, processing):
    # Random networks end in a ReLU that may see nothing but negative numbers.
    last = [module for module in network.head.modules() if isinstance(module, torch.nn.Conv2d)][-1]
    torch.nn.init.constant_(last.bias, 1.0)
    network.save_pretrained(folder)
    DPTImageProcessor(**processing).save_pretrained(folder)


_TINY = {"dpt": _tiny_dpt, "depth_anything": _tiny_depth_anything}


@pytest.fixture(params=_TINY)
def pretrained(request, tmp_path) -> TransformersDepth:
    torch.manual_seed(0)
    _TINY[request.param](tmp_path)
    return TransformersDepth.from_pretrained(tmp_path)


def _slope_agrees(estimator: torch.nn.Module, picture: torch.Tensor) -> None:
    """The gradient along a random direction against central differences, in fp64."""
    estimator = estimator.double()
    direction = torch.randn_like(picture)
    pattern = torch.randn(picture.shape[0], 1, *picture.shape[2:], dtype=picture.dtype)
    along = torch.zeros((), dtype=picture.dtype, requires_grad=True)
    (estimator(picture + along * direction) * pattern).sum().backward()
    step = 1e-6
    with torch.no_grad():
        ends = [(estimator(picture + sign * step * direction) * pattern).sum() for sign in (1, -1)]
    torch.testing.assert_close(along.grad, (ends[0] - ends[1]) / (2 * step), rtol=1e-3, atol=0)


def test_the_tabletop_estimator_takes_any_size_that_8_divides(tabletop):
    torch.manual_seed(0)
    seen = tabletop(torch.rand(2, 3, 64, 104))
    assert seen.shape == (2, 1, 64, 104)
    assert seen.isfinite().all()
    with pytest.raises(ValueError, match="8 divides, not 100x64"):
        tabletop(torch.rand(1, 3, 64, 100))


def test_the_packaged_weights_are_small_and_say_how_they_were_made(tabletop):
    assert TABLETOP_WEIGHTS.stat().st_size <= 400_000
    with safe_open(TABLETOP_WEIGHTS, "pt") as file:
        header = file.metadata()
    assert json.loads(header["config"]) == tabletop.config
    assert {"trained", "measured"} <= set(header)


def test_the_tabletop_estimator_is_frozen_but_its_gradient_is_right():
    torch.manual_seed(0)
    estimator = TabletopDepth.from_assets()
    assert not any(parameter.requires_grad for parameter in estimator.parameters())
    _slope_agrees(estimator, torch.rand(2, 3, 32, 48, dtype=torch.float64))


def test_every_pixel_matters(tabletop):
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 32, 32, requires_grad=True)
    tabletop(picture).square().sum().backward()
    assert (picture.grad != 0).all()


@pytest.mark.usefixtures("opengl")
@pytest.mark.parametrize("seed", [1000, 1001, 1002])
def test_the_tabletop_estimator_sees_scenes_it_was_not_trained_on(tabletop, seed):
    from showme.worlds.tabletop import render

    clip = render(seed, "validation")
    picture = torch.from_numpy(clip.frames[-1:]).permute(0, 3, 1, 2).float() / 255
    true = 1 / torch.from_numpy(clip.depth[-1])
    seen = tabletop(picture)[0, 0]
    # About 1/metre: the scale is free in training and set once, over all scenes.
    assert float((seen - true).abs().mean()) < 0.3
    # A table that only rises towards the viewer, whatever stands on it, has 0.9 already.
    assert float(torch.corrcoef(torch.stack([seen.flatten(), true.flatten()]))[0, 1]) > 0.97


def test_weights_return_from_their_file_rounded_to_half_precision(tmp_path):
    torch.manual_seed(0)
    estimator = TabletopDepth(widths=(8, 16, 24), dilations=(1, 3), fine_width=2)
    estimator.to_file(tmp_path / "new" / "estimator.safetensors", trained="never")
    again = TabletopDepth.from_assets(tmp_path / "new" / "estimator.safetensors")
    for name, weight in estimator.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight.half().float()), name


def test_other_files_are_refused_in_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"There is no TabletopDepth file .*none\.safetensors"):
        TabletopDepth.from_assets(tmp_path / "none.safetensors")
    config = json.dumps(TabletopDepth().config)
    (tmp_path / "text.safetensors").write_text("not tensors at all")
    save_file({"weight": torch.zeros(1)}, tmp_path / "plain.safetensors")
    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors", {"config": config})
    save_file({"weight": torch.zeros(1)}, tmp_path / "setting.safetensors", {"config": '{"depth": 3}'})
    for name in ("text", "plain", "other", "setting"):
        with pytest.raises(InputError, match=f"{name}.safetensors does not hold TabletopDepth weights"):
            TabletopDepth.from_assets(tmp_path / f"{name}.safetensors")


def test_pretrained_estimators_are_frozen_but_their_gradient_is_right(pretrained):
    torch.manual_seed(0)
    picture = torch.rand(2, 3, 40, 48)
    seen = pretrained(picture)
    assert seen.shape == (2, 1, 40, 48)
    assert float(seen.std()) > 0
    assert not any(parameter.requires_grad for parameter in pretrained.parameters())
    assert not any(module.training for module in pretrained.modules())
    _slope_agrees(pretrained, picture.double())


@pytest.mark.parametrize("size", [(28, 28), (64, 64), (40, 100), (100, 40), (20, 24)])
def test_pretrained_networks_get_what_their_image_processor_would_give_them(pretrained, tmp_path, size):
    torch.manual_seed(0)
    # Smooth enough that bicubic resizing does not leave [0, 1], where the processor would clip.
    picture = 0.3 + 0.4 * torch.rand(1, 3, *size)
    given = []
    pretrained.network.register_forward_pre_hook(lambda module, args, kwargs: given.append(kwargs), with_kwargs=True)
    pretrained(picture)
    expected = DPTImageProcessor.from_pretrained(tmp_path)(picture, do_rescale=False, return_tensors="pt")
    torch.testing.assert_close(given[0]["pixel_values"], expected["pixel_values"], atol=1e-5, rtol=0)


def test_networks_that_predict_metres_are_refused(tmp_path):
    _tiny_depth_anything(tmp_path / "metric", depth_estimation_type="metric")
    _tiny_dpt(tmp_path / "padded", do_pad=True, size_divisor=8)
    for name in ("metric", "padded"):
        with pytest.raises(InputError, match=f"{name} predicts metres"):
            TransformersDepth.from_pretrained(tmp_path / name)


def test_what_is_no_depth_network_is_reported_in_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="holds no depth network"):
        TransformersDepth.from_pretrained(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="The depth network example/absent at revision main is not on this disk"):
        TransformersDepth.from_pretrained("example/absent")
