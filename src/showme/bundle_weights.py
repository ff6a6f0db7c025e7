"""The weights of a bundle: networks and adapters to and from safetensors, each key exactly in its place."""

from __future__ import annotations

import contextlib
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers.utils.logging as diffusers_logging
import torch
import transformers.utils.logging as transformers_logging
from safetensors import SafetensorError, safe_open
from torch import nn

from .devices import choose_device
from .errors import InputError, first_line
from .manifest import read_manifest
from .methods.showme import ShowMePipeline
from .methods.showme.adapters import check_keys, load_adapter
from .methods.showme.tasks import COMPONENT_FOLDERS

_LIBRARIES = ("diffusers", "transformers")


def write_pipeline(pipeline: ShowMePipeline, folder: Path, dtype: torch.dtype | None) -> None:
    """``save_pretrained`` in ``dtype`` (None: each weight's own), without traces of where the parts came from."""
    with _quiet():
        pipeline.save_pretrained(folder, dtype=dtype)
    for path in folder.rglob("*.json"):
        _forget_origin(path)


def read_pipeline(folder: Path, device: str | torch.device | None, dtype: torch.dtype | None) -> ShowMePipeline:
    """Networks, then adapters, then the move to ``device``; see :func:`showme.bundle.load_pipeline`."""
    device = choose_device(device)
    if dtype is None:
        dtype = torch.float32 if device.type == "cpu" else stored_dtype(folder / "unet")
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    with _quiet():
        components, settings = {}, {}
        for name, value in index.items():
            if isinstance(value, list):
                components[name] = _read_component(_component_class(folder, name, value), folder / name, dtype)
            elif not name.startswith("_"):
                settings[name] = value
        pipeline = _assemble(folder, components, settings)
        for name in sorted(read_manifest(folder)):
            for component, subfolder in COMPONENT_FOLDERS.items():
                if (folder / name).parent == folder / subfolder:
                    load_adapter(getattr(pipeline, component), folder / name)
    for component in components.values():
        if isinstance(component, nn.Module):
            # Channels-last kernels suit the convolutions; a weight that is laid out otherwise is copied at every call,
            # which takes a third of an image step on a CPU.
            component.requires_grad_(False).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return pipeline.to(device)


def stored_dtype(folder: Path) -> torch.dtype:
    """Precision of a network's weights on disk, read from the first tensor of its first safetensors file."""
    with safe_open(min(folder.glob("*.safetensors")), "pt") as file:
        return file.get_tensor(next(iter(file.keys()))).dtype


def _forget_origin(path: Path) -> None:
    """Drop ``_name_or_path``: where a component once came from is a path of one machine."""
    config = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(config, dict) and config.pop("_name_or_path", None) is not None:
        path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _assemble(folder: Path, components: dict[str, Any], settings: dict[str, Any]) -> ShowMePipeline:
    try:
        return ShowMePipeline(**components, **settings)
    except TypeError as error:
        raise InputError(
            f"{folder / 'model_index.json'} does not describe a ShowMe pipeline ({first_line(error)}): update "
            "showme-video."
        ) from error


def _component_class(folder: Path, name: str, value: list) -> Any:
    """The class that ``model_index.json`` names for a component, of diffusers, transformers or showme alone."""
    library, class_name = map(str, value)
    if library not in _LIBRARIES and library.split(".")[0] != "showme":
        raise InputError(f"{folder / 'model_index.json'}: {name} comes from {library!r}, which is never loaded.")
    try:
        return getattr(importlib.import_module(library), class_name)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"{folder / 'model_index.json'}: {name} needs {library}.{class_name}, which this installation does not "
            "have: update showme-video."
        ) from error


def _read_component(cls: Any, folder: Path, dtype: torch.dtype) -> Any:
    """``from_pretrained`` from text and safetensors only; of a network, every weight finds its place."""
    settings: dict[str, Any] = {"local_files_only": True}
    if issubclass(cls, nn.Module):
        settings |= {"torch_dtype": dtype, "use_safetensors": True, "output_loading_info": True}
    try:
        component = cls.from_pretrained(folder, **settings)
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise InputError(f"{folder} cannot be read ({first_line(error)}): save the model again.") from error
    if not issubclass(cls, nn.Module):
        return component
    network, report = component
    check_keys(folder, report["missing_keys"], report["unexpected_keys"])
    return network


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars of half a second."""
    bars = diffusers_logging.is_progress_bar_enabled(), transformers_logging.is_progress_bar_enabled()
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if bars[0]:
            diffusers_logging.enable_progress_bar()
        if bars[1]:
            transformers_logging.enable_progress_bar()
