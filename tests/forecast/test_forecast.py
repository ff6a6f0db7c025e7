"""A forecast beside the same step on real weights, what settings change in it, and what makes a run fit."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import default_collate

from showme.cli import main
from showme.data.clips import Look
from showme.errors import InputError
from showme.forecast.blank import BlankRows, blank_clips
from showme.forecast.fitting import judge
from showme.forecast.networks import build_pipeline, plain_parts, read_adapters
from showme.forecast.phases import train
from showme.forecast.run import CACHE, TRAINING, VALIDATION, Looker
from showme.forecast.shapes import read_model
from showme.forecast.tally import filling, forecast
from showme.forecast.weights import narrow, weigh
from showme.methods import find_method
from showme.methods.recipes import parse_recipe
from showme.run_config import MemoryConfig
from tests.conftest import TINY_FRAMES, TINY_SIZE
from tests.forecast.conftest import recipe


def real_step(config, shapes, kept):
    """The same step on random weights and real clips."""
    torch.manual_seed(0)
    method = find_method(config.method)
    stage = method.stage(config, build_pipeline(shapes, method, config, plain_parts(shapes), read_adapters(shapes)))
    stage.prepare()
    objective = stage.objective()
    rows = BlankRows(Look(TINY_SIZE, TINY_SIZE, TINY_FRAMES))
    samples = stage.samples(blank_clips(rows, kept, None))
    batch = default_collate([samples[position] for position in range(config.training.batch_size)])
    return train(objective, batch, config, narrow=False, parts=1, card=False)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_step_takes_what_was_forecast(tiny_bundle, checkpointing):
    config = recipe(tiny_bundle, "training.precision=fp32", f"training.gradient_checkpointing={checkpointing}")
    looker = Looker(read_model(str(tiny_bundle)), card=False)
    said = looker.stepped(config).taken
    took = real_step(config, looker.shapes, looker.cached(config).kept)
    assert said.optimizer == took.optimizer
    assert said.activations + said.gradients == pytest.approx(took.activations + took.gradients, rel=0.03)


def totals(config, looker, **choices):
    return {phase.name: phase.total for phase in forecast(config, looker, **choices).phases}


def test_phases_and_what_settings_change_in_them(looker, tiny_bundle):
    plain = totals(recipe(tiny_bundle), looker)
    assert list(plain) == [CACHE, TRAINING]
    assert totals(recipe(tiny_bundle, "training.gradient_checkpointing=true"), looker)[TRAINING] < plain[TRAINING]
    assert totals(recipe(tiny_bundle, "training.accumulation=4"), looker)[TRAINING] < plain[TRAINING]
    assert filling(recipe(tiny_bundle, "memory.base=bf16"), looker).total < plain[CACHE]
    assert list(totals(recipe(tiny_bundle, "validation.scenes=1"), looker)) == [CACHE, TRAINING, VALIDATION]


def test_frozen_weights_by_precision(looker, tiny_bundle):
    sizes = {}
    for base in ("fp32", "bf16", "int8", "int4"):
        sizes[base] = looker.cached(recipe(tiny_bundle)).weights[base, False].frozen
    assert sizes["bf16"] < 0.6 * sizes["fp32"]
    assert sizes["int4"] < sizes["int8"] < sizes["bf16"]


def test_tied_weights_are_counted_once_and_stay_tied():
    """As UMT5's words, which its encoder names a second time."""
    network = nn.Sequential(nn.Embedding(100, 8), nn.Linear(8, 100, bias=False)).requires_grad_(False)
    network[1].weight = network[0].weight
    backbone = SimpleNamespace(units=[], encoders={"text": network})
    assert weigh(backbone, {"text_encoder": network}, MemoryConfig(base="bf16")).encoders == 100 * 8 * 2
    narrow([network])
    assert network[0].weight is network[1].weight
    assert network[0].weight.dtype == torch.bfloat16


def test_offload_leaves_two_units(looker, tiny_bundle):
    weights = looker.stepped(recipe(tiny_bundle)).weights
    here, waiting = weights["bf16", False], weights["bf16", True]
    assert waiting.waiting > 0
    assert here.frozen - waiting.waiting < waiting.frozen < here.frozen
    assert waiting.trained == here.trained


def test_the_denoiser_is_not_there_while_the_cache_is_filled(looker, tiny_bundle):
    cached = looker.cached(recipe(tiny_bundle))
    filling = forecast(recipe(tiny_bundle, "memory.base=bf16"), looker).phases[0]
    assert filling.parts.get("frozen weights", 0) == cached.encoding["bf16"].frozen
    # The image projector's alone.
    assert cached.encoding["bf16"].frozen < 0.3 * cached.weights["bf16", False].frozen
    packed = forecast(recipe(tiny_bundle, "memory.base=int4"), looker).phases[0]
    assert packed.parts["frozen weights"] == cached.weights["int4", False].frozen


