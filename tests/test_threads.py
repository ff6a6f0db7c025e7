"""How threads wait: set by what else runs, and left as the user or a launcher has it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from showme import threads

NAMES = ("OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES")


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    for name in (*NAMES, "WORLD_SIZE"):
        # Set first, so that what a test leaves is taken back.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "torch")


@pytest.mark.parametrize(("share", "settled"), [(0.0, False), (0.1, False), (0.5, True)])
def test_threads_sleep_beside_others_alone(monkeypatch, share, settled):
    monkeypatch.setattr(threads, "busy_share", lambda seconds: share)
    threads.settle_threads()
    assert [name in os.environ for name in NAMES] == [settled] * 3


@pytest.mark.parametrize(("name", "value"), [("OMP_PROC_BIND", "close"), ("WORLD_SIZE", "2")])
def test_what_was_chosen_stays(monkeypatch, name, value):
    monkeypatch.setattr(threads, "busy_share", lambda seconds: 1.0)
    monkeypatch.setenv(name, value)
    threads.settle_threads()
    assert {each: os.environ.get(each) for each in NAMES if each in os.environ} == {
        each: value for each in NAMES if each == name
    }


@pytest.mark.skipif(not threads._STAT.exists(), reason="/proc/stat is Linux's")
def test_a_busy_core_is_seen():
    code = "import time\nend = time.time() + 20\nwhile time.time() < end: pass"
    with subprocess.Popen([sys.executable, "-c", code]) as other:
        try:
            assert threads.busy_share(0.5) > 0.3 / (os.cpu_count() or 1)
        finally:
            other.kill()
