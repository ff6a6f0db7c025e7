"""An optional package that is absent, lacks a library, or is broken: each time one sentence that is true."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import showme
from showme.errors import InputError
from showme.optional import DISTRIBUTION, needed


def attempt(module: str = "apparatus", package: str = "apparatus-headless"):
    """The sentence of an import that fails."""
    with pytest.raises(InputError) as caught, needed(module, package, "perception", "Optical flow"):
        __import__(module)
    assert "\n" not in str(caught.value)
    return str(caught.value)


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


def gates() -> list[tuple[str, str, str]]:
    """Module, package and extra of every ``needed(...)`` in the package."""
    found = []
    for path in sorted(Path(showme.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "needed":
                found.append(tuple(ast.literal_eval(argument) for argument in node.args[:3]))
    return found


def test_every_sentence_names_an_extra_that_has_the_package():
    metadata = importlib.metadata.distribution(DISTRIBUTION)
    brought = set()
    for line in metadata.requires:
        requirement = Requirement(line)
        for extra in metadata.metadata.get_all("Provides-Extra"):
            if requirement.marker is not None and requirement.marker.evaluate({"extra": extra}):
                brought.add((requirement.name, extra))
    assert len(gates()) > 12
    assert [gate for gate in gates() if gate[1:] not in brought] == []


@pytest.mark.parametrize("module", sorted({module for module, _, _ in gates()}))
def test_every_package_that_is_asked_for_brings_the_module(module):
    packages = {package for name, package, _ in gates() if name == module}
    bringing = importlib.metadata.packages_distributions()
    top = module.split(".")[0]
    if top not in bringing:
        pytest.skip(f"{module} is not installed")
    assert packages <= {name.lower().replace("_", "-") for name in bringing[top]}
