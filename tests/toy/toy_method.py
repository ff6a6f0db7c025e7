"""A toy method: the whole denoiser learns the video that follows a first frame; no picture of the result."""

from __future__ import annotations

from typing import Any, Literal

import torch
from diffusers import DiffusionPipeline
from diffusers.image_processor import VaeImageProcessor
from pydantic import Field
from torch import nn

from showme.backbones.base import Conditions
from showme.backbones.placing import in_slots
from showme.backbones.sampling import Sampling, sample
from showme.data.stream import generator_at, shuffled
from showme.methods.base import Method, Stage
from showme.methods.cached import clip_parts
from showme.methods.output import Output
from showme.methods.pipeline_steps import PipelineSteps
from showme.methods.step import denoising_step
from showme.run_config import RunConfig


class ToyConfig(RunConfig):
    """One run."""

    method: Literal["toy"] = Field("toy", description="this one")
    weight: float = Field(1.0, gt=0, description="of the loss")


class ToyPipeline(PipelineSteps, DiffusionPipeline):
    """The video that follows a first frame."""

    def __init__(
        self, transformer, codec, text, scheduler, height=None, width=None, num_frames=5, num_inference_steps=2,
        guidance_scale=1.0, guidance_rescale=0.0, eta=0.0, long_instructions="cut",
    ):  # fmt: skip
        super().__init__()
        self.register_modules(transformer=transformer, codec=codec, text=text, scheduler=scheduler)
        self.register_to_config(
            height=height, width=width, num_frames=num_frames, num_inference_steps=num_inference_steps, eta=eta,
            guidance_scale=guidance_scale, guidance_rescale=guidance_rescale, long_instructions=long_instructions,
        )  # fmt: skip
        self.image_processor = VaeImageProcessor(vae_scale_factor=8)

    @torch.no_grad()
    def __call__(
        self, image, instruction, task="video", *, num_frames=None, num_inference_steps=None, guidance_scale=None,
        scalar=None, long_instructions=None, seed=None, goal=False, output_type="pil", callback_on_step_end=None,
    ) -> Output:  # fmt: skip
        backbone, steps = self.backbone, num_inference_steps or self.config.num_inference_steps
        first = self.latent(image, "image")
        count = backbone.facts.slots(num_frames or self.config.num_frames)
        conditions = Conditions(backbone.encode_text([instruction]), None, backbone.known(first, (0,), count))

        def after(index, t, latents):
            return callback_on_step_end(self, index, t, {"latents": latents})["latents"]

        how = Sampling(
            steps, lambda prediction: prediction, generator=torch.Generator().manual_seed(seed or 0),
            after_step=after if callback_on_step_end else None, bar=self.progress_bar,
        )  # fmt: skip
        shape = (*first.shape[:2], count, *first.shape[-2:])
        return Output(frames=self.pictures(sample(backbone, self.scheduler, conditions, shape, how), output_type))


class ToySamples(torch.utils.data.Dataset):
    """Position -> a clip beside its first slot, with noise and level."""

    def __init__(self, clips, path, seed):
        self.clips, self.path, self.seed = clips, path, seed

    def __getitem__(self, position):
        clip = self.clips[shuffled(position, len(self.clips.ids), self.seed)]
        generator = generator_at(self.seed, position, 1)
        latents = clip["latents"].float().transpose(0, 1)
        known = in_slots(latents[None, :, :1], (0,), latents.shape[1])
        return {
            "latents": latents, "known": known.latents[0], "where": known.where[0], "text": clip["text"].float(),
            "noise": torch.randn(latents.shape, generator=generator),
            "level": self.path.draw(torch.rand((), generator=generator, dtype=torch.float64)),
        }  # fmt: skip


class ToyObjective(nn.Module):
    """Batch -> ``noise``."""

    def __init__(self, backbone, weight):
        super().__init__()
        self.backbone, self.weight, self.networks = backbone, weight, nn.ModuleDict(backbone.networks)
        self.trained: dict[str, Any] = dict(backbone.networks)

    def forward(self, batch):
        return {"noise": self.weight * denoising_step(self.backbone, batch, still=False).loss}


class ToyStage(Stage):
    """Training of the whole denoiser."""

    task = "video"

    def parts(self, rows):
        return clip_parts(self.pipeline.backbone, rows)

    def prepare(self):
        self.pipeline.transformer.requires_grad_(True)

    def samples(self, clips):
        return ToySamples(clips, self.pipeline.backbone.path, self.config.training.seed)

    def objective(self):
        return ToyObjective(self.pipeline.backbone, self.config.weight)


class Toy(Method):
    """What the package is asked for by name."""

    name, tasks = "toy", ("video",)

    def settings(self):
        return ToyConfig

    def pipeline(self):
        return ToyPipeline

    def stage(self, config, pipeline):
        return ToyStage(config, pipeline)
