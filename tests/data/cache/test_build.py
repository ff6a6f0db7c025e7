"""The cache: what was written is read, an interruption costs no finished shard, and nothing stale is ever read."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open

from showme.data.cache import build, build_parts, claims, missing_shards, parts
from showme.errors import InputError
from showme.fingerprint import code_digest, weights_digest

from .squares import ROWS, SHARD_ROWS, squares

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(parts, "SHARD_ROWS", SHARD_ROWS)
    monkeypatch.setattr(build, "SHARD_ROWS", SHARD_ROWS)


def contents(folder: Path) -> dict[str, str]:
    """Every file of a cache with its digest."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_row_is_read_back(tmp_path):
    calls = []
    reader = build_parts(tmp_path, [squares()], lambda *row: calls.append(row))["squares"]
    assert len(reader) == ROWS
    for row in range(ROWS):
        assert torch.equal(reader[row]["square"], torch.full((3,), float(row**2)))
        assert int(reader[row]["number"]) == row
    assert calls[0] == ("squares", 4, ROWS, 0)
    assert calls[-1] == ("squares", ROWS, ROWS, reader.size)
    again = pickle.loads(pickle.dumps(reader))
    assert int(again[24]["number"]) == 24, "worker processes open the files themselves"


def test_what_answers_one_at_a_time_is_asked_by_one_thread(tmp_path):
    asking, most = [0], [0]

    def encode(numbers):
        asking[0] += 1
        most[0] = max(most[0], asking[0])
        time.sleep(0.01)
        asking[0] -= 1
        return {"number": torch.tensor(list(numbers))}

    rows = [f"row {row}" for row in range(40)]
    build_parts(tmp_path, [parts.Part("alone", {}, rows, encode, 4, alone=True), squares(40)], workers=4)
    assert most == [1]
    build_parts(tmp_path, [parts.Part("beside", {}, rows, encode, 4)], workers=4)
    assert most[0] > 1


def test_the_claim_of_a_process_that_was_killed_when_its_shard_was_written_goes(tmp_path):
    build_parts(tmp_path, [squares()])
    host = socket.gethostname()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "claims" / "left").write_text(f"{host}.{ended.pid}")
    (tmp_path / "claims" / "held").write_text(f"{host}.{os.getpid()}")
    build_parts(tmp_path, [squares()])
    assert [path.name for path in (tmp_path / "claims").iterdir()] == ["held"]


def test_parts_of_the_same_rows_are_computed_together(tmp_path):
    order: list = []
    first, second = squares(calls=order), squares(name="more", calls=order, other=1)
    build_parts(tmp_path, [first, second], workers=1)
    assert order[:16] == [0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7]


def test_a_finished_part_is_not_computed_again(tmp_path):
    build_parts(tmp_path, [squares()])
    calls: list[int] = []
    assert len(build_parts(tmp_path, [squares(calls=calls)])["squares"]) == ROWS
    assert not calls


