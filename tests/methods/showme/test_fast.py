"""The adapter for fewer steps: what it is to meet, that it learns it, and that nothing else changes."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from diffusers import DDIMScheduler
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import default_collate

from showme.backbones.paths import DiscretePath, FlowPath
from showme.errors import InputError
from showme.experiment import open_run, train
from showme.methods.showme.fast.objective import FastObjective
from showme.methods.showme.fast.samples import phases_of
from showme.pipelines import load_bundle, save_bundle
from tests.backbones.test_wan import picture
from tests.blob_clips import clips
from tests.conftest import make_tiny_info, make_tiny_pipeline
from tests.conversion.test_wan_folder import thin_model
from tests.methods.showme.test_wan import recipe as plain

__all__ = ["clips"]
DDIM = DDIMScheduler(
    beta_schedule="scaled_linear", prediction_type="v_prediction", rescale_betas_zero_snr=True,
    timestep_spacing="trailing", set_alpha_to_one=True, clip_sample=False,
)  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """The tiny model on a schedule that begins at pure noise, where each of few steps says something."""
    pipeline = make_tiny_pipeline()
    pipeline.register_modules(scheduler=DDIM)
    folder = tmp_path_factory.mktemp("base") / "model"
    save_bundle(pipeline, make_tiny_info(), folder)
    return folder


def recipe(model: Path, clips: Path, out: Path, training: dict | None = None, frames: int = 4, **changes):
    data = {"source": str(clips), "cache": str(out.parent / "cache"), "frames": frames}
    fast = {"bundle": "whole", "fast": {"steps": 2, "substeps": 4}, "data": data}
    return plain(changes.pop("stage", "fast"), model, clips, out, training, **fast | changes)


def test_phases_are_the_samplers_steps():
    phases = phases_of(SimpleNamespace(path=DiscretePath(DDIM)), DDIM, 4, 5)
    assert phases.edges.tolist() == [999, 749, 499, 249, -1]
    backbone, drawn = SimpleNamespace(path=DiscretePath(DDIM)), []
    for seed in range(400):
        drawn.append(phases.draw(backbone, torch.Generator().manual_seed(seed)))
    steps = {(int(d["level"]), int(d["next"]), int(d["edge"])) for d in drawn}
    assert {(999, 949, 749), (799, 749, 749), (249, 199, -1), (49, -1, -1)} <= steps
    assert len(steps) == 20


class Knows(nn.Module):
    """A network that answers what leads to one z_0, and, with its adapter, something else by ``off``."""

    def __init__(self, path, clean: torch.Tensor):
        super().__init__()
        self.path, self.clean, self.off = path, clean, nn.Parameter(torch.zeros(()))

    def predict(self, noisy, level, conditions, still):
        one, zero = torch.ones_like(noisy[:, :1]), torch.zeros_like(noisy[:, :1])
        alpha, sigma = self.path.noised(one, zero, level), self.path.noised(zero, one, level)
        noise = (noisy - alpha * self.clean) / sigma
        return self.path.target(self.clean.expand_as(noisy), noise, level) + self.off


@pytest.mark.parametrize("path", [DiscretePath(DDIM), FlowPath(3.0)])
def test_a_network_whose_way_is_straight_has_nothing_to_learn_and_one_that_is_off_has(path):
    torch.manual_seed(0)
    network = Knows(path, torch.randn(1, 3, 1, 4, 4))
    backbone = SimpleNamespace(
        path=path, experts=[network], networks={"unet": network}, project=lambda image: image,
        predict=network.predict, holds_known=False,
    )  # fmt: skip
    objective = FastObjective(backbone, guidance=1.0)
    levels = torch.tensor([[999, 899, 749], [899, 749, 749], [199, 99, -1], [99, -1, -1]])
    if isinstance(path, FlowPath):
        levels = torch.where(levels < 0, -1.0, levels / 1000)
    level, following, edge = levels.unbind(1)
    shape = (4, 3, 1, 4, 4)
    batch = {
        "latents": network.clean.expand(shape), "noise": torch.randn(shape), "known": torch.zeros(shape),
        "where": torch.zeros(4, 1, 1, 1, 1), "text": torch.zeros(4, 2, 2), "level": level, "next": following,
        "edge": edge,
    }  # fmt: skip
    assert float(objective(batch)["consistency"].detach()) < 1e-6
    with torch.no_grad():
        network.off.fill_(0.3)
    # The same network is the one that is met: what it is off by, it is off by there as well.
    assert float(objective(batch)["consistency"].detach()) < 0.3**2
    objective(batch)["consistency"].backward()
    assert network.off.grad is not None


class TwoPlaces(nn.Module):
    """The best answer where z_0 is 1 or -1 everywhere by itself, and beside it a small network that can be left out."""

    def __init__(self, path: DiscretePath):
        super().__init__()
        self.path, self.added = path, True
        self.adapter = nn.Sequential(nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))
        nn.init.zeros_(self.adapter[-1].weight)
        nn.init.zeros_(self.adapter[-1].bias)

    def predict(self, noisy, level, conditions, still):
        one, zero = torch.ones_like(noisy[:, :1]), torch.zeros_like(noisy[:, :1])
        alpha, sigma = self.path.noised(one, zero, level), self.path.noised(zero, one, level)
        clean = torch.tanh(alpha * noisy / sigma.square())
        plain = self.path.target(clean, (noisy - alpha * clean) / sigma, level)
        seen = torch.stack([noisy, alpha.expand_as(noisy), sigma.expand_as(noisy)], -1)
        return plain + self.adapter(seen)[..., 0] if self.added else plain


class OnTwoPlaces(FastObjective):
    @contextlib.contextmanager
    def _without(self, names):
        network = self.backbone.experts[0]
        before, network.added = network.added, "fast" not in names and network.added
        yield
        network.added = before


def test_one_step_goes_where_many_do():
    """From pure noise the best single guess is the middle, 0; many steps go to 1 or -1, by the noise's sign."""
    torch.manual_seed(0)
    path = DiscretePath(DDIM)
    network = TwoPlaces(path)
    backbone = SimpleNamespace(
        path=path, experts=[network], networks={"unet": network}, project=lambda image: image,
        predict=network.predict, holds_known=False,
    )  # fmt: skip
    phases, objective = phases_of(backbone, DDIM, 1, 20), OnTwoPlaces(backbone, guidance=1.0)
    optimizer, draws = torch.optim.Adam(network.parameters(), 3e-3), torch.Generator().manual_seed(0)
    for _ in range(600):
        rows = default_collate([phases.draw(backbone, draws) for _ in range(32)])
        shape = (32, 1, 1, 4, 4)
        batch = rows | {
            "latents": torch.randint(2, shape).float() * 2 - 1, "noise": torch.randn(shape),
            "known": torch.zeros(shape), "where": torch.zeros(32, 1, 1, 1, 1), "text": torch.zeros(32, 2, 2),
        }  # fmt: skip
        loss = objective(batch)["consistency"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    noise, last = torch.randn(1, 1, 1, 40, 40), torch.tensor([999])

    def one_step(added: bool) -> torch.Tensor:
        network.added = added
        with torch.no_grad():
            return path.clean(noise, network.predict(noise, last, None, False), last)

    assert one_step(False).abs().max() < 0.1
    made = one_step(True)
    assert ((made - noise.sign()).abs() < 0.35).float().mean() > 0.8


@pytest.mark.parametrize("position", [0, 2])
def test_recomputing_in_the_backward_pass_changes_no_gradient(base, clips, tmp_path, position):
    """A still is made without the video's adapter, when it is computed again, too."""
    found = []
    for recompute in (False, True):
        run = open_run(recipe(base, clips, tmp_path / "run", {"gradient_checkpointing": recompute}))
        samples = run.stage.samples(run.clips())
        run.stage.prepare()
        objective = run.stage.objective()
        objective(default_collate([samples[position], samples[position + 1]]))["consistency"].backward()
        found.append({name: p.grad for name, p in objective.named_parameters() if p.grad is not None})
    assert any(value.any() for value in found[0].values())
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-4, atol=1e-7)


