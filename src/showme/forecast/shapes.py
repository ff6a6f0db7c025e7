"""What is known of a model without its weights: which networks it has, and the settings that give their shapes."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bundle import BundleFiles, BundleInfo, open_bundle
from ..errors import InputError
from ..pipeline_files import component_class, read_index

_PUBLISHED = Path(__file__).parent / "published"
# Frames per second and frames are of no account for shapes: recipes say how many are trained on.
_FPS, _FRAMES = 8.0, 16


@dataclass(frozen=True)
class Component:
    """One part of a pipeline. cls: its class. config: its settings, of which its shapes follow."""

    cls: Any
    config: dict[str, Any]


@dataclass(frozen=True)
class ModelShapes:
    """A model without its weights.

    Attributes:
        info: its description.
        settings: of its pipeline.
        components: by name, in the pipeline's order.
        adapters: files of each component's adapters, which are small and are read.
    """

    info: BundleInfo
    settings: dict[str, Any]
    components: dict[str, Component]
    adapters: dict[str, list[Path]]


def published_names() -> list[str]:
    """Models whose shapes are known without a download."""
    return sorted(path.stem for path in _PUBLISHED.glob("*.json"))


def read_published(name: str, size: tuple[int, int] | None = None) -> ModelShapes:
    """The shapes of a published model.

    Args:
        name: of :func:`published_names`.
        size: (height, width) of its pictures; None: as it is published.

    Raises:
        InputError: no such name.
    """
    if name not in published_names():
        raise InputError(f"--shapes {name}: choose {', '.join(published_names())}.")
    facts = json.loads((_PUBLISHED / f"{name}.json").read_text(encoding="utf-8"))
    height, width = size or (facts["height"], facts["width"])
    info = BundleInfo(name=name, backbone=facts["backbone"], height=height, width=width, num_frames=_FRAMES, fps=_FPS)
    components = {
        part: Component(getattr(importlib.import_module(each["class"][0]), each["class"][1]), each["config"])
        for part, each in facts["components"].items()
    }
    return ModelShapes(info, facts["settings"], components, {})


def read_model(name: str, size: tuple[int, int] | None = None) -> ModelShapes:
    """The shapes of a model on this disk; of its weights nothing but adapters is read, and they need not be there.

    Args:
        name: as recipes name models.
        size: (height, width) of its pictures; None: as it says.

    Raises:
        InputError: it is not here; names the published models that ``--shapes`` knows.
    """
    try:
        files = open_bundle(name, verify=False)
    except InputError as error:
        raise InputError(
            f"model: {str(error).rstrip('.')}; without it, give the shapes of a published one: --shapes "
            f"{', '.join(published_names())}."
        ) from error
    index = read_index(files)
    parts = {part: value for part, value in index.items() if isinstance(value, list) and value[0] is not None}
    settings = {key: value for key, value in index.items() if not isinstance(value, list) and not key.startswith("_")}
    info = files.info if size is None else files.info.model_copy(update={"height": size[0], "width": size[1]})
    components = {part: _component(files, part, value) for part, value in parts.items()}
    return ModelShapes(info, settings, components, {part: files.adapters(part) for part in parts})


def _component(files: BundleFiles, part: str, value: list) -> Component:
    """Raises:
    InputError: its settings cannot be read.
    """
    folder = files.path(part)
    names = ("config.json", "scheduler_config.json", "preprocessor_config.json", "tokenizer_config.json")
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    if found is None:
        raise InputError(f"{folder} has no config.json: fetch the model's settings, its weights may stay away.")
    try:
        return Component(component_class(files, part, value), json.loads(found.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(f"{found} cannot be read ({error}): fetch it again.") from error
