"""The cache: what was written is read, an interruption costs no finished shard, and nothing stale is ever read."""

from __future__ import annotations

import pickle

import pytest
import torch

from showme.data import cache
from showme.data.cache import Part, build_part, weights_digest
from showme.errors import InputError


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(cache, "_SHARD_BYTES", 100)


def part(rows: int = 25, calls: list | None = None, fail_at: int | None = None, **made_of) -> Part:
    def encode(numbers):
        if fail_at is not None and fail_at in numbers:
            raise KeyboardInterrupt
        if calls is not None:
            calls.extend(numbers)
        values = torch.tensor(list(numbers))
        return {"square": values.float()[:, None].square().expand(-1, 3), "number": values}

    return Part("squares", made_of, rows, encode, chunk=4)


def test_every_row_is_read_back(tmp_path):
    told = []
    reader = build_part(tmp_path, part(), lambda done, rows: told.append((done, rows)))
    assert len(reader) == 25
    assert len(reader.files) > 2
    for row in range(25):
        assert torch.equal(reader[row]["square"], torch.full((3,), float(row**2)))
        assert int(reader[row]["number"]) == row
    assert told[-1] == (25, 25)
    again = pickle.loads(pickle.dumps(reader))
    assert int(again[24]["number"]) == 24, "worker processes open the files themselves"


def test_a_finished_part_is_not_computed_again(tmp_path):
    build_part(tmp_path, part())
    calls: list[int] = []
    assert len(build_part(tmp_path, part(calls=calls))) == 25
    assert not calls


def test_an_interrupted_part_keeps_its_whole_shards(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        build_part(tmp_path, part(fail_at=14))
    calls: list[int] = []
    reader = build_part(tmp_path, part(calls=calls))
    assert 0 < len(calls) < 25
    assert [int(reader[row]["number"]) for row in range(25)] == list(range(25))


def test_a_shard_cut_short_is_written_again(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        build_part(tmp_path, part(fail_at=14))
    shard = next(tmp_path.glob("*/00000.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-7])
    reader = build_part(tmp_path, part())
    assert [int(reader[row]["number"]) for row in range(25)] == list(range(25))


def test_another_making_is_another_part(tmp_path):
    build_part(tmp_path, part(codec="a"))
    calls: list[int] = []
    build_part(tmp_path, part(calls=calls, codec="b"))
    assert len(calls) == 25
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("below", ["", "cache"])
def test_a_cache_that_is_a_file_is_refused(tmp_path, below):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file, or lies in one: choose another folder for the cache"):
        build_part(tmp_path / "file" / below, part())


def test_a_digest_tells_weights_apart():
    a, b = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    assert weights_digest(a) != weights_digest(b)
    b.load_state_dict(a.state_dict())
    assert weights_digest(a) == weights_digest(b)
    assert weights_digest(a) != weights_digest(b.bfloat16())
