"""The weights of a bundle: networks and adapters to and from safetensors, each key exactly in its place."""

from __future__ import annotations

import contextlib
import importlib
import json
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import diffusers.utils.logging as diffusers_logging
import torch
import transformers.utils.logging as transformers_logging
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from .errors import InputError
from .manifest import read_manifest
from .methods.showme import ShowMePipeline

LORA_CONFIG = "lora_config"
_LIBRARIES = ("diffusers", "transformers")


def write_pipeline(pipeline: ShowMePipeline, folder: Path, dtype: torch.dtype | None) -> None:
    """``save_pretrained`` with the adapters left out of the UNet and weights cast to ``dtype`` (None: as they are)."""
    networks = [component for component in pipeline.components.values() if isinstance(component, nn.Module)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        for network in networks:
            stack.callback(network.register_state_dict_post_hook(_bare_weights(dtype)).remove)
        pipeline.save_pretrained(folder)
    for path in folder.rglob("*.json"):
        _forget_origin(path)


def write_adapters(pipeline: ShowMePipeline, folder: Path, dtype: torch.dtype | None) -> None:
    """One safetensors file per adapter of the UNet; its LoraConfig stands in the header under ``lora_config``."""
    unet = pipeline.components["unet"]
    for name, config in getattr(unet, "peft_config", {}).items():
        folder.mkdir(exist_ok=True)
        state = {key: _cast(value, dtype).contiguous() for key, value in adapter_state(unet, name).items()}
        # A single entry: safetensors writes several in an order that changes from run to run.
        metadata = {LORA_CONFIG: json.dumps(_config_dict(config, state), sort_keys=True)}
        save_file(state, folder / f"{name}.safetensors", metadata)


def read_pipeline(
    folder: Path, adapters: Path, device: str | torch.device | None, dtype: torch.dtype | None
) -> ShowMePipeline:
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
            if (folder / name).parent == adapters:
                _read_adapter(pipeline.unet, folder / name)
    for component in components.values():
        if isinstance(component, nn.Module):
            component.requires_grad_(False).eval()
    return pipeline.to(device)


def choose_device(device: str | torch.device | None) -> torch.device:
    """The device asked for, or a GPU when there is one.

    Raises:
        InputError: a device that this machine does not have.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(device)
    present = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }.get(device.type, 0)
    if (device.index or 0) >= present:
        raise InputError(f"This machine has no device {str(device)!r}: `showme doctor` lists what it has.")
    return device


def stored_dtype(folder: Path) -> torch.dtype:
    """Precision of a network's weights on disk, read from the first tensor of its first safetensors file."""
    with safe_open(min(folder.glob("*.safetensors")), "pt") as file:
        return file.get_tensor(next(iter(file.keys()))).dtype


def adapter_state(unet: nn.Module, name: str) -> dict[str, Tensor]:
    """The tensors of one adapter, named as peft names them in files (without the adapter's name)."""
    return get_peft_model_state_dict(unet, adapter_name=name)


def _bare_weights(dtype: torch.dtype | None):
    """A state-dict hook: drops adapters, gives the layers beneath them back their own names, and casts."""

    def hook(module: nn.Module, state: dict[str, Tensor], prefix: str, metadata: dict) -> None:
        for key in list(state):
            value = state.pop(key)
            if ".lora_" not in key:
                state[key.replace(".base_layer.", ".")] = _cast(value, dtype)

    return hook


def _cast(value: Tensor, dtype: torch.dtype | None) -> Tensor:
    return value.to(dtype) if dtype is not None and value.is_floating_point() else value


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
            f"{folder / 'model_index.json'} does not describe a ShowMe pipeline ({_first_line(error)}): update showme."
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
            "have: update showme."
        ) from error


def _read_component(cls: Any, folder: Path, dtype: torch.dtype) -> Any:
    """``from_pretrained`` from text and safetensors only; of a network, every weight finds its place."""
    settings: dict[str, Any] = {"local_files_only": True}
    if issubclass(cls, nn.Module):
        settings |= {"torch_dtype": dtype, "use_safetensors": True, "output_loading_info": True}
    try:
        component = cls.from_pretrained(folder, **settings)
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise InputError(f"{folder} cannot be read ({_first_line(error)}): save the model again.") from error
    if not issubclass(cls, nn.Module):
        return component
    network, report = component
    _check_keys(folder, report["missing_keys"], report["unexpected_keys"])
    return network


def _read_adapter(unet: Any, path: Path) -> None:
    """Add the adapter in ``path`` to ``unet`` under the file's name."""
    name = path.stem
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    if LORA_CONFIG not in metadata:
        raise InputError(f"{path} has no {LORA_CONFIG} in its header: save the adapter with showme.bundle.")
    unet.add_adapter(LoraConfig(**json.loads(metadata[LORA_CONFIG])), name)
    expected = set(adapter_state(unet, name))
    _check_keys(path, expected - set(state), set(state) - expected)
    try:
        set_peft_model_state_dict(unet, state, adapter_name=name)
    except RuntimeError as error:
        raise InputError(f"{path} does not fit the network ({_first_line(error)}).") from error


def _check_keys(path: Path, missing: Iterable[str], unexpected: Iterable[str]) -> None:
    for what, keys in (("lacks", sorted(missing)), ("holds unknown", sorted(unexpected))):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise InputError(f"{path} does not fit its network: it {what} {', '.join(keys[:3])}{more}.")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _config_dict(config: LoraConfig, state: Iterable[str]) -> dict[str, Any]:
    """The settings that differ from peft's defaults, so that another version of peft can read them too.

    The target modules are named in full: peft shortens them to endings that are unique only in the network at hand.
    """
    defaults = LoraConfig().to_dict()
    settings = {key: value for key, value in config.to_dict().items() if value != defaults[key]}
    settings["target_modules"] = sorted({key.rsplit(".lora_", 1)[0] for key in state})
    return {key: sorted(value) if isinstance(value, set) else value for key, value in settings.items()}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars of half a second, and no warning that a second adapter is a second adapter."""
    bars = diffusers_logging.is_progress_bar_enabled(), transformers_logging.is_progress_bar_enabled()
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Already found a `peft_config`")
            yield
    finally:
        if bars[0]:
            diffusers_logging.enable_progress_bar()
        if bars[1]:
            transformers_logging.enable_progress_bar()
