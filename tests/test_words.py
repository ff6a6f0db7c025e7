"""The project's files use the field's terms for what they speak of."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_TEXT = {".py", ".md", ".yaml", ".toml", ".sh", ".html", ".css", ".js"}
# Networks that look at pictures are estimators or encoders.
_EYE = re.compile(r"(?<![A-Za-z])[Ee]yes?(?![a-z])|[a-z]Eyes?(?![a-z])|EYE")
# What is called so elsewhere: identity matrices, an action of UCF101, cameras in file names, the field's former name.
_ELSEWHERE = re.compile(
    r"\b(np|torch)\.eye\(|ApplyEyeMakeup|\|eye\||\beye in \"lr\"|\"eyes\": \"estimators\"|field eyes is|eyes\.hands"
)

_CODE = ("src", "tests", "scripts", "benchmarks")
_WORDS = re.compile(r"[A-Z]?[a-z]+")
# Warnings warn, reporters report, and variables are named for what they hold.
_PRIVATE = {"tell", "teller", "telling", "told"}


def _files() -> list[Path]:
    if not (_ROOT / ".git").exists():
        pytest.skip("no checkout of git: its list of files says which are the project's")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=_ROOT, capture_output=True, check=True, text=True).stdout
    return [_ROOT / name for name in listed.split("\0") if Path(name).suffix in _TEXT]


def test_nothing_that_looks_is_called_an_eye():
    files = [file for file in _files() if file != Path(__file__)]
    assert len(files) > 500
    lines = [
        f"{file.relative_to(_ROOT)}:{number}: {line.strip()}"
        for file in files
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if _EYE.search(line) and not _ELSEWHERE.search(line)
    ]
    assert not lines, "\n".join(lines)


def _identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, name) of whatever a file names: variables, arguments, attributes, functions, classes, imports."""
    for node in ast.walk(tree):
        for field in ("id", "arg", "attr", "name", "asname", "rest"):
            name = getattr(node, field, None)
            # Files and pictures have a method of this name.
            method = isinstance(node, ast.Attribute | ast.FunctionDef)
            if isinstance(name, str) and not (method and name == "tell"):
                yield getattr(node, "lineno", 0), name
        if isinstance(node, ast.Global | ast.Nonlocal):
            yield from ((node.lineno, name) for name in node.names)


def _is_private(name: str) -> bool:
    # Names of tests are sentences, in which things may be told apart.
    name = name.replace("_told_apart", "") if name.startswith("test_") else name
    return not _PRIVATE.isdisjoint(word.lower() for word in _WORDS.findall(name))


def test_no_name_is_of_a_private_vocabulary():
    files = [file for file in _files() if file.suffix == ".py" and file.relative_to(_ROOT).parts[0] in _CODE]
    assert len(files) > 500
    names = [
        f"{file.relative_to(_ROOT)}:{line}: {name}"
        for file in files
        for line, name in _identifiers(ast.parse(file.read_text(encoding="utf-8")))
        if _is_private(name)
    ]
    assert not names, "\n".join(names)


@pytest.mark.parametrize("name", ["told", "_told", "told_before", "tell_once", "teller", "CutTeller", "ToldWarning"])
def test_names_of_a_private_vocabulary_are_found(name):
    assert [each for _, each in _identifiers(ast.parse(f"{name} = 1")) if _is_private(each)] == [name]


@pytest.mark.parametrize("name", ["foretold", "retelling", "stellar", "intelligent", "test_clips_are_told_apart"])
def test_other_names_are_free(name):
    assert not _is_private(name)
