"""How OpenMP's threads wait and where they stay, chosen by what else the machine is doing.

Alone, threads that spin while they wait for one another are a quarter faster than threads that sleep. Beside another
busy process each step waits for the thread that was put on that process's core: two busy threads on two cores made
steps of 2 s take 5 to 9. There they sleep, and each keeps a core of its own.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_LOOKS_SECONDS = 0.3
# Of all cores' time, what others may take of a machine that counts as idle.
_IDLE_SHARE = 0.2
_AMONG_OTHERS = {"OMP_WAIT_POLICY": "passive", "OMP_PROC_BIND": "spread", "OMP_PLACES": "cores"}


def settle_threads() -> None:
    """Choose for this process, on Linux. To be called before torch is imported, which reads the choice once.

    What the environment says already stays; one of several processes of a run leaves all as it is, because each of them
    would take the same cores.
    """
    chosen = any(name in os.environ for name in _AMONG_OTHERS)
    several = os.environ.get("WORLD_SIZE", "1") != "1"
    if chosen or several or "torch" in sys.modules or not _STAT.exists():
        return
    if busy_share(_LOOKS_SECONDS) > _IDLE_SHARE:
        os.environ.update(_AMONG_OTHERS)


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def busy_share(seconds: float) -> float:
    """Share of all cores' time, 0 to 1, that was spent during a wait."""
    before = _spent()
    time.sleep(seconds)
    busy, idle = (now - then for now, then in zip(_spent(), before, strict=True))
    return busy / max(busy + idle, 1)


def _spent() -> tuple[int, int]:
    """Ticks of all cores, busy and idle, since the machine began."""
    user, nice, system, idle, waiting, *others = (int(word) for word in _STAT.read_text().split("\n")[0].split()[1:9])
    return user + nice + system + sum(others), idle + waiting
