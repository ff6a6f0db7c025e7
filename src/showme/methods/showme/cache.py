"""What ShowMe's training needs of every clip, computed once by the frozen networks and eyes, read at every step."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...data.cache import Part, PartReader, build_parts, code_digest, weights_digest
from ...data.cache.build import Progress
from ...data.cache.fingerprint import digest_of
from ...data.rows import ClipRows
from ...data.sampling import FIRST_FRAMES, LAST_FRAMES
from ...data.sources.record import Record
from ...losses import motion
from ...perception import depth_eye, edge_eye, flow_eye
from .config import RewardConfig
from .instructions import common_windows
from .saved import ShowMePipeline


class CachedClips:
    """Row -> everything that :class:`samples.Clips` promises.

    Args:
        rows: the clips.
        parts: readers by name.
        scalar: frame stride for all clips; ``clip``: each its own; None: the network's default.
    """

    def __init__(self, rows: ClipRows, parts: Mapping[str, PartReader], scalar: float | str | None = None):
        self.ids = [rows.record(row).id for row in range(len(rows))]
        self.parts = {name: part for name, part in parts.items() if name not in ("text", "null_image")}
        self.sentences = sentences(rows)
        self.instructions = [rows.record(row).instruction for row in range(len(rows))]
        self.texts = parts["text"]
        self.nulls = {
            "null_text": self.texts[self.sentences[""]]["text"],
            "null_image": parts["null_image"][0]["null_image"],
        }
        self.scalar = scalar

    def checksum(self, row: int) -> int:
        """Of the row's latents: another for other pixels."""
        return self.parts["latents"].checksum(row, "latents")

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        clip = dict(self.nulls)
        for part in self.parts.values():
            clip |= part[row]
        clip |= self.texts[self.sentences[self.instructions[row]]]
        stride = clip.pop("stride")
        if self.scalar is not None:
            clip["scalar"] = stride.float() if self.scalar == "clip" else torch.tensor(float(self.scalar))
        return clip


def sentences(rows: ClipRows) -> dict[str, int]:
    """Every instruction once, and the empty one, with their rows."""
    return {sentence: row for row, sentence in enumerate(sorted({"", *(r.instruction for r in rows.records)}))}


