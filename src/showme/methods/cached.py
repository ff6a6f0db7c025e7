"""What every method needs of a clip, computed once by the frozen networks of its backbone: latents and tokens."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ..backbones.base import Backbone
from ..data.cache import Part, PartReader, build_parts
from ..data.cache.build import Progress
from ..data.rows import ClipRows
from ..data.sampling import FIRST_FRAMES, LAST_FRAMES
from ..data.sources.record import Record
from ..fingerprint import code_digest, digest_of, weights_digest


class CachedClips:
    """Row -> ``latents`` (T', C, h, w), ``image`` (F, N, D) tokens of the first F frames, ``text`` (L, D),
    ``null_image`` (N, D), ``null_text`` (L, D), ``scalar`` () where clips differ in it, and what a method adds. Where a
    latent holds several frames, ``stills`` (F + 3, C, h, w): the first F and the last three, each encoded alone, and
    ``end`` (C, h, w): the slot of a clip that stands still at the last; where known frames are encoded with what lies
    between, ``known`` (2, T', C, h, w): the first, and the first and the last.

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
        self.nulls = {"null_text": self.texts[self.sentences[""]]["text"]}
        if "null_image" in parts:
            self.nulls["null_image"] = parts["null_image"][0]["null_image"]
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


def clip_parts(backbone: Backbone, rows: ClipRows) -> list[Part]:
    """Latents, image tokens, text tokens, and those of no image: what every method reads.

    Args:
        backbone: whose frozen networks encode.
        rows: the clips, at the model's size.

    Raises:
        InputError: a number of frames that the model's codec does not take, or instructions that are longer than the
            model reads, where it refuses them.
    """
    backbone.facts.slots(rows.look.frames)
    check_lengths(backbone, rows.records)
    encode, words = ClipEncoder(backbone, rows), list(sentences(rows))
    digest = {name: weights_digest(encoder) for name, encoder in backbone.encoders.items()}
    code = {"code of the encoders": code_digest((sys.modules[__name__], *code_of(backbone)))}
    clips, choices = rows.fingerprint | code, backbone.text_choices(words)
    text: dict[str, Any] = choices | {"text encoder": digest["text"], "vocabulary": digest_of(backbone.vocabulary)}
    codec = clips | {"codec": digest["latents"]}
    parts = [Part("latents", codec, rows.identities, encode.latents)]
    if backbone.facts.time > 1:
        alone = {"first": FIRST_FRAMES, "last": LAST_FRAMES}
        parts.append(Part("stills", codec | alone, rows.identities, encode.stills))
    if backbone.facts.time > 1 and not backbone.knows_frames:
        parts.append(Part("end", codec | {"frames": "the last"}, rows.identities, encode.end))
    if backbone.knows_frames:
        parts.append(Part("known", codec | {"frames": "first, first and last"}, rows.identities, encode.known))
    if "image" in digest:
        image, size = {"image encoder": digest["image"]}, {"size": [rows.look.height, rows.look.width]}
        parts += [
            Part("image", clips | image | {"first": FIRST_FRAMES}, rows.identities, encode.image),
            Part("null_image", code | image | size, ["black"], encode.null_image),
        ]
    return [
        *parts,
        Part("text", code | text, words, lambda some: encode.text([words[row] for row in some], choices), 64),
    ]


def code_of(backbone: Backbone) -> list[ModuleType]:
    """The modules that say how a backbone encodes."""
    return [sys.modules[each.__module__] for each in type(backbone).__mro__ if issubclass(each, Backbone)]


def check_lengths(backbone: Backbone, records: Sequence[Record]) -> None:
    """Warn, once, of clips whose instructions are longer than the model reads; or refuse them, as it says.

    Raises:
        InputError: one is too long, and the model refuses such.
    """
    backbone.check_lengths([record.instruction for record in records], [f"clip {record.id!r}" for record in records])


def open_cache(
    folder: Path, rows: ClipRows, parts: Sequence[Part], scalar=None, progress: Progress | None = None
) -> CachedClips:
    """The clips of a cache; parts that are missing are computed first."""
    return CachedClips(rows, build_parts(folder, parts, progress), scalar)


class ClipEncoder:
    """Rows of clips -> what the frozen networks say of them, in half precision."""

    def __init__(self, backbone: Backbone, rows: ClipRows):
        self.backbone, self.rows = backbone, rows

    def pixels(self, rows: Sequence[int], chosen: slice = slice(None)) -> Tensor:
        """Frames (n, T', 3, H, W) in [0, 1] on the backbone's device."""
        return self.rows.pixels(rows, chosen).to(self.backbone.device)

    @torch.no_grad()
    def latents(self, rows: Sequence[int]) -> dict[str, Tensor]:
        pixels = self.pixels(rows)
        stride = torch.tensor([round(clip.sample.stride) for clip in self.rows.read(rows)])
        with self.autocast():
            latents = self.backbone.encode(self.view(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2]))
        return {"latents": latents.half().transpose(1, 2).contiguous(), "stride": stride}

    @torch.no_grad()
    def stills(self, rows: Sequence[int]) -> dict[str, Tensor]:
        pixels = torch.cat([self.pixels(rows, part) for part in (slice(FIRST_FRAMES), slice(-LAST_FRAMES, None))], 1)
        with self.autocast():
            latents = self.backbone.encode(self.view(pixels.flatten(0, 1))[:, None])
        return {"stills": latents[:, :, 0].half().unflatten(0, pixels.shape[:2])}

    @torch.no_grad()
    def end(self, rows: Sequence[int]) -> dict[str, Tensor]:
        pixels = self.pixels(rows, slice(-1, None))[:, 0]
        with self.autocast():
            return {"end": self.backbone.end(self.view(pixels))[:, :, 0].half()}

    @torch.no_grad()
    def known(self, rows: Sequence[int]) -> dict[str, Tensor]:
        count = self.rows.look.frames
        pixels = torch.cat([self.pixels(rows, part) for part in (slice(1), slice(-1, None))], 1)
        pixels = self.view(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])
        with self.autocast():
            both = [self.backbone.known_frames(pixels[:, : len(at)], at, count).latents for at in ((0,), (0, -1))]
        return {"known": torch.stack(both, 1).half().transpose(2, 3).contiguous()}

    @torch.no_grad()
    def image(self, rows: Sequence[int]) -> dict[str, Tensor]:
        pixels = self.pixels(rows, slice(FIRST_FRAMES))
        with self.autocast():
            tokens = self._tokens(self.view(pixels.flatten(0, 1)))
        return {"image": tokens.half().unflatten(0, pixels.shape[:2])}

    @torch.no_grad()
    def null_image(self, rows: Sequence[int]) -> dict[str, Tensor]:
        look = self.rows.look
        grey = torch.full((1, 3, look.height, look.width), 0.5, device=self.backbone.device)
        tokens = self.backbone.encode_none_and_image(self.view(grey))
        assert tokens is not None
        return {"null_image": tokens[:1].half()}

    @torch.no_grad()
    def text(self, chosen: list[str], choices: Mapping[str, Any]) -> dict[str, Tensor]:
        return {"text": self.backbone.encode_text(chosen, **choices).half()}

    def _tokens(self, pixels: Tensor) -> Tensor:
        tokens = self.backbone.encode_image(pixels)
        assert tokens is not None, "a backbone with an image encoder has tokens of it"
        return tokens

    def view(self, pixels: Tensor) -> Tensor:
        return (2 * pixels - 1).to(self.backbone.dtype, memory_format=torch.channels_last)

    def autocast(self):
        return torch.autocast(self.backbone.device.type, torch.bfloat16)
