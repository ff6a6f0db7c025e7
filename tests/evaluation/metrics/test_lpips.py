"""LPIPS with random backbones against its formula and torchmetrics."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchmetrics
import torchvision
from torchmetrics.functional.image import learned_perceptual_image_patch_similarity

from showme.errors import InputError
from showme.evaluation.metrics.base import Pairs
from showme.evaluation.metrics.lpips import LearnedPerceptualSimilarity

_MAKERS = {
    "alex": torchvision.models.alexnet,
    "vgg": torchvision.models.vgg16,
    "squeeze": torchvision.models.squeezenet1_1,
}
# Where LPIPS looks at torchvision's networks, by the modules' numbers.
_LAYERS = {"alex": (1, 4, 7, 9, 11), "vgg": (3, 8, 15, 22, 29), "squeeze": (1, 4, 7, 9, 10, 11, 12)}
_FILE = "squeezenet1_1-b8a52dc0.pth"


@pytest.fixture(scope="module")
def backbones():
    """Seeded random networks, made when asked for."""
    made: dict[str, torch.nn.Module] = {}

    def backbone(net: str) -> torch.nn.Module:
        if net not in made:
            torch.manual_seed(len(net))
            made[net] = _MAKERS[net](weights=None).eval()
        return made[net]

    return backbone


@pytest.fixture
def make(backbones, monkeypatch):
    """The metric on such a network."""

    def lpips(net: str, value_range: str = "[-1,1]") -> LearnedPerceptualSimilarity:
        def handed_out(url: str, *args, **kwargs):
            assert kwargs["weights_only"] is True
            return backbones(net).state_dict()

        monkeypatch.setattr(torch.hub, "load_state_dict_from_url", handed_out)
        return LearnedPerceptualSimilarity(net, value_range)

    return lpips


def _pairs(count: int = 16, frames: int = 4, side: int = 40) -> Pairs:
    generator = torch.Generator().manual_seed(0)
    reference = torch.rand(count, frames, 3, side, side, generator=generator)
    share = torch.rand(count, frames, 1, 1, 1, generator=generator)
    generated = share * torch.rand(reference.shape, generator=generator) + (1 - share) * reference
    names = [f"clip {number}" for number in range(count)]
    return Pairs(generated, reference, names, names)


@torch.no_grad()
def _formula(net: str, backbone: torch.nn.Module, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, W) -> (N,)."""
    file = Path(torchmetrics.__file__).parent / "functional" / "image" / "lpips_models" / f"{net}.pth"
    linear = list(torch.load(file, map_location="cpu", weights_only=True).values())
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(3, 1, 1)
    a, b = (a - shift) / scale, (b - shift) / scale
    total = torch.zeros(len(a))
    for number, module in enumerate(backbone.features[: _LAYERS[net][-1] + 1]):
        a, b = module(a.clone()), module(b.clone())
        if number in _LAYERS[net]:
            lengths = [(each.square().sum(1, keepdim=True) + 1e-8).sqrt() for each in (a, b)]
            weights = linear[_LAYERS[net].index(number)].flatten()
            total += torch.einsum("c,nchw->nhw", weights, (a / lengths[0] - b / lengths[1]) ** 2).mean((1, 2))
    return total


@pytest.mark.parametrize("value_range", ["[-1,1]", "[0,1]"])
@pytest.mark.parametrize("net", ["alex", "squeeze"])
def test_lpips_is_the_mean_over_frames_of_its_formula(make, backbones, net, value_range):
    pairs = _pairs()
    a, b = (
        clips.flatten(0, 1) * 2 - 1 if value_range == "[-1,1]" else clips.flatten(0, 1)
        for clips in (pairs.generated, pairs.reference)
    )
    expected = _formula(net, backbones(net), a, b).unflatten(0, (16, 4)).mean(1)
    assert float(expected.std()) > 0.01 * float(expected.mean())
    seen = make(net, value_range).score(pairs)
    torch.testing.assert_close(seen, expected.double(), atol=1e-6, rtol=1e-5)


def test_lpips_with_vgg_is_its_formula(make, backbones):
    pairs = _pairs(2, 4, 32)
    a, b = (clips.flatten(0, 1) * 2 - 1 for clips in (pairs.generated, pairs.reference))
    expected = _formula("vgg", backbones("vgg"), a, b).unflatten(0, (2, 4)).mean(1)
    torch.testing.assert_close(make("vgg").score(pairs), expected.double(), atol=1e-6, rtol=1e-5)


def test_lpips_agrees_with_torchmetrics(make, backbones, monkeypatch):
    pairs = _pairs(64, 1)
    monkeypatch.setattr(
        torchvision.models._api, "load_state_dict_from_url", lambda *_, **__: backbones("squeeze").state_dict()
    )
    for value_range in ("[-1,1]", "[0,1]"):
        frames = [
            clips[:, 0] * 2 - 1 if value_range == "[-1,1]" else clips[:, 0]
            for clips in (pairs.generated, pairs.reference)
        ]
        expected = learned_perceptual_image_patch_similarity(*frames, net_type="squeeze", reduction="none")
        seen = make("squeeze", value_range).score(pairs)
        torch.testing.assert_close(seen, expected.flatten().double(), atol=1e-6, rtol=1e-5)


def test_equal_clips_differ_by_0_and_merging_changes_nothing(make):
    pairs = _pairs(4, 2)
    metric = make("squeeze")
    assert metric.score(Pairs(pairs.reference, pairs.reference, pairs.ids, pairs.ids)).tolist() == [0] * 4
    metric.update(pairs)
    first, second = make("squeeze"), make("squeeze")
    first.train().update(Pairs(pairs.generated[3:], pairs.reference[3:], ["d"], ["d"]))
    second.update(Pairs(pairs.generated[:3], pairs.reference[:3], ["a", "b", "c"], ["a", "b", "c"]))
    first.merge_state(second)
    assert float(first.compute()) == pytest.approx(float(metric.compute()), rel=1e-6)
    assert metric.fingerprint == first.fingerprint != make("squeeze", "[0,1]").fingerprint


def test_making_the_metric_leaves_the_random_numbers_alone(make):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    make("squeeze")
    assert torch.equal(torch.rand(3), expected)


def test_small_frames_are_refused(make):
    tiny = torch.zeros(1, 1, 3, 31, 64)
    with pytest.raises(InputError, match="64x31 pixels and LPIPS needs 32"):
        make("squeeze").score(Pairs(tiny, tiny, ["lift"], ["a"]))
