"""The strength of adapters: nothing at their start, more with their weights, the model without them to the bit."""

from __future__ import annotations

import warnings

import pytest
import torch

from showme.errors import ShowMeWarning
from showme.experiment import open_run, train
from showme.methods.recipes import parse_recipe
from showme.methods.strength import adapter_strength
from showme.training.validation import RECORD

STAGES = {
    "state_image": {"method": "showme", "stage": "state_image", "adapter": {"rank": 2, "projector_rank": 2}},
    "state_video": {"method": "showme", "stage": "state_video", "adapter": {"rank": 2}},
    "region": {"method": "ivg", "stage": "region", "adapter": {"rank": 2}, "estimators": {"hands": "rendered"}},
    "aid": {"method": "aid", "dqformer": {"channels": 16, "heads": 2}, "adapters": {"head_dim": 8}},
}


@pytest.fixture
def settings(tiny_bundle, clips, tmp_path):
    def make(name: str, training=None, **changes):
        trainer = {"steps": 2, "batch_size": 2, "precision": "fp32", "tensorboard": False} | (training or {})
        tree = {
            "model": str(tiny_bundle), "out": str(tmp_path / name), "validation": {"scenes": 0}, "training": trainer,
            "data": {"source": str(clips), "cache": str(tmp_path / "cache"), "frames": 4},
        }  # fmt: skip
        return parse_recipe(tree | STAGES[name] | changes, [], "test.yaml")

    return make


def opened(config):
    """(objective in evaluation mode, samples) of a run's beginning."""
    run = open_run(config)
    samples = run.stage.samples(run.clips())
    run.stage.prepare()
    return run.stage.objective().eval(), samples


def fresh(config):
    return config if config.method != "showme" else config.model_copy(update={"fresh": True})


@pytest.mark.parametrize("name", STAGES)
def test_adapters_are_nothing_at_first_and_something_when_filled(settings, name):
    objective, samples = opened(fresh(settings(name)))
    assert [each.moved for each in adapter_strength(objective, samples)] == [0.0] * 5
    batch = torch.utils.data.default_collate([samples[0]])
    with torch.no_grad():
        plain = objective.step(batch).prediction
        for parameter in objective.networks.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn(parameter.shape))
        trained = [p.requires_grad for p in objective.networks.parameters()]
        filled = objective.step(batch).prediction
        with objective.unadapted():
            without = objective.step(batch).prediction
        assert torch.equal(objective.step(batch).prediction, filled)
    assert [p.requires_grad for p in objective.networks.parameters()] == trained
    if name != "aid":
        # There the context is another, too, which is no adapter.
        assert torch.equal(without, plain)
    strengths = adapter_strength(objective, samples)
    assert all(each.moved > 1e-3 for each in strengths)
    levels = [each.log_snr for each in strengths]
    assert levels == sorted(levels, reverse=True)


def test_the_ratio_is_that_of_norms(settings):
    """Ten times the last projections, ten times as far: the network answers small ones nearly linearly."""
    objective, samples = opened(fresh(settings("state_image")))

    def scaled(by: float) -> float:
        with torch.no_grad():
            for number, (key, parameter) in enumerate(objective.networks.named_parameters()):
                if parameter.requires_grad and ".lora_B." in key:
                    generator = torch.Generator().manual_seed(number)
                    parameter.copy_(by * torch.randn(parameter.shape, generator=generator))
        return adapter_strength(objective, samples)[2].moved

    assert scaled(1e-4) / scaled(1e-5) == pytest.approx(10, rel=0.05)


def test_where_no_adapter_is_trained_there_is_no_strength(settings, tmp_path):
    config = settings("state_image")
    whole = train(config)
    bare = settings("state_image", tuning="full", model=str(whole), out=str(tmp_path / "full"))
    run = open_run(bare)
    for network in run.stage.backbone.networks.values():
        for adapter in list(getattr(network, "peft_config", {})):
            network.delete_adapters(adapter)
    run.stage.prepare()
    samples = run.stage.samples(run.clips())
    assert adapter_strength(run.stage.objective().eval(), samples) == []


def test_the_validation_page_shows_it_and_a_run_that_learns_nothing_is_warned_of(settings):
    config = settings("state_image", validation={"scenes": 1, "steps": 1}, fresh=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ShowMeWarning)
        train(config)
    page = (config.out / "validation" / "index.html").read_text()
    assert "adapters move it by" in page
    assert page.count('<i style="height:') == 5
    assert '"strength": [[' in (config.out / "validation" / RECORD).read_text()
    still = settings(
        "state_image", {"optimizer": {"learning_rate": 1e-9}}, validation={"scenes": 1, "steps": 1}, fresh=True
    ).model_copy(update={"out": config.out.with_name("still")})
    with pytest.warns(ShowMeWarning, match=r"After 2 steps the adapters move the prediction by less than 1e-04 of it"):
        train(still)
