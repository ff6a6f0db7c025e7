"""A small study with two candidates, and a server that shows it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from showme.studio.judge.begin import StudyRequest, begin_study
from tests.evaluation.conftest import write_set

MARKUP = "{{value}} ${1+1} <img src=x onerror=alert(1)> `${2}`"
TITLE = "Which push? <b>{{value}}</b></script><script>alert(2)</script>"
COUNT = 10


def clip(level: int) -> np.ndarray:
    """uint8 (6, 48, 64, 3): a square that moves, as bright as said."""
    frames = np.full((6, 48, 64, 3), 60, np.uint8)
    for time_, frame in enumerate(frames):
        frame[16:32, 4 + 6 * time_ : 20 + 6 * time_] = level
    return frames


def write_candidates(root: Path, names: str = "ab", count: int = COUNT) -> list[Path]:
    """Folders of clips; those of later candidates are brighter."""
    return [
        write_set(root / name, {f"clip {n}": clip(120 + 40 * place + n) for n in range(count)})
        for place, name in enumerate(names)
    ]


def write_instructions(root: Path, count: int = COUNT) -> Path:
    """A list of them, with markup in every other."""
    import json

    file = root / "instructions.jsonl"
    rows = [{"id": f"clip {n}", "instruction": MARKUP if n % 2 else f"push the box {n}"} for n in range(count)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Of a study that has been begun."""
    root = tmp_path_factory.mktemp("study")
    request = StudyRequest(write_candidates(root), title=TITLE, instructions=write_instructions(root))
    begin_study(root / "out", request)
    return root / "out"


@contextmanager
def served(app) -> Iterator[str]:
    """The address of an application that is served while this is open."""
    import uvicorn

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        for _ in range(200):
            if server.started:
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
