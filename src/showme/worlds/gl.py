"""Choosing an offscreen OpenGL backend, and saying plainly when there is none."""

import contextlib
import ctypes.util
import importlib
import os
import traceback
from pathlib import Path
from types import ModuleType

from showme.errors import InputError
from showme.optional import explain_import, install_command

_OSMESA_SENTENCE = "No offscreen OpenGL library was found: install OSMesa with `apt-get install libosmesa6`."
# From 4 on MuJoCo is three packages with one folder; pip removes the older one's files, and with them theirs.
_UPGRADED = (
    "Rendering needs the package mujoco, which has lost files, as where pip upgrades it from 3 to 4: "
    f"pip uninstall -y mujoco mujoco-core mujoco-studio && {install_command('worlds')}."
)


class OpenGLMissingError(RuntimeError):
    """Raised when no offscreen OpenGL library can be loaded."""


class MujocoMissingError(InputError):
    """Raised when the mujoco package is not installed, or installed and broken."""


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
        MujocoMissingError: the mujoco package is not installed, or broken.
    """
    failure: Exception | None = None
    for backend in backends():
        os.environ["MUJOCO_GL"] = backend
        if backend == "osmesa":
            _load_triton_first()
        try:
            return importlib.import_module("mujoco")
        except Exception as error:
            if not _is_of_opengl(error):
                raise MujocoMissingError(_what_is_wrong(error)) from error
            failure = error
    raise OpenGLMissingError(_OSMESA_SENTENCE) from failure


def _is_of_opengl(error: Exception) -> bool:
    """Whether an import failed in PyOpenGL, which reports an absent library as errors of several kinds."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(str(frame.f_globals.get("__name__")).split(".")[0] == "OpenGL" for frame, _ in frames)


def _what_is_wrong(error: Exception) -> str:
    """The sentence on a mujoco that cannot be imported."""
    cause = error.__cause__ or error
    if isinstance(cause, ModuleNotFoundError) and str(cause.name).startswith("mujoco."):
        return _UPGRADED
    return f"Rendering needs {explain_import(error, 'mujoco', 'mujoco', install_command('worlds'))}."


def _load_triton_first() -> None:
    """Import triton, torch's compiler, where it is installed.

    It and OSMesa bring an LLVM each. In this order both work; the other way round, as when somebody renders a scene and
    then loads a model, triton's import ends the process with a segmentation fault.
    """
    with contextlib.suppress(ImportError):
        import triton  # noqa: F401
