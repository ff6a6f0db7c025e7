"""The studio under load: many clients at once, memory over many jobs, a kill at a random instant, and a click's way.

    python benchmarks/studio_load.py --out showme-out/studio-load.md

Every client uploads a photo of its own and checks that its result was made of that photo with its seed. While they wait
the health address is asked all the time. The click is made in chromium, where one is installed.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import io
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import typer
from PIL import Image

EXAMPLE = Path("src/showme/assets/examples/push_left.png")
INSTRUCTION = "push the orange case to the left"
API = "/gradio_api/call/v2/generate"
_TIMEOUT = 900.0


@dataclass
class Studio:
    """A server that runs as a process."""

    folder: Path
    port: int
    process: subprocess.Popen
    address: str = field(init=False)

    def __post_init__(self) -> None:
        self.address = f"http://127.0.0.1:{self.port}"

    def memory_mib(self) -> dict[str, float]:
        """Resident memory of the page's process and of the worker."""
        children = subprocess.run(
            ["ps", "-o", "pid=,rss=,args=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=True
        ).stdout
        workers = [line.split(None, 2) for line in children.splitlines() if "spawn_main" in line]
        worker = sum(int(rss) for _, rss, _ in workers) / 1024
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        page = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024
        return {"page": round(page), "worker": round(worker)}


@contextmanager
def studio(folder: Path) -> Iterator[Studio]:
    """A studio in ``folder`` that ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "showme.cli", "studio", "--out", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    running = Studio(folder, port, process)
    try:
        while True:
            if process.poll() is not None:
                raise RuntimeError("the studio did not start")
            with suppress(httpx.HTTPError):
                httpx.get(f"{running.address}/health", timeout=1).raise_for_status()
                break
            time.sleep(0.2)
        yield running
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def photo(number: int) -> bytes:
    """The example with a mark of its own in a corner."""
    pixels = np.asarray(Image.open(EXAMPLE).convert("RGB")).copy()
    pixels[:4, :4] = (number % 256, number // 256 % 256, 128)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def client(server: Studio, number: int, task: str) -> str:
    """One client from upload to result. -> its run, or what was wrong."""
    data = photo(number)
    # Each a visitor of its own, as each browser is.
    own = {"showme_visitor": f"client{number}"}
    with httpx.Client(base_url=server.address, timeout=_TIMEOUT, cookies=own) as http:
        path = http.post("/gradio_api/upload", files={"files": (f"{number}.png", data)}).json()[0]
        given = {"path": path, "meta": {"_type": "gradio.FileData"}}
        asked = {"photo": given, "instruction": INSTRUCTION, "task": task, "seed": number}
        event = http.post(API, json=asked).json()["event_id"]
        answer = result_of(http, event)
        base = answer["page"].rsplit("/", 1)[0]
        record = http.get(f"{base}/run.json").json()
        picture = http.get(f"{base}/result.png").content
    if record["input"]["sha256"] != hashlib.sha256(data).hexdigest() or record["settings"]["seed"] != number:
        raise RuntimeError(f"client {number} got another's result")
    if record["outputs"]["result.png"] != hashlib.sha256(picture).hexdigest():
        raise RuntimeError(f"client {number} got a damaged picture")
    return answer["run"]


def result_of(http: httpx.Client, event: str) -> dict:
    """What an event ends with."""
    kind = ""
    with http.stream("GET", f"{API}/{event}") as stream:
        for line in stream.iter_lines():
            if line.startswith("event:"):
                kind = line.split(":", 1)[1].strip()
            elif line.startswith("data:") and kind in ("complete", "error"):
                if kind == "error":
                    raise RuntimeError(line)
                return json.loads(line[5:])[0]
    raise RuntimeError("the stream ended without a result")


@contextmanager
def health_watched(server: Studio) -> Iterator[list[float]]:
    """Seconds that the health address took, asked ten times a second."""
    seconds: list[float] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=60) as http:
            while not stop.wait(0.1):
                begin = time.perf_counter()
                http.get(f"{server.address}/health").raise_for_status()
                seconds.append(time.perf_counter() - begin)

    watcher = threading.Thread(target=ask)
    watcher.start()
    try:
        yield seconds
    finally:
        stop.set()
        watcher.join()


def rounds(server: Studio, clients: int, jobs: int, task: str) -> list[dict[str, object]]:
    """All clients at once, again and again until there were so many jobs."""
    rows = []
    for first in range(0, jobs, clients):
        begin = time.perf_counter()
        with health_watched(server) as health, concurrent.futures.ThreadPoolExecutor(clients) as pool:
            made = list(pool.map(lambda n: client(server, n, task), range(first, first + clients)))
        rows.append(
            {
                "jobs so far": first + clients,
                "own result": len(set(made)),
                "seconds": round(time.perf_counter() - begin, 1),
                "health, slowest (s)": round(max(health), 3),
                **{f"{name} (MiB)": value for name, value in server.memory_mib().items()},
            }
        )
        typer.echo(rows[-1])
    return rows


def killed(folder: Path, clients: int) -> dict[str, int]:
    """Kill the studio while clients wait, start it again, and count what became of the jobs."""
    done: list[str] = []

    def ask(server: Studio, number: int) -> None:
        with suppress(httpx.HTTPError, RuntimeError, KeyError, ValueError):
            done.append(client(server, number, "image"))

    with studio(folder) as server, concurrent.futures.ThreadPoolExecutor(clients) as pool:
        waiting = [pool.submit(ask, server, number) for number in range(clients)]
        while len(done) < clients // 4:
            time.sleep(0.05)
        time.sleep(random.random())
        os.killpg(server.process.pid, signal.SIGKILL)
        concurrent.futures.wait(waiting)
    with studio(folder):
        pass
    from showme.studio.store import Store

    states: dict[str, int] = {}
    entries = {entry.id: entry for entry in Store(folder / "index.sqlite").all()}
    for entry in entries.values():
        states[entry.state] = states.get(entry.state, 0) + 1
        whole = (folder / "runs" / entry.id / "run.json").is_file()
        if whole != (entry.state == "done"):
            raise RuntimeError(f"{entry.id} is {entry.state}, and its folder says otherwise")
    lost = [run for run in done if run not in entries or entries[run].state != "done"]
    return {"results that clients had": len(done), "of them lost": len(lost), **states}


def clicked(server: Studio, times: int) -> dict[str, float] | None:
    """Median seconds from the click to the picture on screen, in chromium; None: there is none."""
    program = shutil.which("chromium")
    if program is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        begin = time.perf_counter()
        page.goto(server.address)
        page.wait_for_selector("#sm-make")
        first_load = time.perf_counter() - begin
        page.set_input_files("#sm-photo input[type=file]", EXAMPLE)
        page.wait_for_selector("#sm-photo img")
        page.get_by_label("Instruction", exact=True).fill(INSTRUCTION)
        page.get_by_label("Picture", exact=True).check()
        seconds = [_click(page) for _ in range(times + 1)][1:]
        browser.close()
    return {"first load": round(first_load, 2), "click to picture": round(statistics.median(seconds), 3)}


# Resolves when a picture that was not there before has been loaded.
_NEW_PICTURE = """() => new Promise(resolve => {
  const old = new Set([...document.querySelectorAll('#sm-shown img')].map(each => each.src));
  const begin = performance.now();
  document.querySelector('#sm-make').click();
  const look = () => {
    const fresh = [...document.querySelectorAll('#sm-shown img[alt="Picture of the result"]')];
    if (fresh.some(each => !old.has(each.src) && each.complete && each.naturalWidth)) {
      resolve((performance.now() - begin) / 1000);
    } else requestAnimationFrame(look);
  };
  look();
})"""


def _click(page) -> float:
    seed = str(random.randrange(10**6))
    if not page.locator("#sm-seed input").count():
        page.get_by_role("button", name="Settings").first.click()
    page.fill("#sm-seed input", seed)
    page.keyboard.press("Tab")
    seconds = page.evaluate(_NEW_PICTURE)
    page.wait_for_function("document.querySelector('#sm-status').innerText.includes('Done')")
    return float(seconds)


def called(times: int) -> float:
    """Median seconds of the pipeline's call for the picture, in this process, as the studio's own waits."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import showme

    pipe = showme.load("embedded")
    pipe.set_progress_bar_config(disable=True)
    image = Image.open(EXAMPLE)
    seconds = []
    for seed in range(times + 1):
        begin = time.perf_counter()
        pipe(image, INSTRUCTION, task="image", seed=seed)
        seconds.append(time.perf_counter() - begin)
    return round(statistics.median(seconds[1:]), 3)


def main(
    clients: Annotated[int, typer.Option(help="at once")] = 100,
    jobs: Annotated[int, typer.Option(help="in all")] = 500,
    clicks: Annotated[int, typer.Option(help="in the browser")] = 20,
    out: Annotated[Path | None, typer.Option(help="Markdown file of the figures")] = None,
) -> None:
    """Measure, print, and write."""
    with tempfile.TemporaryDirectory() as place:
        with studio(Path(place) / "load") as server:
            click = clicked(server, clicks)
            table = rounds(server, clients, jobs, "image")
        kill = killed(Path(place) / "kill", clients)
    call = called(clicks)
    lines = ["| " + " | ".join(table[0]) + " |", "|" + "---|" * len(table[0])]
    lines += ["| " + " | ".join(map(str, row.values())) + " |" for row in table]
    lines += ["", f"Killed while {clients} waited, and started again: {kill}."]
    if click is not None:
        lines += ["", f"Pipeline's call {call} s; in chromium {click} (seconds, medians of {clicks})."]
    text = "\n".join(lines)
    typer.echo(text)
    if out is not None:
        words = " ".join(["python", *sys.argv])
        out.write_text(f"# The studio under load\n\n`{words}`\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
