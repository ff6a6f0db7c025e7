"""The files of a pipeline: networks and adapters to and from safetensors, each key exactly in its place."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import diffusers.utils.logging as diffusers_logging
import torch
import transformers.utils.logging as transformers_logging
from safetensors import SafetensorError, safe_open
from torch import nn

from .backbones.lora import check_keys, load_adapter
from .backbones.waiting import wait
from .bundle import DENOISERS, EXPERTS, INDEX, BundleFiles
from .devices import choose_device
from .errors import InputError, first_line
from .plug_ins import trusted_packages
from .quantization import Base, dtype_of_base, packing

_LIBRARIES = ("diffusers", "transformers")


def write_pipeline(pipeline: Any, folder: Path, dtype: torch.dtype | None) -> None:
    """``save_pretrained`` in ``dtype`` (None: each weight's own), without traces of where the parts came from."""
    with _quiet():
        pipeline.save_pretrained(folder, dtype=dtype)
    for path in folder.rglob("*.json"):
        _forget_origin(path)


def read_pipeline(
    cls: Any,
    files: BundleFiles,
    device: str | torch.device | None,
    dtype: torch.dtype | None,
    own: bool = True,
    base: Base | None = None,
) -> Any:
    """Networks, then adapters, then the move to ``device``; see :func:`showme.pipelines.load_pipeline`.

    Args:
        cls: of the pipeline.
        files: of the bundle.
        device, dtype: as there.
        own: whether the files are those of this class; of another one's, settings that it does not know are left out.
        base: what becomes of frozen weights, and the denoiser stays in main memory; None: they are in ``dtype``, and
            all goes to ``device``.
    """
    device = choose_device(device)
    index = read_index(files)
    # What a model does without, such as an image encoder, stands there as two nulls.
    parts = {name: value for name, value in index.items() if isinstance(value, list) and value[0] is not None}
    if base is not None:
        dtype = dtype_of_base(base.precision)
    elif dtype is None:
        dtype = torch.float32 if device.type == "cpu" else stored_dtype(files.path(denoiser_of(parts)))
    settings = {
        name: value for name, value in index.items() if not isinstance(value, list) and not name.startswith("_")
    }
    if not own:
        settings = {name: value for name, value in settings.items() if name in inspect.signature(cls).parameters}
    with _quiet():
        components = {
            name: _read_component(files, name, value, dtype, device, base if name in EXPERTS else None)
            for name, value in parts.items()
        }
        pipeline = _assemble(cls, files, components, settings)
        for component in components:
            for path in files.adapters(component):
                load_adapter(getattr(pipeline, component), path)
    for component in components.values():
        if isinstance(component, nn.Module):
            _lay_out(component.requires_grad_(False).eval())
    return pipeline.to(device) if base is None else _placed(pipeline, device, base)


def _placed(pipeline: Any, device: torch.device, base: Base) -> Any:
    """All on its device but for the denoiser, which training needs and the cache, most times, does not: it is put there
    when training begins, and until then the encoders have the room. Where blocks wait, the rest of it is no matter."""
    networks = {name: each for name, each in pipeline.components.items() if isinstance(each, nn.Module)}
    for name, network in networks.items():
        if name not in EXPERTS:
            network.to(device)
        elif base.waits:
            wait(network, device, base.names[1])
    return pipeline


def _lay_out(network: nn.Module) -> None:
    """Weights of convolutions over pictures channels-last: laid out otherwise they are copied at every call, which
    takes a third of an image step on a CPU."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.to(memory_format=torch.channels_last)


def denoiser_of(components: Iterable[str]) -> str:
    """The component that removes the noise, by its name."""
    return next((name for name in components if name in DENOISERS), "")


def stored_dtype(folder: Path) -> torch.dtype:
    """Precision of a network's weights on disk, read from the first tensor of its first safetensors file."""
    with safe_open(min(folder.glob("*.safetensors")), "pt") as file:
        return file.get_tensor(next(iter(file.keys()))).dtype


def _forget_origin(path: Path) -> None:
    """Drop ``_name_or_path``: where a component once came from is a path of one machine."""
    config = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(config, dict) and config.pop("_name_or_path", None) is not None:
        path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _assemble(cls: Any, files: BundleFiles, components: dict[str, Any], settings: dict[str, Any]) -> Any:
    try:
        return cls(**components, **settings)
    except TypeError as error:
        raise InputError(
            f"{files.info.name} cannot be a {cls.__name__}: its components are others ({first_line(error)}). Choose a "
            "model or a method that go together, or update showme-video."
        ) from error


def read_index(files: BundleFiles) -> dict[str, Any]:
    """``model_index.json``.

    Raises:
        InputError: it is none.
    """
    path = files.path(INDEX)
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({first_line(error)}): save the model again.") from error
    pairs = [value for value in index.values() if isinstance(value, list)] if isinstance(index, dict) else [None]
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise InputError(f"{path} describes no pipeline: save the model again.")
    return index


def component_class(files: BundleFiles, name: str, value: list) -> Any:
    """The class that ``model_index.json`` names for a component: of diffusers, transformers, showme, or an installed
    plug-in alone."""
    library, class_name = map(str, value)
    if library not in _LIBRARIES and library.split(".")[0] not in ("showme", *trusted_packages()):
        raise InputError(f"{files.path(INDEX)}: {name} comes from {library!r}, which is never loaded.")
    try:
        found = getattr(importlib.import_module(library), class_name)
        if not (isinstance(found, type) and hasattr(found, "from_pretrained")):
            raise AttributeError(f"{library}.{class_name} is no component of a pipeline")
        return found
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"{files.path(INDEX)}: {name} needs {library}.{class_name}, which this installation does not "
            "have: update showme-video."
        ) from error


def _read_component(
    files: BundleFiles, name: str, value: list, dtype: torch.dtype, device: torch.device, base: Base | None
) -> Any:
    """``from_pretrained`` from text and safetensors only; of a network, every weight finds its place."""
    cls, folder = component_class(files, name, value), files.path(name)
    settings: dict[str, Any] = {"local_files_only": True}
    if issubclass(cls, nn.Module):
        settings |= {"torch_dtype": dtype, "use_safetensors": True, "output_loading_info": True}
    if base is not None and (packed := packing(base, device, getattr(cls, "unpacked", ()))) is not None:
        settings["quantization_config"] = packed
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
