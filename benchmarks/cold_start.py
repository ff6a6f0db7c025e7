"""CPU seconds from a command to its answer, beside those of ``import torch`` in turn with it.

python benchmarks/cold_start.py --pairs 5
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

import showme

_EXAMPLE = str(Path(showme.__file__).parent / "assets" / "examples" / "push_left.png")
_WORDS = "push the orange case to the left"
_CALL = (
    f"import showme; from PIL import Image; showme.load()(Image.open({_EXAMPLE!r}), {_WORDS!r}, task={{!r}}, seed=0)"
)
_RUN = "stage: state_image\nout: {out}/run\ndata: {{source: {out}}}\ntraining: {{steps: 1}}\n"
# The first lines of `showme doctor`, without torch and the devices that it tries then.
_DOCTOR = "from showme.cli.doctor import _print_installed as p; from showme.machine import find_installed as f; p(f())"


def main(
    pairs: Annotated[int, typer.Option(help="measured pairs per row")] = 5,
    only: Annotated[str, typer.Option(help="rows whose name holds this")] = "",
) -> None:
    """Print a Markdown table: median CPU seconds of each row, and its ratios to `import torch`."""
    print("| row | CPU s | of `import torch` | median ratio | least | most |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "run.yaml").write_text(_RUN.format(out=folder), encoding="utf-8")
        for name, line in _rows(folder).items():
            if only in name:
                _measure(name, line, pairs)


def _measure(name: str, line: list[str], pairs: int) -> None:
    unit = [sys.executable, "-c", "import torch"]
    cpu_seconds(line)  # Compiles what is not compiled yet, and warms the disk's cache.
    cpu_seconds(unit)
    measured = [(cpu_seconds(unit), cpu_seconds(line)) for _ in range(pairs)]
    ratios = [mine / torch for torch, mine in measured]
    torch, mine = (statistics.median(column) for column in zip(*measured, strict=True))
    print(
        f"| {name} | {mine:.2f} | {torch:.2f} | {statistics.median(ratios):.2f} | {min(ratios):.2f} "
        f"| {max(ratios):.2f} |",
        flush=True,
    )


def _rows(folder: str) -> dict[str, list[str]]:
    def command(*words: str) -> list[str]:
        return [sys.executable, "-m", "showme.cli", *words]

    def code(text: str) -> list[str]:
        return [sys.executable, "-c", text]

    out, run = ("--out", f"{folder}/out"), f"{folder}/run.yaml"
    return {
        "`showme --help`": command("--help"),
        "`showme doctor`, first lines": code(_DOCTOR),
        "generate, no photo": command("generate", "nowhere.png", _WORDS),
        "generate, no model": command("generate", _EXAMPLE, _WORDS, "--model", "embeded"),
        "train, no model": command("train", run, "model=embeded"),
        "train, no clips": command("train", run, "data.source=nowhere"),
        "train, wrong field": command("train", run, "training.stepz=1"),
        "evaluate, no protocol": command("evaluate", "nowhere", "nowhere", "--protocol", "nope"),
        "`showme generate --task image`": command("generate", _EXAMPLE, _WORDS, "--task", "image", *out),
        "`showme generate --task both`": command("generate", _EXAMPLE, _WORDS, "--task", "both", *out),
        "`showme.load()`": code("import showme; showme.load()"),
        "`showme.load()` and a picture": code(_CALL.format("image")),
        "`showme.load()` and both": code(_CALL.format("both")),
    }


def cpu_seconds(line: list[str]) -> float:
    """User and system seconds of a process and its threads; what it prints is dropped."""
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    usage = os.wait4(process.pid, 0)[2]
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    typer.run(main)
