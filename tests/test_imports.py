"""Imports run one way through the package, as docs/architecture.md draws it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import showme

ROOT = Path(showme.__file__).parent
# Each layer may import from those before it, each part from itself; two parts of one layer do not know each other.
LAYERS: list[set[str]] = [
    {"errors", "staged_files", "threads", "fingerprint", "user_cache"},
    {"optional", "manifest", "database", "arguments", "long_text", "hub", "config", "plug_ins", "weight_files"},
    {"installation", "devices", "quantization", "pretrained", "base_model", "instruction"},
    {"bundle", "pictures", "explanation"},
    {"bundle_folder", "losses", "models", "worlds"},
    {"data", "perception", "backbones"},
    {"run_config", "preparation", "training"},
    {"methods"},
    {"lazy_pipeline", "pipeline_files", "run_folder", "run_clips"},
    {"run_input", "pipelines"},
    {"generation", "conversion"},
    {"run_validation"},
    {"experiment", "forecast"},
    {"evaluation", "machine"},
    {"judging"},
    {"studio"},
    {"cli"},
]  # fmt: skip
LAYER = {part: number for number, parts in enumerate(LAYERS) for part in parts}


def imports(path: Path) -> Iterator[tuple[str, ...]]:
    """The modules of the package that a file imports at run time, wherever in it: parts below ``showme``."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in _at_run_time(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (tuple(each.name.split(".")[1:]) for each in node.names if each.name.split(".")[0] == "showme")
        elif node.level:
            base = package[: len(package) - node.level + 1]
            module = tuple(node.module.split(".")) if node.module else ()
            # `from . import a, b` names modules.
            yield from [base + module] if module else [(*base, each.name) for each in node.names]
        elif node.module and node.module.split(".")[0] == "showme":
            yield tuple(node.module.split(".")[1:])


def _at_run_time(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        yield from _at_run_time(child)


def edges() -> list[tuple[str, str, str]]:
    """(file, its part, the part that it imports) of every import from another part."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT)
        part = name.parts[0].removesuffix(".py")
        found += [(name.as_posix(), part, other[0]) for other in imports(path) if other and other[0] != part]
    # What is asked of the package itself: its version, and the way to load a model.
    return [edge for edge in found if edge[1] != "__init__" and edge[2] not in ("__version__", "load")]


def test_every_part_has_its_layer():
    parts = {
        path.name.removesuffix(".py")
        for path in ROOT.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert parts - {"__init__", "assets"} <= LAYER.keys()


def test_imports_run_downwards():
    wrong = [f"{file} imports {other}" for file, part, other in edges() if LAYER[other] >= LAYER[part]]
    assert not wrong, wrong


def test_no_method_imports_another():
    methods = {path.parent.name for path in (ROOT / "methods").glob("*/__init__.py")}
    wrong = [
        f"{path.relative_to(ROOT)} imports {other[1]}"
        for method in methods
        for path in (ROOT / "methods" / method).rglob("*.py")
        for other in imports(path)
        if other[:1] == ("methods",) and len(other) > 1 and other[1] in methods - {method}
    ]
    assert not wrong, wrong


@pytest.mark.parametrize("part", ["backbones", "experiment.py", "bundle.py", "pipelines.py", "pipeline_files.py",
                                  "lazy_pipeline.py", "generation", "evaluation", "cli", "training"])  # fmt: skip
def test_parts_that_know_no_paper(part):
    """None imports a method by name. (The command ``showme convert showme`` is named after what it converts.)"""
    methods = {path.parent.name for path in (ROOT / "methods").glob("*/__init__.py")}
    place = ROOT / part
    for path in place.rglob("*.py") if place.is_dir() else [place]:
        for other in imports(path):
            assert not (other[:1] == ("methods",) and len(other) > 1 and other[1] in methods), path
