"""Clips that a model makes on the fly, one file each, so that an interrupted evaluation goes on where it stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ..bundle import BundleFiles, open_bundle
from ..data.cache.claims import claimed
from ..data.sources.record import Record
from ..errors import InputError, first_line
from ..fingerprint import digest_of
from ..instruction import prompt_for
from ..long_text import LongInstructions, truncation_reported
from ..methods import find_method
from ..pipelines import load_pipeline
from ..staged_files import staged
from .pairs import Candidate, ReferenceRows, scaled
from .request import Region
from .true_regions import TrueRegions

_WAIT_SECONDS = 0.5
_TOGETHER = 4
# Called as progress(part, done, all, bytes).
Progress = Callable[[str, int, int, int], None]


class Model:
    """A model that generates and whose autoencoder is the codec of the baselines.

    Args:
        name: ``embedded``, a bundle's folder or a hub id.
        device: as `torch.device` takes it; None: a GPU when there is one.
        long_instructions: what becomes of those that are longer than the model reads, ``cut``, ``chunk`` or ``refuse``;
            None: as the model does.
    """

    def __init__(self, name: str, device: str | None, long_instructions: LongInstructions | None = None):
        files = open_bundle(name)
        self.files, self.info = files, files.info
        self.method = find_method(files.info.method)
        self.tasks = self.method.tasks
        self.weights = _weights_digest(files)
        self.pipeline: Any = load_pipeline(files, device, torch.float32)
        self.pipeline.set_progress_bar_config(disable=True)
        if long_instructions is not None:
            self.pipeline.register_to_config(long_instructions=long_instructions)

    @property
    def references(self) -> int:
        """How many first frames it is shown at most."""
        return self.pipeline.config.get("references", 1)

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides what it makes, the seed and the input aside."""
        config = {
            name: value
            for name, value in sorted(self.pipeline.config.items())
            # Components are pairs of a package and a class: their weights stand for them.
            if not name.startswith("_") and isinstance(value, str | int | float | bool | None)
        }
        return config | {"weights": self.weights, "scheduler": type(self.pipeline.scheduler).__name__}

    @torch.no_grad()
    def codec(self, frames: np.ndarray) -> np.ndarray:
        """uint8 (T, H, W, 3) -> the same through the autoencoder, decoded a few frames at a time."""
        backbone = self.pipeline.backbone
        pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).to(backbone.device, backbone.dtype)
        decoded = backbone.decode(backbone.encode(pixels[None] / 127.5 - 1), _TOGETHER)[0].clamp(0, 1)
        return np.rint(decoded.permute(0, 2, 3, 1).float().cpu().numpy() * 255).astype(np.uint8)