def test_an_interrupted_part_keeps_its_whole_shards(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        build_parts(tmp_path, [squares(fail_at=14)])
    assert not list((tmp_path / "claims").iterdir())
    calls: list[int] = []
    build_parts(tmp_path, [squares(calls=calls)])
    assert sorted(calls) == list(range(8, ROWS))


def test_a_changed_byte_is_noticed_when_it_is_read(tmp_path):
    reader = build_parts(tmp_path, [squares()])["squares"]
    shard = squares().shard(tmp_path, 1)
    content = bytearray(shard.read_bytes())
    content[-2] ^= 1
    shard.write_bytes(content)
    fresh = build_parts(tmp_path, [squares()])["squares"]
    assert torch.equal(fresh[0]["square"], reader[0]["square"])
    with pytest.raises(InputError, match=rf"{shard.name} of the cache is damaged: remove it"):
        [fresh[row] for row in range(ROWS)]


def test_a_shard_cut_short_is_written_again(tmp_path):
    build_parts(tmp_path, [squares()])
    whole = contents(tmp_path)
    shard = squares().shard(tmp_path, 1)
    shard.write_bytes(shard.read_bytes()[:-7])
    calls: list[int] = []
    build_parts(tmp_path, [squares(calls=calls)])
    assert sorted(calls) == list(range(8, 16))
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("changed", [{"codec": "b"}, {"identities": [f"other {row}" for row in range(ROWS)]}])
def test_another_making_or_other_clips_are_never_taken_for_these(tmp_path, changed):
    build_parts(tmp_path, [squares(codec="a")])
    calls: list[int] = []
    build_parts(tmp_path, [squares(calls=calls, **({"codec": "a"} | changed))])
    assert sorted(calls) == list(range(ROWS))


def test_a_list_that_grows_keeps_its_whole_shards(tmp_path):
    build_parts(tmp_path, [squares(20)])
    calls: list[int] = []
    build_parts(tmp_path, [squares(40, calls=calls)])
    assert sorted(calls) == list(range(16, 40))


def test_ten_kills_leave_what_an_unbroken_run_leaves(tmp_path):
    """kill -9 at ten random instants, then a run to the end: every row once, and the very bytes of an unbroken run."""
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    command = [sys.executable, "-m", "tests.data.cache.squares"]
    subprocess.run([*command, str(unbroken), "0"], check=True, cwd=ROOT)
    generator, kills = random.Random(0), 0

    def shards() -> int:
        # Not by rglob, which looks into drafts as well and fails where one has just been moved.
        return len(list((broken / squares().folder_name).glob("*.safetensors")))

    while kills < 10:
        process = subprocess.Popen([*command, str(broken), "0.06"], cwd=ROOT)
        before = shards()
        while process.poll() is None and shards() == before:
            time.sleep(0.005)
        time.sleep(generator.uniform(0, 0.1))
        assert process.poll() is None, "it must be killed while it writes"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    subprocess.run([*command, str(broken), "0"], check=True, cwd=ROOT)
    assert contents(broken) == contents(unbroken)
    ids = []
    for file in sorted((broken / squares().folder_name).glob("*.safetensors")):
        with safe_open(file, "pt") as shard:
            ids += json.loads(shard.metadata()["rows"])["ids"]
    assert sorted(ids) == sorted(f"row {row}" for row in range(ROWS))


def test_processes_share_the_work_of_one_folder(tmp_path):
    command = [sys.executable, "-m", "tests.data.cache.squares", str(tmp_path / "shared"), "0.1"]
    running = [subprocess.Popen(command, cwd=ROOT) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    subprocess.run([*command[:3], str(tmp_path / "alone"), "0"], check=True, cwd=ROOT)
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")


def test_a_claim_of_a_living_process_is_left_alone_and_a_dead_ones_is_taken(tmp_path):
    with claims.claimed(tmp_path / "claim") as mine:
        assert mine is not None
        with claims.claimed(tmp_path / "claim") as other:
            assert other is None
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "claim").write_text(f"{claims.owner().rpartition('.')[0]}.{dead.pid}")
    with claims.claimed(tmp_path / "claim") as taken:
        assert taken is not None
    (tmp_path / "claim").write_text("elsewhere.1")
    with claims.claimed(tmp_path / "claim") as taken:
        assert taken is None, "of another machine nobody knows whether it lives"
    os.utime(tmp_path / "claim", (0, 0))
    with claims.claimed(tmp_path / "claim") as taken:
        assert taken is not None, "but it has been silent for long"


@pytest.mark.parametrize("below", ["", "cache"])
def test_a_cache_that_is_a_file_is_refused(tmp_path, below):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file, or lies in one: choose another folder"):
        build_parts(tmp_path / "file" / below, [squares()])


def test_a_full_disk_is_said_and_leaves_no_part_of_a_file(tmp_path, monkeypatch):
    def full(_tensors, path, _metadata):
        Path(path).write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr(build, "save_file", full)
    with pytest.raises(InputError, match=r"cannot be written to \(I/O error: No space left on device\): make room"):
        build_parts(tmp_path, [squares()])
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name or path.suffix == ".safetensors"]


def test_what_is_missing_is_reported_without_computing(tmp_path):
    calls: list[int] = []
    assert len(missing_shards(tmp_path, [squares(calls=calls)])) == -(-ROWS // SHARD_ROWS)
    build_parts(tmp_path, [squares(20)])
    assert [number for _, number in missing_shards(tmp_path, [squares(calls=calls)])] == list(range(2, 31))
    assert not calls


def test_a_digest_tells_weights_apart():
    a, b = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    assert weights_digest(a) != weights_digest(b)
    b.load_state_dict(a.state_dict())
    assert weights_digest(a) == weights_digest(b)
    assert weights_digest(a) != weights_digest(b.bfloat16())


def test_code_counts_and_comments_do_not(tmp_path):
    from types import SimpleNamespace

    digests = []
    for number, text in enumerate(
        ['"""A."""\ndef f(x):\n    """Adds."""\n    return x + 1\n',
         '"""B."""\n\n\ndef f(x):\n    # Why.\n    return x + 1\n',
         "def f(x):\n    return x + 2\n"]
    ):  # fmt: skip
        path = tmp_path / f"{number}.py"
        path.write_text(text)
        digests.append(code_digest([SimpleNamespace(__file__=str(path))]))
    assert digests[0] == digests[1] != digests[2]
