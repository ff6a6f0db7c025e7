"""An optional package that is absent, lacks a library, or is broken: each time one sentence that is true."""

from __future__ import annotations

import sys

import pytest

from showme.errors import InputError
from showme.optional import needed


def attempt(module: str = "apparatus", package: str = "apparatus-headless"):
    """The sentence of an import that fails."""
    with pytest.raises(InputError) as told, needed(module, package, "perception", "Optical flow"):
        __import__(module)
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """package(code): a module ``apparatus`` that runs it."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(code: str) -> None:
        (tmp_path / "apparatus.py").write_text(code)

    yield write
    sys.modules.pop("apparatus", None)


def test_a_package_that_imports_is_left_alone(package):
    package("value = 3")
    with needed("apparatus", "apparatus-headless", "perception", "Optical flow"):
        import apparatus
    assert apparatus.value == 3


@pytest.mark.parametrize("module", ["apparatus", "apparatus.part"])
def test_an_absent_package_comes_with_its_extra(module):
    assert attempt(module) == (
        'Optical flow needs the package apparatus-headless: pip install "showme-video[perception]".'
    )


def test_an_absent_library_of_the_system_is_named_with_what_brings_it(package):
    package("import ctypes; ctypes.CDLL('libnowhere.so.7')")
    assert attempt().endswith("that the library libnowhere.so.7, which this machine lacks: install that library.")
    for error in ("ImportError", "OSError"):
        package(f"raise {error}('libEGL.so.1: cannot open shared object file: No such file or directory')")
        assert attempt().endswith("the library libEGL.so.1, which this machine lacks: apt-get install libegl1.")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import numpy_of_yesterday", "No module named 'numpy_of_yesterday'"),
        ("import apparatus.lost", "No module named 'apparatus.lost'; 'apparatus' is not a package"),
        ("raise TypeError('Descriptors cannot be created\\nsee there')", "Descriptors cannot be created"),
        ("from json import nothing", "cannot import name 'nothing' from 'json'"),
    ],
)
def test_a_broken_package_is_not_called_absent(package, code, reason):
    package(code)
    sentence = attempt()
    assert sentence.startswith(
        f"Optical flow needs the package apparatus-headless, which is installed but cannot be imported ({reason}"
    )
    assert sentence.endswith("): pip install --force-reinstall apparatus-headless.")
