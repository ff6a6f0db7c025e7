"""Samples of both stages: which frames, beside what, with which conditions; and a step on them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from diffusers import DDIMScheduler
from torch.utils.data import default_collate

from showme.backbones.paths import DiscretePath
from showme.backbones.placing import in_slots
from showme.methods.dropout import DropoutConfig
from showme.methods.samples import Draw
from showme.methods.showme.objective import ShowMeObjective
from showme.methods.showme.rewards import motion_gate, structure_gate
from showme.methods.showme.samples import StateImageSamples, StateVideoSamples
from showme.methods.step import denoising_step

from ...conftest import backbone_of

NEVER = DropoutConfig(text=0, image=0, both=0)
FRAMES = 6
PATH = DiscretePath(DDIMScheduler())


class NumberedClips:
    """Every frame's latent holds 10 times its clip's number plus its own, so that a value shows where it came from."""

    def __init__(self, **more):
        self.ids = [str(number) for number in range(50)]
        self.more = more

    def __getitem__(self, row):
        frames = 10.0 * row + torch.arange(FRAMES).float()
        return {
            "latents": frames.reshape(FRAMES, 1, 1, 1).expand(FRAMES, 2, 2, 2).half(),
            "text": torch.full((3, 4), float(row + 1)),
            "null_text": torch.zeros(3, 4),
            "image": (frames[:2] + 1).reshape(2, 1, 1).expand(2, 12, 4),
            "null_image": torch.zeros(12, 4),
            **{name: make(row) for name, make in self.more.items()},
        }


def draw_many(samples, count: int = 2000) -> list[dict]:
    return [samples[position] for position in range(count)]


def test_stage_1_pairs_one_of_the_first_two_with_one_of_the_last_three():
    pairs = set()
    for sample in draw_many(StateImageSamples(NumberedClips(), Draw(0, PATH, NEVER)), 400):
        assert sample["latents"].shape == sample["known"].shape == (2, 1, 2, 2)
        clip, first = divmod(float(sample["known"][0, 0, 0, 0]), 10)
        pairs.add((first, float(sample["latents"][0, 0, 0, 0]) - 10 * clip))
        assert float(sample["image"][0, 0]) == 10 * clip + first + 1, "the image tokens are the condition frame's"
        assert float(sample["text"][0, 0]) == clip + 1
    assert pairs == {(a, b) for a in (0, 1) for b in (3, 4, 5)}


def test_stage_2_sees_z0_then_zeros_and_never_the_end():
    for sample in draw_many(StateVideoSamples(NumberedClips(), Draw(0, PATH, NEVER)), 100):
        assert sample["latents"].shape == (2, FRAMES, 2, 2)
        assert torch.equal(sample["known"][:, 0], sample["latents"][:, 0])
        # The released code puts z0 into the last slot, in training alone.
        assert not sample["known"][:, 1:].any()


def test_a_known_end_stands_in_the_last_slot_for_its_share_of_the_clips():
    samples = draw_many(StateVideoSamples(NumberedClips(), Draw(0, PATH, NEVER, goal_share=0.3)))
    known = [bool(sample["known"][:, -1].any()) for sample in samples]
    assert sum(known) / len(known) == pytest.approx(0.3, abs=0.03)
    for sample in samples[:50]:
        assert not sample["known"][:, 1:-1].any()
        if sample["known"][:, -1].any():
            assert torch.equal(sample["known"][:, -1], sample["latents"][:, -1])


def test_training_and_inference_share_the_condition():
    z0, end = torch.randn(1, 2, 1, 3, 3), torch.randn(1, 2, 1, 3, 3)
    both = torch.cat([z0, end], dim=2)
    assert torch.equal(in_slots(z0, (0,), 4, repeat=True).latents, z0.expand(-1, -1, 4, -1, -1))
    assert torch.equal(in_slots(both, (0, -1), 1).latents, z0)
    with_goal = in_slots(both, (0, -1), 4)
    assert torch.equal(with_goal.latents[:, :, -1:], end)
    assert torch.equal(with_goal.latents[:, :, :1], z0)
    assert not with_goal.latents[:, :, 1:-1].any()
    assert with_goal.where.flatten().tolist() == [1, 0, 0, 1]


def test_conditions_drop_five_percent_each_and_together():
    samples = draw_many(StateVideoSamples(NumberedClips(), Draw(0, PATH)), 6000)
    lost = [(not sample["text"].any(), not sample["image"].any()) for sample in samples]
    for kind in ((True, False), (False, True), (True, True)):
        assert lost.count(kind) / len(lost) == pytest.approx(0.05, abs=0.012)


def test_a_sample_is_a_function_of_seed_and_position():
    a, b = (StateImageSamples(NumberedClips(), Draw(5, PATH))[77] for _ in range(2))
    other = StateImageSamples(NumberedClips(), Draw(6, PATH))[77]
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["noise"], other["noise"])
    assert not torch.equal(a["noise"], StateImageSamples(NumberedClips(), Draw(5, PATH))[78]["noise"])


@pytest.mark.parametrize(("power", "mean"), [(1.0, 500), (0.5, 667)])
def test_timesteps_are_uniform_or_lean_to_the_noisy_end(power, mean):
    samples = draw_many(StateImageSamples(NumberedClips(), Draw(0, PATH, timestep_power=power)))
    timesteps = torch.stack([sample["level"] for sample in samples]).float()
    assert float(timesteps.mean()) == pytest.approx(mean, rel=0.05)
    assert float(timesteps.min()) >= 0
    assert float(timesteps.max()) <= 999


def test_rewards_targets_come_with_the_frame_that_is_predicted():
    seen = {"edge": lambda row: torch.arange(3.0).reshape(3, 1, 1, 1).expand(3, 1, 4, 4)}
    for sample in draw_many(StateImageSamples(NumberedClips(**seen), Draw(0, PATH)), 60):
        assert float(sample["edge"][0, 0, 0]) == float(sample["latents"][0, 0, 0, 0]) % 10 - 3
    flow = {"flow": lambda row: torch.full((5, 2, 2), float(row))}
    sample = StateVideoSamples(NumberedClips(**flow), Draw(0, PATH))[3]
    assert float(sample["flow"][0, 0, 0]) == float(sample["latents"][0, 0, 0, 0]) // 10


def test_a_message_names_the_clips_of_a_batch():
    samples = StateImageSamples(NumberedClips(), Draw(0, PATH))
    named = samples.describe([0, 1]).removeprefix("clips ").split(", ")
    assert [float(name) for name in named] == [float(samples[p]["known"][0, 0, 0, 0]) // 10 for p in (0, 1)]


class Recorder(torch.nn.Module):
    """A network that remembers what it was given and predicts zero."""

    config = SimpleNamespace(condition_axis="channel", mask_channel=False)

    def forward(self, sample, timestep, text, image, scalar, temporal):
        self.sample, self.text, self.image, self.scalar, self.temporal = sample, text, image, scalar, temporal
        return torch.zeros_like(sample[:, : sample.shape[1] // 2])


def recording(unet):
    return backbone_of(unet=unet, image_projector=torch.nn.Identity(), scheduler=DDIMScheduler())


@pytest.mark.parametrize("kind", [StateImageSamples, StateVideoSamples])
def test_a_step_gives_the_network_what_the_sample_says(kind):
    clips = NumberedClips(scalar=lambda row: torch.tensor(3.0))
    batch = default_collate([kind(clips, Draw(0, PATH, NEVER))[position] for position in range(64)])
    batch["level"][:] = 0
    unet, temporal = Recorder(), kind is StateVideoSamples
    denoising_step(recording(unet), batch, still=not temporal)
    assert unet.temporal is temporal
    # At t = 0 the noisy latent is almost the clean one.
    assert (unet.sample[:, :2] - batch["latents"]).abs().max() < 20
    assert torch.equal(unet.sample[:, 2:], batch["known"])
    assert torch.equal(unet.scalar, torch.full((64,), 3.0))
    assert unet.image.shape[1:] == ((FRAMES, 2, 4) if temporal else (1, 12, 4))


def test_the_loss_of_predicting_zero_is_the_noise():
    samples = [StateVideoSamples(NumberedClips(), Draw(0, PATH, NEVER))[position] for position in range(256)]
    objective = ShowMeObjective(recording(Recorder()), still=False)
    # E ||eps - 0||^2 = 1 at every timestep.
    assert float(objective(default_collate(samples))["noise"]) == pytest.approx(1.0, abs=0.02)


def test_levels_can_be_drawn_where_the_reward_speaks_alone():
    draws = draw_many(StateImageSamples(NumberedClips(), Draw(0, PATH, gate=structure_gate(PATH))), 300)
    levels = torch.stack([sample["level"] for sample in draws])
    assert int(levels.max()) <= 200
    assert levels.unique().numel() > 100
    draws = draw_many(StateVideoSamples(NumberedClips(), Draw(0, PATH, gate=motion_gate(PATH))), 300)
    assert min(int(sample["level"]) for sample in draws) >= 700
