"""What an evaluation is asked: which clips, against which, by which protocol, with which networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field

from ..config import Settings, parse_config
from ..data.sources import KINDS, open_source
from ..data.sources.base import is_there
from ..data.sources.folder import INDEX
from ..data.sources.record import Record
from ..errors import InputError
from ..long_text import LongInstructions
from .clip_sets import ClipSet, open_clip_set, paired
from .protocol import Protocol

# What a model is given that takes a region of motion: its own, the true clip's, or everything.
Region = Literal["own", "truth", "white"]

LISTS = (".jsonl", ".csv", ".yaml", ".yml")


class Weights(Settings):
    """Where pretrained networks are, when not in their usual place; folders take the place of hub names."""

    i3d: Path | None = Field(None, description="I3D of Kinetics-400, i3d_pretrained_400.pt or the same as safetensors")
    inception: Path | None = Field(None, description="FID's Inception, pt_inception-2015-12-05-6726825d.pth")
    clip: str | None = Field(None, description="folder or hub name of the protocol's CLIP")
    dino: str | None = Field(None, description="folder or hub name of the protocol's DINOv2")
    egovlp: Path | None = Field(None, description="EgoVLP's checkpoint, egovlp.pth or epic_mir_plus.pth")
    egovlp_tokenizer: str = Field("distilbert-base-uncased", description="folder or hub name of its tokenizer")
    viclip: Path | None = Field(None, description="ViCLIP's checkpoint, ViClip-InternVid-10M-FLT.pth")
    viclip_tokenizer: str = Field("openai/clip-vit-large-patch14", description="folder or hub name of its tokenizer")
    blip_itm: str = Field("Salesforce/blip-itm-base-coco", description="folder or hub name")
    blip_caption_base: str = Field("Salesforce/blip-image-captioning-base", description="folder or hub name")
    blip_caption_large: str = Field("Salesforce/blip-image-captioning-large", description="folder or hub name")
    vqa: str | None = Field(None, description="folder or hub name of the protocol's model for VQAScore")
    hands: Path | None = Field(None, description="hand_landmarker.task; null: fetched once")
    raft: Path | None = Field(None, description="state dict of torchvision's raft_large; null: fetched once")


@dataclass(frozen=True)
class Request:
    """An evaluation.

    reference: folder or list of true clips, a YAML of a source, or a source's kind. protocol: how. out: folder of the
    results. generated: folder or list of clips; None: ``model`` makes them. model: ``embedded``, a bundle's folder or a
    hub id. reference_fields: ``field=value`` of the source. codec: the model whose autoencoder the upper bound goes
    through; None: ``model``. training: the clips of the training, for the nearest of them. name: of the model, in
    tables. cache: folder of what was computed of each clip; None: in ``out``. device: None: a GPU when there is one.
    long_instructions: what becomes of those that are longer than ``model`` reads, ``cut``, ``chunk`` or ``refuse``;
    None: as the model does. region: what ``model`` is given where it takes a region.
    """

    reference: str
    protocol: Protocol
    out: Path
    generated: Path | None = None
    model: str | None = None
    reference_fields: Sequence[str] = ()
    codec: str | None = None
    training: str | None = None
    name: str | None = None
    weights: Weights = field(default_factory=Weights)
    cache: Path | None = None
    device: str | None = None
    long_instructions: LongInstructions | None = None
    region: Region = "own"


# Networks that nobody may fetch for others: their field, the metrics that look with them, and the published file.
_FILES = {
    "i3d": ({"fvd", "kvd"}, "i3d_pretrained_400.pt"),
    "egovlp": (
        {"egovlp", "egovlp_plus", "egovlp_to_text", "blip_caption_base", "blip_caption_large"},
        "egovlp.pth (Ego4D) or epic_mir_plus.pth (EPIC-KITCHENS)",
    ),
    "viclip": ({"viclip_to_text"}, "ViClip-InternVid-10M-FLT.pth"),
}


def weights_of(fields: Sequence[str]) -> Weights:
    """Weights from ``field=value`` each.

    Raises:
        InputError: a wrong field.
    """
    return parse_config({}, Weights, fields, "weights")


def records_of(place: str, fields: Sequence[str] = ()) -> list[Record]:
    """The clips of a source, or of a folder without a list, whose clips then have no instructions.

    Raises:
        InputError: no such place, wrong settings, or no clips.
    """
    path = Path(place)
    listed = place in KINDS or path.suffix.lower() in LISTS
    if listed or fields or any(is_there(path / name) for name in INDEX):
        return open_source(place, fields).records()
    clips = open_clip_set(path).clips
    return [Record(name, media, "", origin=f"{path}, {name}") for name, media in clips.items()]


@dataclass(frozen=True)
class FoundClips:
    """What an evaluation is about.

    known: all true clips, by id. given: the clips that are judged; None: a model makes them.
    """

    known: Mapping[str, Record]
    given: ClipSet | None


def find_clips(request: Request) -> FoundClips:
    """The clips of a request, whose ids pair as far as that is known before any is looked at.

    Raises:
        InputError: a place that holds no clips, or ids that do not pair.
    """
    known = {record.id: record for record in records_of(request.reference, request.reference_fields)}
    if request.generated is None:
        return FoundClips(known, None)
    given = open_clip_set(request.generated)
    # Which clips a protocol takes is only known once it was looked at them.
    part = request.protocol.samples is not None or request.protocol.motion_intensive is not None
    paired(given, {} if part else known, known)
    return FoundClips(known, given)


def check_request(request: Request) -> None:
    """What can be refused before anything is read.

    Raises:
        InputError: the first thing that cannot be.
    """
    if (request.generated is None) == (request.model is None):
        raise InputError("Give a folder of generated clips, or --model NAME to generate them: one of the two.")
    if request.generated is not None and request.long_instructions is not None:
        raise InputError("--long-instructions is for a model that is asked: give --model NAME, or leave it out.")
    if request.generated is not None and request.region != "own":
        raise InputError("--region is for a model that is asked: give --model NAME, or leave it out.")
    if request.generated is not None and request.out.resolve().is_relative_to(request.generated.resolve()):
        raise InputError(
            f"{request.out} lies in {request.generated}, where results would be taken for clips: choose another --out."
        )
    if request.out.exists() and not request.out.is_dir():
        raise InputError(f"{request.out} is a file: choose another --out.")
    if request.protocol.through_codec and not (request.codec or request.model):
        raise InputError(
            f"The protocol {request.protocol.name} compares with true frames that went through the model's "
            "autoencoder: name the model with --codec, or set through_codec=false."
        )
    _check_files(request)


def _check_files(request: Request) -> None:
    """Refuse metrics whose networks are not there, all at once."""
    asked, missing = set(request.protocol.metrics), []
    for field_, (metrics, file) in _FILES.items():
        path = getattr(request.weights, field_)
        if asked & metrics and path is None:
            missing.append(f"download {file} and name it as weights.{field_}=FILE")
        elif asked & metrics and not path.is_file():
            missing.append(f"weights.{field_}={path} is no file")
    if missing:
        raise InputError(
            f"The protocol asks for networks that are not given: {'; '.join(missing)}; or leave their metrics out "
            "(protocol.metrics=[...])."
        )