def test_averages_and_muon(looker, tiny_bundle):
    both = recipe(tiny_bundle, "training.ema=0.9", "training.optimizer.name=muon")
    fresh = Looker(looker.shapes)
    parts = forecast(both, fresh).phases[1].parts
    assert parts["averaged weights"] == pytest.approx(parts["trained weights"], rel=0.2)
    assert fresh.stepped(both).taken.optimizer < looker.stepped(recipe(tiny_bundle)).taken.optimizer


def test_processes_share(tiny_bundle, looker):
    together = Looker(looker.shapes, processes=4)
    alone = forecast(recipe(tiny_bundle), looker)
    shared = forecast(recipe(tiny_bundle), together)
    assert (alone.samples, shared.samples) == (4, 1)
    parts = shared.phases[1].parts
    assert parts["buckets of DDP"] == parts["trained weights"]
    shards = forecast(recipe(tiny_bundle), together, sharded=True).phases[1].parts
    assert shards["optimiser state"] < parts["optimiser state"]
    with pytest.raises(InputError, match=r"training\.batch_size 4 does not divide into 3 parts"):
        forecast(recipe(tiny_bundle), Looker(looker.shapes, processes=3))


def test_one_setting_or_as_few_as_it_takes(looker, tiny_bundle):
    config = recipe(tiny_bundle)
    now = forecast(config, looker).largest.total
    assert judge(config, looker, now).words == []
    once = forecast(recipe(tiny_bundle, "training.gradient_checkpointing=true"), looker).largest.total
    assert judge(config, looker, once).words == ["training.gradient_checkpointing=true"]
    with_one = judge(config, looker, once - 1)
    assert with_one.words
    assert with_one.total < once
    assert judge(config, looker, 1000).words is None


def test_the_command(tiny_bundle, tmp_path, capsys):
    file = tmp_path / "recipe.yaml"
    file.write_text(
        f"stage: state_video\nmodel: {tiny_bundle}\nout: {tmp_path / 'run'}\nfresh: true\n"
        f"data: {{source: {tmp_path / 'none'}, frames: 4, clips: 100}}\ntraining: {{steps: 1, batch_size: 1}}\n"
    )
    with pytest.raises(SystemExit) as end:
        main(["doctor", "--config", str(file), "--json"])
    assert end.value.code == 0
    said = json.loads(capsys.readouterr().out)
    assert said["fits"]["24 GB"]["words"] == []
    assert said["clips"] == 100
    assert said["phases"][TRAINING]["total"] > said["phases"][TRAINING]["activations"] > 0
    assert not (tmp_path / "run").exists()


def test_the_command_without_the_model(tmp_path, capsys):
    file = tmp_path / "recipe.yaml"
    file.write_text("stage: state_video\nmodel: absent\nout: x\ndata: {source: none}\ntraining: {steps: 1}\n")
    with pytest.raises(SystemExit) as end:
        main(["doctor", "--config", str(file)])
    assert end.value.code == 2
    assert "--shapes dynamicrafter-256" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main(["doctor", "--shapes", "dynamicrafter-256"])
    assert end.value.code == 2


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"stage": "state_image", "rewards": {"edge": "sobel"}}, {"edge": (3, 1, TINY_SIZE, TINY_SIZE)}),
        ({"method": "ivg", "stage": "region"}, {"regions": (TINY_FRAMES, TINY_SIZE, TINY_SIZE)}),
        ({"method": "aid", "stage": None, "fresh": None, "states": "tabletop"}, {"states": (4, 24, 16)}),
    ],
)
def test_every_method(tiny_bundle, looker, fields, kept):
    tree = recipe(tiny_bundle).model_dump(mode="json") | fields
    small = {"dqformer": {"channels": 16, "heads": 2}} if "states" in fields else {}
    chosen = ("model", "out", "data", "validation", "training", "stage", "fresh", "method", *fields)
    tree = {name: value for name, value in (tree | small).items() if name in (*chosen, *small) and value is not None}
    config = parse_recipe(tree, ("training.batch_size=1",), "a recipe")
    found = Looker(looker.shapes)
    assert found.stepped(config).taken.activations > 0
    own = found.cached(config).kept[config.method]
    assert {name: tuple(own[name].shape) for name in kept} == kept
