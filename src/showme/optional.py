"""Packages that not every installation has: where one is absent or broken, one true sentence says what fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import InputError, first_line

# The name to install this package by. It is imported as showme, but on PyPI that name is another project's.
DISTRIBUTION = "showme-video"

_SHARED_LIBRARY = re.compile(r"(lib[\w.+-]+?\.so[\w.]*): cannot open shared object file")
# Debian's and Ubuntu's packages of libraries that wheels are linked with and do not bring.
_SYSTEM_PACKAGES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libGLESv2.so.2": "libgles2",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libportaudio.so.2": "libportaudio2",
}


def install_command(extra: str) -> str:
    """What installs an extra of this package."""
    return f'pip install "{DISTRIBUTION}[{extra}]"'


@contextmanager
def needed(module: str, package: str, extra: str, what: str) -> Iterator[None]:
    """Around the import of an optional package.

    Args:
        module: that is imported.
        package: that brings it.
        extra: of this distribution, that has the package.
        what: needs it, for the message, such as ``Optical flow``.

    Raises:
        InputError: the package is absent, lacks a library of the system, or is broken, and what mends it.
    """
    try:
        yield
    # A broken package fails by whatever its native code and its dependencies raise.
    except Exception as error:
        raise InputError(f"{what} needs {explain_import(error, module, package, install_command(extra))}.") from error


def explain_import(error: Exception, module: str, package: str, install: str) -> str:
    """Why a package could not be imported and what mends it, to follow "needs": no full stop.

    Args:
        error: of the import.
        module, package: as in :func:`needed`.
        install: the command where it is absent.
    """
    if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
        return f"the package {package}: {install}"
    if library := _SHARED_LIBRARY.search(str(error)):
        name = library[1]
        remedy = f"apt-get install {_SYSTEM_PACKAGES[name]}" if name in _SYSTEM_PACKAGES else "install that library"
        return f"the package {package}, and that the library {name}, which this machine lacks: {remedy}"
    return (
        f"the package {package}, which is installed but cannot be imported ({first_line(error)}): "
        f"pip install --force-reinstall {package}"
    )
