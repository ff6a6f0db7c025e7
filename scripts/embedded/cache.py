"""Stage "cache": what the frozen codec and image encoder say of every training clip, and the instructions as ids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor
from transformers import CLIPTextModel, CLIPVisionModel, PreTrainedTokenizerFast

from showme.data.clips import Look
from showme.data.rows import ClipRows
from showme.data.sources import Record
from showme.data.sources.folder import FolderSource
from showme.methods.cached import CachedClips, clip_parts, open_cache
from showme.methods.showme import ShowMePipeline
from showme.models import ImageProjector, VideoUNet

from .codec import CODEC_MODEL
from .encoders import build_feature_extractor
from .pair_cache import EncodedPairs, encode_pairs
from .settings import Settings

CACHE = "cache"
# Chosen on validation scenes: docs/embedded_recipe.md.
STEPS = 2
GUIDANCE = 1.0


def training_records(folder: Path, settings: Settings) -> list[Record]:
    """The rendered training clips."""
    return FolderSource(path=folder / "clips" / "train").records(settings.clips)


def assemble(
    folder: Path, settings: Settings, unet: VideoUNet, projector: ImageProjector, text: CLIPTextModel, scheduler
) -> ShowMePipeline:
    """A pipeline of trained or untrained networks and the frozen parts of ``folder``."""
    pipeline = ShowMePipeline(
        unet=unet.eval(),
        image_projector=projector.eval(),
        vae=AutoencoderKL.from_pretrained(folder / CODEC_MODEL).eval(),
        text_encoder=text.eval(),
        tokenizer=PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer"),
        image_encoder=CLIPVisionModel.from_pretrained(folder / "image-encoder").eval(),
        feature_extractor=build_feature_extractor(settings),
        scheduler=scheduler,
        num_frames=settings.frames,
        guidance_scale=GUIDANCE,
        num_inference_steps=STEPS,
        height=settings.size,
        width=settings.size,
    )
    return pipeline


class EncodedClips:
    """Row -> latents (T, C, h, w), image tokens (F, N, D), null_image (N, D), ids (L,), null_ids (L,)."""

    def __init__(self, folder: Path, settings: Settings, device: torch.device):
        records = training_records(folder, settings)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer")
        texts = [*(record.instruction for record in records), ""]
        self.tokens = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids
        if not settings.words:
            self.tokens = self.tokens[-1:].expand_as(self.tokens)
        self.clips = _open(folder, settings, records, device)
        self.ids = self.clips.ids

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        return {**self.clips[row], "ids": self.tokens[row], "null_ids": self.tokens[-1]}


def open_pairs(folder: Path, settings: Settings, device: torch.device) -> EncodedPairs:
    """The run's pairs; shards that are not encoded yet are encoded first."""
    pipeline = _frozen(folder, settings, device)
    encode_pairs(folder, settings, pipeline)
    with torch.no_grad():
        black = pipeline.backbone.encode_image(torch.zeros(1, 3, settings.size, settings.size, device=device))
    null_ids = pipeline.tokenizer([""], padding="max_length", truncation=True, return_tensors="pt").input_ids
    return EncodedPairs(folder, settings, black[0].half().cpu(), null_ids[0])


def write_cache(folder: Path, settings: Settings, device: torch.device) -> dict:
    """Encode every pair and every clip of the training split; what is there already is kept."""
    pairs = len(open_pairs(folder, settings, device))
    return {"pairs": pairs, "clips": len(EncodedClips(folder, settings, device).ids)}


def _frozen(folder: Path, settings: Settings, device: torch.device) -> ShowMePipeline:
    """A pipeline whose frozen parts are asked; the networks that are to be trained have no say here."""
    tiny = {"block_out_channels": (16,), "attention_levels": (True,), "norm_num_groups": 16, "temporal_in_heads": 0}
    text = CLIPTextModel.from_pretrained(folder / "text-encoder")
    pipeline = assemble(folder, settings, VideoUNet(**tiny), ImageProjector(dim=16, depth=1), text, DDIMScheduler())
    pipeline.vae.to(memory_format=torch.channels_last)
    return pipeline.to(device)


def _open(folder: Path, settings: Settings, records: list[Record], device: torch.device) -> CachedClips:
    pipeline = _frozen(folder, settings, device)
    rows = ClipRows(records, Look(settings.size, settings.size, settings.frames))
    parts = clip_parts(pipeline.backbone, rows)
    with Progress(TextColumn("encoding {task.description:10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                  TextColumn("left"), TimeRemainingColumn()) as bars:  # fmt: skip
        return open_cache(folder / CACHE, rows, parts, progress=_reporter(bars))


def _reporter(bars: Progress) -> Callable[[str, int, int, int], None]:
    rows: dict = {}

    def report(part: str, done: int, total: int, size: int) -> None:
        if part not in rows:
            rows[part] = bars.add_task(part, total=total)
        bars.update(rows[part], completed=done)

    return report
