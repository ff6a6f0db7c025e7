"""What this machine is and what it can run: facts for ``showme doctor``."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import __version__
from .errors import InputError
from .threads import usable_cores

_PACKAGES = ("torch", "diffusers", "transformers", "peft", "safetensors", "av", "pillow", "numpy")
# Peak memory in GB of one 16-frame video; the published figures of each checkpoint, fp16 or bf16 weights.
MODELS = {"embedded": 1.5, "dynamicrafter-256": 11.9, "dynamicrafter-512": 12.8, "dynamicrafter-1024": 18.3}
_GB = 10**9


def find_installed() -> dict[str, Any]:
    """Versions, extras and what is wrong with them (``missing``), JSON-ready; known without importing any of them."""
    _, extras, missing = check_packages()
    return {
        "showme": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "extras": extras,
        "missing": missing,
    }


def examine() -> dict[str, Any]:
    """Everything that ``showme doctor`` reports, JSON-ready; ``missing`` lists what to install and how."""
    devices = find_devices()
    embedded = check_embedded()
    worlds, missing = check_worlds()
    encoder = has_h264()
    if embedded != "verified":
        missing.append(embedded)
    if not encoder:
        missing.append("PyAV has no libx264, so no video can be written: pip install --force-reinstall av")
    faults, installed = check_packages()[0], find_installed()
    return installed | {
        "cores": usable_cores(),
        "memory_gb": round(total_memory() / _GB, 1),
        "free_disk_gb": round(shutil.disk_usage(Path.cwd()).free / _GB, 1),
        "devices": devices,
        "h264": encoder,
        "worlds": worlds,
        "embedded": embedded,
        "can_run": what_runs(devices, embedded == "verified", faults),
        "missing": installed["missing"] + missing,
    }


def find_devices() -> list[dict[str, Any]]:
    """The CPU and every GPU: name, memory in GB, whether bf16 is fast there."""
    import torch

    devices = [
        {
            "device": "cpu",
            "name": platform.processor() or platform.machine(),
            "memory_gb": round(total_memory() / _GB, 1),
            "bf16": bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()),
        }
    ]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices.append(
            {
                "device": f"cuda:{index}",
                "name": properties.name,
                "memory_gb": round(properties.total_memory / _GB, 1),
                "bf16": properties.major >= 8,
            }
        )
    if torch.backends.mps.is_available():
        devices.append({"device": "mps", "name": "Apple GPU", "memory_gb": devices[0]["memory_gb"], "bf16": False})
    return devices


def what_runs(devices: list[dict[str, Any]], embedded: bool, faults: Sequence[str] = ()) -> dict[str, str]:
    """Model -> where it runs and how, or why not: ``faults`` of the packages that all of them need."""
    if faults:
        return dict.fromkeys(MODELS, f"no: {faults[0]}")
    best = max(devices, key=lambda device: (device["device"] != "cpu", device["memory_gb"]))
    verdicts = {"embedded": f"yes, on {best['device']}" if embedded else "no: it is absent or damaged"}
    for name, need in list(MODELS.items())[1:]:
        if best["device"] == "cpu":
            # fp32 doubles the weights; minutes per step make it a last resort.
            fits = best["memory_gb"] >= 2 * need
            verdicts[name] = (
                f"in fp32 on the CPU, in hours (needs about {2 * need:g} GB)" if fits else _too_little(need)
            )
        elif best["memory_gb"] >= need:
            verdicts[name] = f"yes, on {best['device']} in {'bf16 or fp16' if best['bf16'] else 'fp16'} ({need:g} GB)"
        else:
            verdicts[name] = _too_little(need)
    return verdicts


def check_embedded() -> str:
    """``verified``, or the sentence that says what is wrong with the embedded model."""
    from .bundle import open_bundle

    try:
        open_bundle("embedded")
    except InputError as error:
        return str(error)
    return "verified"


def check_worlds() -> tuple[str, list[str]]:
    """Whether clips can be rendered: the OpenGL backend or ``missing``, and sentences on what to install."""
    from .worlds.gl import MujocoMissingError, OpenGLMissingError, load_mujoco

    try:
        load_mujoco()
    except (MujocoMissingError, OpenGLMissingError) as error:
        return "missing", [str(error)]
    return os.environ["MUJOCO_GL"], []


def check_packages() -> tuple[list[str], dict[str, str], list[str]]:
    """What is installed against what this package needs.

    Returns:
        What is wrong with the packages that every model needs, in words; extra -> ``installed`` or what is wrong with
        it; and sentences on what to mend. An extra that is absent was not asked for: that is no sentence.
    """
    from .installation import extras, find_conflicts, find_faults

    needed = find_faults()
    optional = {extra: find_faults(extra) for extra in extras()}
    broken = [fault for faults in optional.values() for fault in faults if not fault.absent]
    sentences = find_conflicts() + [f"{fault.words}: {fault.remedy}" for fault in needed + broken]
    states = {extra: faults[0].words if faults else "installed" for extra, faults in optional.items()}
    return [fault.words for fault in needed], states, list(dict.fromkeys(sentences))


def has_h264() -> bool:
    """Whether PyAV's ffmpeg can write H.264."""
    import av
    from av.codec.codec import UnknownCodecError

    try:
        av.codec.Codec("libx264", "w")
    except UnknownCodecError:
        return False
    return True


def total_memory() -> int:
    """Main memory in bytes; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _too_little(need: float) -> str:
    return f"no: it needs about {need:g} GB on a GPU"
