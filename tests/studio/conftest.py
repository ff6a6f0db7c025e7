"""Studios for tests: in this process, and as a server of its own that a browser opens."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the studio's extra is not installed")

from showme.studio.asked import Asked
from showme.studio.settings import StudioSettings
from showme.studio.shelf import Shelf
from tests.conftest import make_tiny_info, make_tiny_pipeline

OWNER, OTHER = "a" * 32, "b" * 32
_START_SECONDS = 120


@pytest.fixture
def shelf(tmp_path) -> Iterator[Shelf]:
    """An empty studio's folder."""
    shelf = Shelf(tmp_path / "studio")
    yield shelf
    shelf.close()


def asked(**changes) -> Asked:
    """What somebody asked for."""
    return Asked(**{"photo": f"{'0' * 32}.png", "instruction": "push the red box to the left", **changes})


def finished(shelf: Shelf, owner: str = OWNER, **changes) -> str:
    """The id of a run that is done, with one file in its folder."""
    entry = shelf.begin(owner, asked(**changes))
    place = shelf.folder / shelf.work(entry.id)
    place.mkdir()
    (place / "index.html").write_text("<html></html>")
    shelf.finish(entry)
    return entry.id


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """A folder of tiny models: one of ShowMe, two of IVG that take a region."""
    from showme.methods.ivg import IVGPipeline
    from showme.pipelines import save_bundle

    folder = tmp_path_factory.mktemp("studio-models")
    plain = make_tiny_pipeline()
    save_bundle(plain, make_tiny_info(vocabulary=None), folder / "tiny")
    for number in (1, 2):
        tiny = make_tiny_pipeline(number)
        tiny.unet.delete_adapters(list(tiny.unet.peft_config))
        tiny.unet.add_mask_entrance()
        pipeline = IVGPipeline(**tiny.components, num_frames=4, num_inference_steps=2)
        save_bundle(pipeline, make_tiny_info(name=f"regions-{number}", method="ivg"), folder / f"regions-{number}")
    return folder


@dataclass
class Server:
    """A studio that runs as a process. address: of its page."""

    address: str
    process: subprocess.Popen
    folder: Path

    def kill(self) -> None:
        """As the system would: process group and all."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[Server]:
    """A server in ``folder``, which ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "showme.cli", "studio", "--out", str(folder), "--port", str(port), *words]
    log = folder.with_name(f"{folder.name}.log")
    with log.open("ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    server = Server(f"http://127.0.0.1:{port}", process, folder)
    try:
        _wait(server, log)
        yield server
    finally:
        server.kill()


def _wait(server: Server, log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and server.process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"{server.address}/health", timeout=1):
            return
        time.sleep(0.2)
    raise AssertionError(f"the studio did not start: {log.read_text()}")


# Closed after each module: while playwright is open, its loop runs in this thread, and no other can be opened.
@pytest.fixture(scope="module")
def browser():
    """Debian's chromium."""
    sync = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser: pip install playwright")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no browser: apt-get install chromium")
    with sync.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def upload(tmp_path) -> Path:
    """A PNG of 64x48 pixels."""
    path = tmp_path / "kitchen table.png"
    gradient = Image.linear_gradient("L").resize((64, 48))
    Image.merge("RGB", (gradient, gradient.rotate(180), gradient)).save(path)
    return path


@pytest.fixture
def settings(tmp_path, models) -> StudioSettings:
    """Of a studio in ``tmp_path``."""
    return StudioSettings(folder=tmp_path / "studio", models=models)
