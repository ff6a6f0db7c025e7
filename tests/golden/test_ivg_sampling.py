"""AnimateAnything's and HANDI's released sampling: from the first frame's latent, noised, with mask and motion."""

from __future__ import annotations

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler

from showme.backbones import sampling
from showme.backbones.base import Conditions
from showme.backbones.placing import in_slots
from showme.conversion import animate_anything
from tests.conftest import backbone_of

from .conftest import Golden, golden_files


@pytest.mark.parametrize("case", ["dpm10", "dpm25"])
@pytest.mark.parametrize("path", golden_files("ivg_sampling"))
@torch.no_grad()
def test_dpm_trajectory(path, case, compare, monkeypatch):
    golden = Golden(path)
    settings, inputs, wanted = golden.metadata["cases"][case], golden.case("inputs"), golden.case(case)
    scheduler = DPMSolverMultistepScheduler.from_config(golden.metadata["scheduler"])
    backbone = backbone_of(unet=animate_anything.convert_unet(golden.weights, golden.config), scheduler=scheduler)
    first, noise = inputs["condition_latent"], inputs["noise"]
    monkeypatch.setattr(sampling, "noise", lambda *_: noise)
    begun = []

    def combine(predictions: torch.Tensor) -> torch.Tensor:
        unconditional, conditional = predictions.chunk(2)
        return unconditional + settings["guidance"] * (conditional - unconditional)

    def predict(noisy: torch.Tensor, *others) -> torch.Tensor:
        begun.append(noisy[:1])
        return plain(noisy, *others)

    plain = backbone.predict
    monkeypatch.setattr(backbone, "predict", predict)
    conditions = Conditions(
        inputs["text"],
        None,
        in_slots(first, (0,), noise.shape[2]),
        inputs["motion"].expand(2),
        inputs["mask"].expand(2, -1, -1, -1, -1),
    )
    how = sampling.Sampling(settings["steps"], combine, branches=2, start=first.expand_as(noise))
    made = sampling.sample(backbone, scheduler, conditions, noise.shape, how)
    assert scheduler.timesteps.tolist() == wanted["timesteps"].tolist()
    compare(f"{path.stem}:{case}.start", begun[0], wanted["start"])
    compare(f"{path.stem}:{case}", made, wanted["output"], scale=float(wanted["output"].abs().max()))
