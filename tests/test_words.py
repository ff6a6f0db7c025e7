"""The project's files use the field's terms for what they speak of."""

from __future__ import annotations

import re
import subprocess
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
