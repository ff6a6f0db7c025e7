"""``showme data list`` and ``check`` over a folder of bad clips: each is named once, and the list leaves it out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from showme.data import check as check_module
from showme.data.check import fault_of, find_bad
from showme.data.media import Media, Pictures, Video
from showme.data.sources.lists import read_exclusions
from showme.data.sources.record import Record

from .bombs import BOMBS
from .conftest import snapshot
from .corpus import WHOLE, X264, jpeg, write_video
from .reading import ROOT, Job
from .surprises import SURPRISES
from .test_lists import HOSTILE

_CUTS = 6


def showme(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """The command line, in a folder; two minutes are a hang."""
    return subprocess.run(
        [sys.executable, "-m", "showme.cli", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=120,
    )


def build(corpus: Path) -> list[Job]:
    """Whole, cut, strange and lying clips of all kinds that a folder's list can name."""
    for name, (kind, write) in WHOLE.items():
        if kind in ("video", "rendered"):
            data = write(corpus / name).read_bytes()
            for part in range(_CUTS):
                cut = corpus / f"cut-{part}-{name}"
                cut.write_bytes(data[: len(data) * part // _CUTS])
        elif kind == "picture":
            whole = corpus / f"{name}-pictures"
            whole.mkdir()
            data = write(whole / name).read_bytes()
            (corpus / f"{name}-torn").mkdir()
            (corpus / f"{name}-torn" / name).write_bytes(data[: len(data) // 2])
    for name, (write, _) in SURPRISES.items():
        write(corpus / name)
    for name, (kind, write) in BOMBS.items():
        if kind in ("video", "rendered") and not name.startswith("sparse"):
            write(corpus / name)
    (corpus / "nothing").mkdir()
    os.mkfifo(corpus / "pipe.mp4")
    kinds = {"": "pictures", ".safetensors": "rendered"}
    jobs = [
        Job("pictures" if path.is_dir() else kinds.get(path.suffix, "video"), str(path))
        for path in sorted(corpus.iterdir())
    ]
    return [*jobs, Job("video", str(corpus / "missing.mp4"))]


def test_each_bad_clip_is_named_once_and_left_out(area, corpus, read):
    jobs = build(corpus)
    bad = {Path(job.path).name for job, outcome in zip(jobs, read(jobs), strict=True) if outcome.error}
    names = [Path(job.path).name for job in jobs]
    assert len(bad) > 50
    assert len(names) - len(bad) > 30
    rows = [{"id": name, "file": name, "instruction": f"push {name} \u202e😀"} for name in names]
    (corpus / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = snapshot(area)

    listed = showme(area, "data", "list", "corpus", "--count", "1000")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert [line.partition(":")[0] for line in listed.stdout.splitlines() if ": push " in line] == names

    checked = showme(area, "data", "check", "corpus", "--out", "exclude.jsonl", "--processes", "2")
    assert checked.returncode == 1
    assert "Traceback" not in checked.stdout + checked.stderr
    named = [line.split()[1].rstrip(":") for line in checked.stdout.splitlines() if line.startswith("bad:")]
    assert named == [name for name in names if name in bad]
    assert f"checked: {len(names)} clips, {len(bad)} bad" in checked.stdout
    assert set(read_exclusions(area / "exclude.jsonl")) == bad

    again = showme(area, "data", "check", "corpus", "exclude=exclude.jsonl", "--out", "more.jsonl", "--processes", "2")
    assert again.returncode == 0
    assert again.stdout.startswith(f"checked: {len(names) - len(bad)} clips, 0 bad\n")
    assert set(read_exclusions(area / "more.jsonl")) == bad
    assert {path for path, _ in snapshot(area) ^ before} == {area / "exclude.jsonl", area / "more.jsonl"}


@pytest.mark.parametrize("name", ["objects.jsonl", "half.jsonl", "columns.csv", "nul.jsonl", "pipe.jsonl", "up.jsonl"])
def test_hostile_lists_end_the_command_with_one_sentence(area, corpus, name):
    if name == "pipe.jsonl":
        os.mkfifo(corpus / name)
    elif name == "up.jsonl":
        (corpus / name).write_text('{"id": "1", "file": "../neighbour/secret.txt", "instruction": "x"}')
    else:
        HOSTILE[name](corpus / name)
    for command in (["list"], ["check", "--out", "exclude.jsonl"]):
        done = showme(area, "data", command[0], f"corpus/{name}", *command[1:])
        assert done.returncode == 2, done.stderr
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert len(done.stderr.splitlines()) == 1
        assert name in done.stderr
    assert not (area / "exclude.jsonl").exists()


@dataclass(frozen=True)
class Trap(Media):
    """A clip whose decoder does what it says: ``crash``, ``sleep``, or ``block``, where no signal is let in."""

    path: Path
    act: str

    def open(self, span=None):
        if self.act == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.act == "block":
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        try:
            time.sleep(60)
        except OSError:
            # As parsers do that turn every error into their own.
            raise ValueError("damaged") from None

    def identity(self, span=None):
        return []


def test_decoders_that_crash_or_hang_cost_their_clip_alone(corpus):
    good = write_video(corpus / "good.mp4", options=X264)
    (corpus / "p").mkdir()
    (corpus / "p" / "1.jpg").write_bytes(jpeg(1))
    (corpus / "p" / "2.jpg").write_bytes(jpeg(2)[:300])
    records = [Record(f"good {number}", Video(good), "x") for number in range(12)]
    traps = [
        Record("crash", Trap(corpus / "crash", "crash"), "x"),
        Record("sleep", Trap(corpus / "sleep", "sleep"), "x"),
    ]
    records[5:5] = [traps[0], Record("torn", Pictures(corpus / "p"), "x"), traps[1]]
    bad = find_bad(records, processes=2, seconds=2)
    assert list(bad) == ["crash", "torn", "sleep"]
    assert "its decoder crashed" in bad["crash"]
    assert "took more than 2 s" in bad["sleep"]


def test_a_decoder_that_lets_no_signal_in_is_ended(corpus):
    lines = f"""
from pathlib import Path
from showme.data import check
from showme.data.sources.record import Record
from tests.hostile.test_command_line import Trap
check._GRACE_SECONDS = 1
check._fault_of(Record("1", Trap(Path({str(corpus)!r}), "block"), "x"), False, 1)
"""
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", lines], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode != 0
    assert time.monotonic() - begun < 50
    assert check_module._GRACE_SECONDS > 1


def test_a_quick_check_sees_that_pictures_change(corpus):
    for number, size in enumerate([(8, 6), (8, 6), (10, 6)]):
        Image.new("RGB", size).save(corpus / f"{number}.png")
    record = Record("1", Pictures(corpus), "x")
    for quick in (False, True):
        assert "its pictures change from 8x6 to 10x6" in str(fault_of(record, quick))
