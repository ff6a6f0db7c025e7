"""Estimators for edges: what they see, that they are frozen, and that their input has a gradient."""

from __future__ import annotations

import pytest
import torch

from showme.errors import InputError
from showme.perception.edges import HedEdges, SobelEdges


def test_sobel_sees_a_step_and_nothing_else():
    picture = torch.zeros(1, 3, 8, 8)
    picture[..., 4:] = 1
    edges = SobelEdges()(picture)
    assert edges.shape == (1, 1, 8, 8)
    torch.testing.assert_close(edges[0, 0, 3], torch.tensor([0.0, 0, 0, 1, 1, 0, 0, 0]), atol=2e-3, rtol=0)
    torch.testing.assert_close(SobelEdges()(picture.mT), edges.mT)


def test_the_darker_the_step_the_weaker_the_edge():
    steps = torch.zeros(2, 3, 8, 8)
    steps[0, ..., 4:], steps[1, ..., 4:] = 0.5, 0.25
    edges = SobelEdges()(steps).amax((1, 2, 3))
    torch.testing.assert_close(edges, torch.tensor([0.5, 0.25]), atol=2e-3, rtol=0)


@pytest.mark.parametrize("estimator", [SobelEdges(), HedEdges()], ids=["sobel", "hed"])
def test_estimators_are_frozen_but_let_the_gradient_through(estimator):
    torch.manual_seed(0)
    picture = torch.rand(2, 3, 32, 48, requires_grad=True)
    edges = estimator(picture)
    assert edges.shape == (2, 1, 32, 48)
    assert ((edges >= 0) & (edges <= 1)).all()
    edges.square().mean().backward()
    assert float(picture.grad.abs().max()) > 0
    assert not any(p.requires_grad for p in estimator.parameters())


def test_hed_reads_its_weights_under_both_names(tmp_path):
    torch.manual_seed(0)
    original = HedEdges()
    for prefix in ("net", "module"):
        weights = {prefix + key.removeprefix("net"): value for key, value in original.state_dict().items()}
        torch.save(weights, tmp_path / "hed.pytorch")
        picture = torch.rand(1, 3, 32, 32)
        assert torch.equal(HedEdges.from_file(tmp_path / "hed.pytorch")(picture), original(picture))


def test_hed_refuses_other_files(tmp_path):
    with pytest.raises(InputError, match="network-bsds500"):
        HedEdges.from_file(tmp_path / "none.pytorch")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pytorch")
    with pytest.raises(InputError, match="does not hold HED"):
        HedEdges.from_file(tmp_path / "other.pytorch")
