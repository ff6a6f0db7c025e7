"""How fast a machine trains in which precision: measured where a run begins, and kept while it stays on that machine.

A CPU with matrix units for bf16 trains twice as fast in it, one without them three times as slowly, one without AVX-512
twenty times, and none of it can be seen from its name.
"""

from __future__ import annotations

import platform
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import torch

from .muon import orthogonalised

PRECISIONS = ("fp32", "bf16")
# The first of each warms up what is compiled, allocated or cached for it.
_ROUNDS = 2
_MUON_SIZE = (4, 256, 1024)
_PRODUCT, _HOPELESS = 512, 3.0


def fastest(run: Callable[[str], object], names: tuple[str, ...] = PRECISIONS) -> str:
    """Which of ``names`` makes ``run(name)`` take least time, in the better of two rounds each."""
    seconds = _timed(run, names)
    return min(seconds, key=lambda name: seconds[name])


def bf16_may_gain() -> bool:
    """Whether a bare product of matrices in bf16 takes less than three times as long as in fp32 on this CPU. Where it
    does not, no step gains, and timing one could take minutes: without AVX-512 it is slower by 20 times."""
    square = torch.ones(_PRODUCT, _PRODUCT)
    seconds = _timed(lambda name: square.to(dtype_of(name)) @ square.to(dtype_of(name)), PRECISIONS)
    return seconds["bf16"] < _HOPELESS * seconds["fp32"]


def _timed(run: Callable[[str], object], names: tuple[str, ...]) -> dict[str, float]:
    """Name -> seconds of the better of two rounds."""
    seconds = dict.fromkeys(names, float("inf"))
    for _ in range(_ROUNDS):
        for name in names:
            began = time.perf_counter()
            run(name)
            seconds[name] = min(seconds[name], time.perf_counter() - began)
    return seconds


def muon_precision(device: torch.device) -> str:
    """The precision of Muon's iteration that is faster on a device."""
    if device.type != "cpu":
        return "bf16"
    matrices = torch.ones(_MUON_SIZE)
    return fastest(lambda name: orthogonalised(matrices, dtype=dtype_of(name)))


def dtype_of(name: str) -> torch.dtype:
    """A precision's name -> torch's type."""
    return torch.bfloat16 if name == "bf16" else torch.float32


def machine_name() -> str:
    """The processor, what it can, and how many threads torch runs on it: what a measurement holds for."""
    return f"{platform.machine()} {zlib.crc32(_processor().encode()):08x}, {torch.get_num_threads()} threads"


def _processor() -> str:
    """Model and features of the first processor, where the system gives them."""
    described = Path("/proc/cpuinfo")
    if not described.exists():
        return platform.processor()
    lines = described.read_text(errors="replace").split("\n\n")[0].splitlines()
    return "\n".join(line for line in lines if line.startswith(("model name", "flags", "CPU part", "Features")))
