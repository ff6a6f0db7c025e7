"""Whether the named object of the tabletop world arrives where it should."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...errors import InputError
from ...worlds.tabletop import Scene
from ...worlds.tabletop.camera import SIZE
from ...worlds.tabletop.locator import locate
from .base import ClipMetric, Pairs
from .estimators import bytes_of

NEAR_PIXELS = 8.0

# x and y of the visible part's middle, in pixels; None for an object that is hidden at the end.
Place = Sequence[float] | None


class ObjectNear(ClipMetric):
    """1 where the named object lies within 8 pixels of its true place in the clip's last frame, else 0.

    The object is found by its colour (``showme.worlds.tabletop.locator``), with the true first frame for its
    surroundings; its true place is the middle of what is visible of it in the true last frame. 0 where it is not found,
    or is hidden in the truth.

    Args:
        scenes: of each clip, by its id.
        places: true places, by the clip's id.

    Raises:
        InputError: an id without a scene or a place, or frames that are not 128x128.
    """

    better = "higher"

    def __init__(self, scenes: Mapping[str, Scene], places: Mapping[str, Place], **kwargs: Any):
        super().__init__(**kwargs)
        self.scenes, self.places = scenes, places

    @classmethod
    def from_rendered(cls, folder: str | Path, **kwargs: Any) -> ObjectNear:
        """With the scenes and places of the clips that ``showme data render`` wrote, with labels, into a folder.

        Raises:
            InputError: a folder without such clips, or one of them damaged or without labels.
        """
        scenes, places = rendered_scenes(folder)
        return cls(scenes, places, **kwargs)

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"near_pixels": NEAR_PIXELS}

    def score(self, pairs: Pairs) -> Tensor:
        values = []
        for name, first, last in ends_of(pairs, self.scenes, self.places):
            values.append(is_near(locate(last, self.scenes[name], first), self.places[name]))
        return torch.tensor(values, dtype=torch.float64)


def ends_of(pairs: Pairs, *known: Container[str]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Of each clip its id, its true first and its generated last frame, uint8 (128, 128, 3).

    Args:
        pairs: of tabletop clips.
        known: each must hold every id.

    Raises:
        InputError: frames that are not 128x128, or an id that is not known.
    """
    height, width = pairs.generated.shape[-2:]
    if (height, width) != (SIZE, SIZE):
        raise InputError(f"Objects are located in frames of {SIZE}x{SIZE}, not {width}x{height}: keep that size.")
    first = pairs.reference[:, 0] if pairs.first is None else pairs.first
    for name, generated, true in zip(pairs.ids, pairs.generated, first, strict=True):
        if not all(name in each for each in known):
            raise InputError(f"There is no scene of the clip {name!r}: name the folder that holds its true clip.")
        yield name, bytes_of(true), bytes_of(generated[-1])


def is_near(found: Place, true: Place) -> bool:
    """Whether two places are at most 8 pixels apart; a missing one is near nothing."""
    return found is not None and true is not None and float(np.hypot(*np.subtract(found, true))) <= NEAR_PIXELS


def rendered_scenes(folder: str | Path) -> tuple[dict[str, Scene], dict[str, Place]]:
    """Scenes and true places of rendered clips, by their ids; pixels are not read.

    Raises:
        InputError: as :meth:`ObjectNear.from_rendered`.
    """
    scenes: dict[str, Scene] = {}
    places: dict[str, Place] = {}
    for path in sorted(Path(folder).glob("*.safetensors")):
        try:
            with safe_open(path, "numpy") as file:
                notes = file.metadata() or {}
            scenes[path.stem] = Scene.from_dict(json.loads(notes["scene"]))
            places[path.stem] = json.loads(notes["final_state"])["visible_centroid"]
        except (SafetensorError, OSError, LookupError, AttributeError, TypeError, ValueError, RecursionError) as error:
            raise InputError(
                f"{path} is no clip of the tabletop world with labels: render it with `showme data render`."
            ) from error
    if not scenes:
        raise InputError(f"{folder} holds no clips of the tabletop world: make them with `showme data render`.")
    return scenes, places
