"""What ShowMe's training needs of every clip, computed once by the frozen networks and eyes, read at every step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ...data.cache import Part, PartReader, build_part, weights_digest
from ...data.clips import read_frames
from ...data.sources import Record
from ...losses.motion import pooled_flow_magnitude
from ...perception import depth_eye, edge_eye, flow_eye
from .config import RewardConfig
from .pipeline import ShowMePipeline
from .samples import FIRST_FRAMES, LAST_FRAMES

# Called as progress(part, rows done, rows).
Progress = Callable[[str, int, int], None]


class CachedClips:
    """Row -> everything that :class:`samples.Clips` promises.

    Args:
        records: the clips.
        parts: readers by name.
        scalar: frame stride for all clips; ``clip``: each its own; None: the network's default.
    """

    def __init__(self, records: Sequence[Record], parts: Mapping[str, PartReader], scalar: float | str | None = None):
        self.ids = [record.id for record in records]
        self.parts = {name: part for name, part in parts.items() if name not in ("text", "null_image")}
        self.sentences = sentences(records)
        self.instructions = [record.instruction for record in records]
        self.texts = parts["text"]
        self.nulls = {
            "null_text": self.texts[self.sentences[""]]["text"],
            "null_image": parts["null_image"][0]["null_image"],
        }
        self.scalar = scalar

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        clip = dict(self.nulls)
        for part in self.parts.values():
            clip |= part[row]
        clip |= self.texts[self.sentences[self.instructions[row]]]
        stride = clip.pop("stride")
        if self.scalar is not None:
            clip["scalar"] = stride.float() if self.scalar == "clip" else torch.tensor(float(self.scalar))
        return clip


def sentences(records: Sequence[Record]) -> dict[str, int]:
    """Every instruction once, and the empty one, with their rows."""
    return {sentence: row for row, sentence in enumerate(sorted({"", *(r.instruction for r in records)}))}


def clip_parts(
    pipeline: ShowMePipeline, records: Sequence[Record], frames: int, rewards: RewardConfig | None = None
) -> list[Part]:
    """The parts that training on ``records`` reads: latents, image tokens, text, null conditions, rewards' targets.

    Args:
        pipeline: whose frozen networks encode; its config says the pictures' size.
        records: the clips.
        frames: T.
        rewards: whose targets are wanted.
    """
    encode = _Encoders(pipeline, records, frames)
    size = [encode.height, encode.width]
    clips = {"clips": _digest(records), "frames": frames, "size": size}
    vae, image = {"codec": weights_digest(pipeline.vae)}, {"image encoder": weights_digest(pipeline.image_encoder)}
    text = {"text encoder": weights_digest(pipeline.text_encoder), "vocabulary": _digest_of(pipeline.tokenizer)}
    words = sentences(records)
    count = len(records)
    parts = [
        Part("latents", clips | vae, count, encode.latents),
        Part("image", clips | image | {"first": FIRST_FRAMES}, count, encode.image),
        Part("null_image", image | {"size": size}, 1, encode.null_image),
        Part("text", text | {"sentences": hashlib.sha256("\n".join(words).encode()).hexdigest()}, len(words),
             lambda rows: encode.text([list(words)[row] for row in rows]), 64),
    ]  # fmt: skip
    last = clips | {"last": LAST_FRAMES}
    for name, eye_name in (rewards.structure if rewards else {}).items():
        eye = (edge_eye if name == "edge" else depth_eye)(eye_name).to(pipeline.device)
        made_of = last | {"eye": eye_name, "weights": weights_digest(eye)}
        parts.append(Part(name, made_of, count, partial(encode.seen, name, eye)))
    if rewards and rewards.motion:
        flow, latent = flow_eye(rewards.motion), [side // pipeline.vae_scale_factor for side in size]
        weights = weights_digest(flow) if isinstance(flow, nn.Module) else None
        made_of = clips | {"eye": rewards.motion, "weights": weights, "latent size": latent}
        parts.append(Part("flow", made_of, count, partial(encode.flow, flow, latent)))
    return parts


def open_cache(
    folder: Path, records: Sequence[Record], parts: Sequence[Part], scalar=None, progress: Progress | None = None
) -> CachedClips:
    """The clips of a cache; parts that are missing are computed first."""
    readers = {}
    for part in parts:
        report = None if progress is None else (lambda done, rows, name=part.name: progress(name, done, rows))
        readers[part.name] = build_part(folder, part, report)
    return CachedClips(records, readers, scalar)


class _Encoders:
    """Rows of clips -> what the frozen networks say of them, in half precision."""

    def __init__(self, pipeline: ShowMePipeline, records: Sequence[Record], frames: int):
        self.pipeline, self.records, self.frames = pipeline, records, frames
        self.height, self.width = pipeline.config.height, pipeline.config.width

    def _pixels(self, rows: Sequence[int], chosen: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Frames (n, T', 3, H, W) in [0, 1] and the clips' strides (n,)."""
        clips = [read_frames(self.records[row].path, self.frames, self.height, self.width) for row in rows]
        pixels = torch.stack([torch.from_numpy(frames[chosen]) for frames, _ in clips]).permute(0, 1, 4, 2, 3)
        return pixels.to(self.pipeline.device).float() / 255, torch.tensor([stride for _, stride in clips])

    @torch.no_grad()
    def latents(self, rows: Sequence[int]) -> dict[str, Tensor]:
        pixels, stride = self._pixels(rows)
        with self._autocast():
            flat = [self.pipeline.encode_latents(self._view(part)) for part in pixels.flatten(0, 1).split(16)]
        return {"latents": torch.cat(flat).half().unflatten(0, pixels.shape[:2]), "stride": stride}

    @torch.no_grad()
    def image(self, rows: Sequence[int]) -> dict[str, Tensor]:
        pixels, _ = self._pixels(rows, slice(FIRST_FRAMES))
        with self._autocast():
            tokens = self.pipeline.image_tokens(self._view(pixels.flatten(0, 1)))
        return {"image": tokens.half().unflatten(0, pixels.shape[:2])}

    @torch.no_grad()
    def null_image(self, rows: Sequence[int]) -> dict[str, Tensor]:
        # Black in the pipeline's sense: zeros in [-1, 1], as the unconditional half of guidance uses it.
        black = torch.full((1, 3, self.height, self.width), 0.5, device=self.pipeline.device)
        return {"null_image": self.pipeline.image_tokens(self._view(black)).half()}

    @torch.no_grad()
    def text(self, chosen: list[str]) -> dict[str, Tensor]:
        return {"text": self.pipeline.encode_text(chosen).half()}

    @torch.no_grad()
    def seen(self, name: str, eye: nn.Module, rows: Sequence[int]) -> dict[str, Tensor]:
        pixels, _ = self._pixels(rows, slice(-LAST_FRAMES, None))
        return {name: eye(pixels.flatten(0, 1)).half().unflatten(0, pixels.shape[:2])}

    @torch.no_grad()
    def flow(self, eye, size: list[int], rows: Sequence[int]) -> dict[str, Tensor]:
        pixels, _ = self._pixels(rows)
        return {"flow": pooled_flow_magnitude(eye(pixels), (size[0], size[1])).half()}

    def _view(self, pixels: Tensor) -> Tensor:
        return (2 * pixels - 1).to(self.pipeline.vae.dtype, memory_format=torch.channels_last)

    def _autocast(self):
        return torch.autocast(self.pipeline.device.type, torch.bfloat16)


def _digest(records: Sequence[Record]) -> str:
    """Of the clips' names and sizes."""
    lines = [f"{record.id} {record.path.name} {_size(record.path)}" for record in records]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _size(path: Path) -> int:
    return sum(each.stat().st_size for each in path.iterdir()) if path.is_dir() else path.stat().st_size


def _digest_of(tokenizer) -> str:
    words = sorted(tokenizer.get_vocab().items())
    return hashlib.sha256(f"{words} {tokenizer.model_max_length}".encode()).hexdigest()
