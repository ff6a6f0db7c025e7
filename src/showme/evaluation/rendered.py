"""What the files of rendered clips say of them: the scene, where its object ends, where the hand is."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ..data.clips import read_native
from ..data.media import Rendered
from ..data.sources.record import Record
from ..errors import ClipError, InputError
from ..worlds.tabletop import Scene
from .pairs import ReferenceRows


@dataclass(frozen=True, eq=False)
class RenderedHand:
    """A hand as the world knows it. joints: (21, 3), x and y in pixels, z 0."""

    joints: np.ndarray
    handedness: str = "right"
    handedness_score: float = 1.0
    presence: float | None = None


class RenderedHands:
    """A hand estimator that finds the true hands of a protocol's rendered clips, by their pixels.

    Args:
        reference: the true clips, all of them rendered.
    """

    def __init__(self, reference: ReferenceRows):
        self.reference = reference
        self.lock = threading.Lock()
        self.hands: dict[bytes, list[list[Any]]] = {}

    def __call__(self, frames: np.ndarray) -> list[list[Any]]:
        """uint8 (T, H, W, 3), a true clip as the protocol compares it -> each frame's hands.

        Raises:
            InputError: a clip that is none of them.
        """
        with self.lock:
            if not self.hands:
                for number in range(len(self.reference.records)):
                    self.hands[_key(self.reference.compared(number))] = self._of_clip(number)
        found = self.hands.get(_key(frames))
        if found is None:
            raise InputError("The world knows the hands of its own clips alone: name an estimator that finds them.")
        return found

    def _of_clip(self, number: int) -> list[list[Any]]:
        record, protocol = self.reference.records[number], self.reference.protocol
        _, sample, window = read_native(record, self.reference.look)
        assert isinstance(record.media, Rendered)
        joints = record.media.joints()
        assert joints is not None
        joints = joints[sample.main, 0]
        points = np.concatenate([window.points(joints), np.zeros((*joints.shape[:-1], 1), joints.dtype)], axis=-1)
        shown = points[protocol.condition_frames :] if protocol.shown_frames == "left_out" else points
        return [[RenderedHand(each)] for each in shown]


def is_rendered(records: Sequence[Record]) -> bool:
    """Whether all clips are of our own worlds, with joints."""
    return all(isinstance(record.media, Rendered) and _holds_joints(record.media) for record in records)


def hands_of(records: Sequence[Record]) -> dict[str, np.ndarray]:
    """The hand in the last frame, bool (H, W), of rendered clips, by id.

    Raises:
        InputError: a clip that was rendered without labels.
    """
    hands = {}
    for record in records:
        try:
            with safe_open(str(record.media.path), "numpy") as file:
                hands[record.id] = file.get_tensor("hand_masks")[-1]
        except (SafetensorError, OSError, LookupError) as error:
            raise _without_labels(record) from error
    return hands


def scenes_of(records: Sequence[Record]) -> tuple[dict[str, Scene], dict[str, list[float] | None]]:
    """Scenes, and the places where their objects end, of rendered clips, by id.

    Raises:
        InputError: a clip that is none of the tabletop world's, or was rendered without labels.
    """
    scenes: dict[str, Scene] = {}
    places: dict[str, list[float] | None] = {}
    for record in records:
        try:
            with safe_open(str(record.media.path), "numpy") as file:
                notes = file.metadata() or {}
            scenes[record.id] = Scene.from_dict(json.loads(notes["scene"]))
            places[record.id] = json.loads(notes["final_state"])["visible_centroid"]
        except (SafetensorError, OSError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise _without_labels(record) from error
    return scenes, places


def _without_labels(record: Record) -> InputError:
    return InputError(
        f"{record.media.path} is no clip of the tabletop world with labels: render it with `showme data render`, or "
        "leave object_within_8_pixels and named_object_moved out (protocol.metrics=[...])."
    )


def _holds_joints(media: Rendered) -> bool:
    try:
        return media.joints() is not None
    except ClipError:
        return False


def _key(frames: np.ndarray) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(frames).tobytes()).digest()