def clip_parts(pipeline: ShowMePipeline, rows: ClipRows, rewards: RewardConfig | None = None) -> list[Part]:
    """The parts that training on ``rows`` reads: latents, image tokens, text, null conditions, rewards' targets.

    Args:
        pipeline: whose frozen networks encode.
        rows: the clips, at the pipeline's size.
        rewards: whose targets are wanted.

    Raises:
        InputError: instructions that are longer than the pipeline reads, where it refuses them.
    """
    words = list(sentences(rows))
    check_lengths(pipeline, rows.records)
    windows = common_windows(pipeline.instruction_reader().windows(words))
    encode = _Encoders(pipeline, rows)
    size = [rows.look.height, rows.look.width]
    code = {"code of the encoders": code_digest((sys.modules[__name__], motion))}
    clips = rows.made_of | code
    vae, image = {"codec": weights_digest(pipeline.vae)}, {"image encoder": weights_digest(pipeline.image_encoder)}
    text: dict[str, Any] = {
        "windows": windows,
        "text encoder": weights_digest(pipeline.text_encoder),
        "vocabulary": _digest_of(pipeline.tokenizer),
    }
    ids = rows.identities
    parts = [
        Part("latents", clips | vae, ids, encode.latents),
        Part("image", clips | image | {"first": FIRST_FRAMES}, ids, encode.image),
        Part("null_image", code | image | {"size": size}, ["black"], encode.null_image),
        Part("text", code | text, words, lambda chosen: encode.text([words[row] for row in chosen], windows), 64),
    ]
    last = clips | {"last": LAST_FRAMES}
    for name, eye_name in (rewards.structure if rewards else {}).items():
        eye = (edge_eye if name == "edge" else depth_eye)(eye_name).to(pipeline.device)
        made_of = last | {"eye": eye_name, "weights": weights_digest(eye), "code of the eye": _code_of(eye)}
        parts.append(Part(name, made_of, ids, partial(encode.seen, name, eye)))
    if rewards and rewards.motion:
        flow, latent = flow_eye(rewards.motion), [side // pipeline.vae_scale_factor for side in size]
        weights = weights_digest(flow) if isinstance(flow, nn.Module) else None
        made_of = clips | {"eye": rewards.motion, "weights": weights, "code of the eye": _code_of(flow)}
        parts.append(Part("flow", made_of | {"latent size": latent}, ids, partial(encode.flow, flow, latent)))
    return parts


def check_lengths(pipeline: ShowMePipeline, records: Sequence[Record]) -> None:
    """Warn, once, of clips whose instructions are longer than the pipeline reads; or refuse them, as it says.

    Raises:
        InputError: one is too long, and the pipeline refuses such.
    """
    places = [f"clip {record.id!r}" for record in records]
    pipeline.instruction_reader().check([record.instruction for record in records], places)


def open_cache(
    folder: Path, rows: ClipRows, parts: Sequence[Part], scalar=None, progress: Progress | None = None
) -> CachedClips:
    """The clips of a cache; parts that are missing are computed first."""
    return CachedClips(rows, build_parts(folder, parts, progress), scalar)


class _Encoders:
    """Rows of clips -> what the frozen networks say of them, in half precision."""

    def __init__(self, pipeline: ShowMePipeline, rows: ClipRows):
        self.pipeline, self.rows = pipeline, rows
        self.height, self.width = rows.look.height, rows.look.width

    def _pixels(self, rows: Sequence[int], chosen: slice = slice(None)) -> Tensor:
        """Frames (n, T', 3, H, W) in [0, 1] on the pipeline's device."""
        return self.rows.pixels(rows, chosen).to(self.pipeline.device)

    @torch.no_grad()
    def latents(self, rows: Sequence[int]) -> dict[str, Tensor]:
        pixels = self._pixels(rows)
        stride = torch.tensor([round(clip.sample.stride) for clip in self.rows.read(rows)])
        with self._autocast():
            flat = [self.pipeline.encode_latents(self._view(part)) for part in pixels.flatten(0, 1).split(16)]
        return {"latents": torch.cat(flat).half().unflatten(0, pixels.shape[:2]), "stride": stride}

    @torch.no_grad()
    def image(self, rows: Sequence[int]) -> dict[str, Tensor]:
        pixels = self._pixels(rows, slice(FIRST_FRAMES))
        with self._autocast():
            tokens = self.pipeline.image_tokens(self._view(pixels.flatten(0, 1)))
        return {"image": tokens.half().unflatten(0, pixels.shape[:2])}

    @torch.no_grad()
    def null_image(self, rows: Sequence[int]) -> dict[str, Tensor]:
        # Black in the pipeline's sense: zeros in [-1, 1], as the unconditional half of guidance uses it.
        black = torch.full((1, 3, self.height, self.width), 0.5, device=self.pipeline.device)
        return {"null_image": self.pipeline.image_tokens(self._view(black)).half()}

    @torch.no_grad()
    def text(self, chosen: list[str], windows: int) -> dict[str, Tensor]:
        return {"text": self.pipeline.encode_text(chosen, count=windows).half()}

    @torch.no_grad()
    def seen(self, name: str, eye: nn.Module, rows: Sequence[int]) -> dict[str, Tensor]:
        pixels = self._pixels(rows, slice(-LAST_FRAMES, None))
        return {name: eye(pixels.flatten(0, 1)).half().unflatten(0, pixels.shape[:2])}

    @torch.no_grad()
    def flow(self, eye, size: list[int], rows: Sequence[int]) -> dict[str, Tensor]:
        pixels = self._pixels(rows)
        return {"flow": motion.pooled_flow_magnitude(eye(pixels), (size[0], size[1])).half()}

    def _view(self, pixels: Tensor) -> Tensor:
        return (2 * pixels - 1).to(self.pipeline.vae.dtype, memory_format=torch.channels_last)

    def _autocast(self):
        return torch.autocast(self.pipeline.device.type, torch.bfloat16)


def _code_of(eye: object) -> str:
    return code_digest([sys.modules[type(eye).__module__]])


def _digest_of(tokenizer) -> str:
    words = sorted(tokenizer.get_vocab().items())
    return digest_of([words, tokenizer.model_max_length])