def test_everything_else_stays_as_it_was(base, clips, tmp_path):
    model = train(recipe(base, clips, tmp_path / "run", {"steps": 4}))
    before, after = (load_bundle(each, "cpu", torch.float32) for each in (base, model))
    for name in ("unet", "image_projector"):
        ours, theirs = (getattr(each.pipeline, name).state_dict() for each in (before, after))
        named = {key.replace(".base_layer.", "."): value for key, value in theirs.items()}
        assert all(torch.equal(named[key.replace(".base_layer.", ".")], value) for key, value in ours.items())
    added = load_file(model / "adapters" / "fast.safetensors")
    assert all(value.any() for key, value in added.items() if ".lora_B." in key)
    assert after.info.default_steps == 2
    assert after.pipeline.config.num_inference_steps == 2
    assert after.pipeline.config.guidance_scale == 1.0


def test_a_run_that_stopped_goes_on_to_the_bit(base, clips, tmp_path):
    whole = train(recipe(base, clips, tmp_path / "whole", {"steps": 4}))
    train(recipe(base, clips, tmp_path / "half", {"steps": 2}))
    resumed = train(recipe(base, clips, tmp_path / "half", {"steps": 4}))
    name = "adapters/fast.safetensors"
    assert (whole / name).read_bytes() == (resumed / name).read_bytes()


@pytest.mark.parametrize("form", ["in place", "2.1", "A14B"])
def test_on_wan_a_scheduler_that_looks_back_is_kept_beside_the_thin_model(clips, tmp_path, form):
    wan = thin_model(form, tmp_path / "wan", 5)
    out = tmp_path / "run"
    model = train(recipe(wan, clips, out, {"steps": 4}, frames=5, bundle="thin", validation={"scenes": 1}))
    assert (out / "validation" / "index.html").is_file()
    assert json.loads((model / "scheduler" / "scheduler_config.json").read_text())["solver_order"] == 1
    pipeline = load_bundle(model, "cpu", torch.float32).pipeline
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline.scheduler.config.solver_order == 1
    made = pipeline(picture(1), "push the red box", "both", seed=3, output_type="pt")
    assert torch.isfinite(made.frames).all()
    assert {path.name for path in model.rglob("*.safetensors")} == {"fast.safetensors"}


def test_pictures_and_videos_come_in_turn_by_the_step(base, clips, tmp_path):
    run = open_run(recipe(base, clips, tmp_path / "run"))
    samples = run.stage.samples(run.clips())
    shapes = [samples[position]["latents"].shape[1] for position in range(8)]
    assert shapes == [1, 1, 4, 4, 1, 1, 4, 4]
    batch = default_collate([samples[0], samples[1]])
    assert (batch["level"] > batch["next"]).all()
    assert (batch["next"] >= batch["edge"]).all()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tuning": "full"}, "stage fast trains an adapter: leave tuning out"),
        ({"goal_share": 0.5}, "goal_share is of stage state_video: leave it out"),
        ({"stage": "state_video"}, "fast is of stage fast: leave it out, or set stage to fast"),
        ({"fast": {"steps": 0}}, "fast.steps 0"),
    ],
)
def test_settings_that_do_not_go_together(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        recipe(Path("model"), Path("clips"), Path("out"), **changes)