class Generated(Candidate):
    """A model's answers to the first frames and instructions of a protocol's clips.

    Args:
        model: that generates.
        reference: the true clips.
        folder: where the answers are kept; those of another model, protocol or seed have another place in it.
        label: in tables; None: the model's name.
        region: given to a model that takes one: ``own``: none is given; ``truth``: the true clip's; ``white``:
            everything.
    """

    def __init__(
        self,
        model: Model,
        reference: ReferenceRows,
        folder: Path,
        label: str | None = None,
        region: Region = "own",
    ):
        protocol = reference.protocol
        size = (model.info.height, model.info.width)
        if abs(size[1] * protocol.height - size[0] * protocol.width) > max(protocol.height, protocol.width):
            raise InputError(
                f"The model {model.info.name} makes pictures of {size[1]}x{size[0]} pixels, and the protocol "
                f"{protocol.name} compares {protocol.width}x{protocol.height}: set width and height to its shape."
            )
        known = model.references
        if protocol.condition_frames not in (1, known):
            shown = "one frame" if known == 1 else f"one frame, or {known}"
            raise InputError(
                f"{model.info.name} is shown {shown}, and the protocol {protocol.name} speaks of "
                f"{protocol.condition_frames}: set protocol.condition_frames={known}, or give clips of another model."
            )
        if protocol.task not in model.tasks:
            raise InputError(
                f"{model.info.name} makes no {protocol.task}, and the protocol {protocol.name} judges such: choose "
                f"another protocol, or a model that does."
            )
        self.name = label or model.info.name
        self.model, self.reference, self.protocol = model, reference, protocol
        fields = protocol.model_dump(include={"frames", "sampling", "height", "width", "fit", "seed"})
        self.fingerprint: dict[str, Any] = {"model": model.settings, "protocol": fields}
        self.region = region
        if region != "own":
            model.method.check_region(model.files)
            self.true_regions = TrueRegions(reference) if region == "truth" else None
            self.fingerprint["region"] = self.true_regions.fingerprint if self.true_regions else region
        self.folder = folder / f"generated-{digest_of(self.fingerprint)[:12]}"

    def make_all(self, progress: Progress | None = None) -> None:
        """Generate what is missing; several processes on one folder share the work.

        Raises:
            InputError: the folder cannot be written to, or an instruction is too long and the model refuses such.
        """
        records = self.reference.records
        places = [f"clip {record.id!r}" for record in records]
        self.model.pipeline.backbone.check_lengths([self._prompt(record) for record in records], places)
        count = len(self.reference.records)
        waiting, sizes = list(range(count)), dict.fromkeys(range(count), 0)
        while waiting:
            later = []
            for number in waiting:
                path = self.path(number)
                if not _is_whole(path) and not self._make(number, path):
                    later.append(number)
                    continue
                sizes[number] = path.stat().st_size
                if progress is not None:
                    progress("generated", sum(size > 0 for size in sizes.values()), count, sum(sizes.values()))
            waiting = later
            if waiting:
                time.sleep(_WAIT_SECONDS)

    def path(self, number: int) -> Path:
        """Where an answer lies: a safetensors file with ``frames`` and ``picture``, as the model made them."""
        return self.folder / f"{self.reference.identities[number][:24]}-{self.protocol.seed + number}.safetensors"

    def frames(self, number: int, truth: np.ndarray) -> np.ndarray:
        name = "picture" if self.protocol.task == "image" else "frames"
        return self._fitted(self._tensor(number, name))

    def picture(self, number: int) -> np.ndarray | None:
        return self._fitted(self._tensor(number, "picture"))[0] if "image" in self.model.tasks else None

    def identity(self, number: int) -> str:
        return digest_of([self.fingerprint, self.protocol.seed + number])

    def _make(self, number: int, path: Path) -> bool:
        """Generate one answer; False where another process is at it."""
        try:
            with claimed(self.folder / "claims" / path.stem) as claim:
                if claim is None:
                    return False
                if not _is_whole(path):
                    arrays = self._answer(number)
                    with staged(path) as neighbour:
                        save_file(arrays, neighbour, {"fingerprint": json.dumps(self.fingerprint)})
                return True
        # What safetensors raises at a full disk is its own.
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"{path.parent} cannot be written to ({first_line(error)}): make room, run again."
            ) from error

    def _answer(self, number: int) -> dict[str, np.ndarray]:
        """``picture`` uint8 (1, H, W, 3), where the model makes such, and ``frames`` uint8 (T, H, W, 3), where the
        protocol judges clips."""
        record, protocol = self.reference.records[number], self.protocol
        shown = [Image.fromarray(frame) for frame in self.reference.original(number)[: protocol.condition_frames]]
        video = protocol.task == "video"
        given = {} if self.region == "own" else {"region": self._region(number)}
        with truncation_reported():
            out = self.model.pipeline(
                shown if len(shown) > 1 else shown[0],
                self._prompt(record),
                [task for task in self.model.tasks if task == "image" or video],
                num_frames=protocol.frames if video else None,
                seed=protocol.seed + number,
                **given,
            )
        arrays = {} if out.image is None else {"picture": np.asarray(out.image)[None]}
        if video:
            arrays["frames"] = np.stack([np.asarray(frame) for frame in out.frames])
        return arrays

    def _region(self, number: int) -> Image.Image | str:
        return self.true_regions(number) if self.true_regions else "white"

    def _prompt(self, record: Record) -> str:
        """What the model is asked."""
        return prompt_for(record.instruction, self.model.info.vocabulary, self.model.info.synonyms)

    def _tensor(self, number: int, name: str) -> np.ndarray:
        path = self.path(number)
        try:
            with safe_open(str(path), "numpy") as file:
                return file.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path} is damaged: remove it and run again.") from error

    def _fitted(self, frames: np.ndarray) -> np.ndarray:
        return np.stack([scaled(frame, self.protocol.height, self.protocol.width) for frame in frames])


def _is_whole(path: Path) -> bool:
    try:
        with safe_open(str(path), "numpy") as file:
            return bool(file.keys())
    except (SafetensorError, OSError):
        return False


def _weights_digest(files: BundleFiles) -> str:
    """SHA-256 over the digests of the weights' files: the same whatever the bundle's card says."""
    digests = files.weight_hashes()
    return digest_of([f"{name} {digests[name]}" for name in sorted(digests)])
