"""Choosing an offscreen OpenGL backend, and saying plainly when there is none."""

import contextlib
import ctypes.util
import importlib
import os
from pathlib import Path
from types import ModuleType

_OSMESA_SENTENCE = "No offscreen OpenGL library was found: install OSMesa with `apt-get install libosmesa6`."
_MUJOCO_SENTENCE = 'The mujoco package is missing: pip install "showme[worlds]".'


class OpenGLMissingError(RuntimeError):
    """Raised when no offscreen OpenGL library can be loaded."""


class MujocoMissingError(RuntimeError):
    """Raised when the mujoco package is not installed."""


def has_nvidia_device() -> bool:
    """True where an NVIDIA GPU is visible to this process."""
    return Path("/dev/nvidiactl").exists()


def egl_works() -> bool:
    """True where a GPU is present and its EGL library can be found."""
    return has_nvidia_device() and ctypes.util.find_library("EGL") is not None


def osmesa_works() -> bool:
    """True where the OSMesa software rasteriser can be found."""
    return ctypes.util.find_library("OSMesa") is not None


def backends() -> list[str]:
    """The backends to try, best first: a GPU's EGL, then OSMesa; a user's ``MUJOCO_GL`` wins.

    Raises:
        OpenGLMissingError: neither library is installed.
    """
    asked = os.environ.get("MUJOCO_GL", "").strip().lower()
    if asked:
        return [asked]
    found = ["egl"] * egl_works() + ["osmesa"] * osmesa_works()
    if not found:
        raise OpenGLMissingError(_OSMESA_SENTENCE)
    return found


def load_mujoco() -> ModuleType:
    """Import mujoco with an offscreen backend chosen first, and return the module.

    Raises:
        OpenGLMissingError: no offscreen OpenGL library can be loaded.
        MujocoMissingError: the mujoco package is not installed.
    """
    failure: Exception | None = None
    for backend in backends():
        os.environ["MUJOCO_GL"] = backend
        if backend == "osmesa":
            _load_triton_first()
        try:
            return importlib.import_module("mujoco")
        except ModuleNotFoundError as error:
            if error.name == "mujoco":
                raise MujocoMissingError(_MUJOCO_SENTENCE) from error
            raise
        except (ImportError, OSError, AttributeError) as error:
            # PyOpenGL and mujoco report an absent library as any of these three.
            failure = error
    raise OpenGLMissingError(_OSMESA_SENTENCE) from failure


def _load_triton_first() -> None:
    """Import triton, torch's compiler, where it is installed.

    It and OSMesa bring an LLVM each. In this order both work; the other way round, as when somebody renders a scene and
    then loads a model, triton's import ends the process with a segmentation fault.
    """
    with contextlib.suppress(ImportError):
        import triton  # noqa: F401
