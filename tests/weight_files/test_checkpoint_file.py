"""Checkpoints as trainers write them: their tensors are read, and nothing else in them comes to life."""

from __future__ import annotations

import collections
import datetime
import functools
import importlib
import io
import pickle
import random
import struct
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from showme.errors import ConversionError
from showme.weight_files.checkpoint_file import read_weights

# A trainer's own module. Importing it leaves a file behind, and so does a call of what is in it.
TRAINER = """
import enum, pathlib
here = pathlib.Path(__file__).parent
(here / "imported").touch()
class Precision(enum.Enum):
    HALF = "16-mixed"
class Config(dict):  # as OmegaConf's containers
    def __init__(self, **content):
        self._content, self._metadata = content, {"flags": {}, "key": None}
    def __setstate__(self, state):
        (here / "called").touch()
class Row(list):
    note = "of a subclass"
class Slotted:
    __slots__ = ("a",)
class Hostile:
    def __reduce__(self):
        return (pathlib.Path.touch, (here / "called",))
def schedule(step):
    return step
"""
KINDS = {"zip": {}, "protocol 5": {"pickle_protocol": 5}, "legacy": {"_use_new_zipfile_serialization": False}}
LEGACY_HEAD = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}]
NUMBERS = torch.arange(12.0).reshape(3, 4)


@pytest.fixture(params=KINDS)
def trained(request, tmp_path, monkeypatch):
    """A Lightning checkpoint with objects of a module that can be imported and is not; beside it that module."""
    (tmp_path / "trainer.py").write_text(TRAINER)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    trainer = importlib.import_module("trainer")
    slotted, row, names = trainer.Slotted(), trainer.Row([1, 2]), collections.OrderedDict(a=NUMBERS)
    slotted.a, row.more, names._metadata = 1, 2, {"": {"version": 1}}
    content = {
        "epoch": 3,
        "pytorch-lightning_version": "2.1.0",
        "state_dict": names,
        "hyper_parameters": trainer.Config(lr=1e-4, precision=trainer.Precision.HALF),
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best": Path("x"), "scores": {3: torch.ones(1)}}},
        "loops": {"fit_loop": {"state_dict": {}, "progress": collections.deque([1, 2], 3)}},
        "optimizer_states": [{"state": {0: {"step": torch.ones(1)}}, "param_groups": [{"betas": (0.9, 0.999)}]}],
        "lr_schedulers": [functools.partial(trainer.schedule, 2), slotted, row, {1}, frozenset("a"), 2**80, b"x", 1j],
        "started": datetime.datetime(2024, 1, 1),
        "counts": collections.defaultdict(list, a=[1]),
        "hostile": [trainer.Hostile(), trainer.Config, print],
    }
    torch.save(content, tmp_path / "model.ckpt", **KINDS[request.param])
    del sys.modules["trainer"]
    (tmp_path / "imported").unlink()
    yield tmp_path / "model.ckpt"
    sys.modules.pop("trainer", None)


def test_a_trainers_checkpoint_gives_its_tensors_and_nothing_in_it_is_imported_or_called(trained):
    traces = [trained.parent / "imported", trained.parent / "called"]
    before = set(sys.modules)
    weights = read_weights(trained)
    assert set(sys.modules) == before
    assert not any(trace.exists() for trace in traces)
    assert weights.keys() == {"a"}
    assert torch.equal(weights["a"], NUMBERS)
    # That the traces work: torch does both where it is let.
    torch.load(trained, weights_only=False)
    assert all(trace.exists() for trace in traces)


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_are_those_that_were_saved(kind, tmp_path):
    torch.manual_seed(0)
    base = torch.rand(6, 8)
    tied = torch.nn.Linear(3, 3, bias=False)
    weights = {
        "odd": torch.ones(3, dtype=torch.uint8),  # after it, the older form's numbers lie at odd places
        "base": base,
        "turned": base.t(),
        "rows": base[1::2, 3:5],
        "repeated": base[0, 0].expand(2, 3),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "parameter": tied.weight,
        "tied": tied.weight,
        "float8": torch.ones(3).to(torch.float8_e4m3fn),
        **{str(dtype): torch.rand(3, 2).to(dtype) for dtype in (
            torch.bfloat16, torch.float16, torch.float64, torch.complex64, torch.int64, torch.int8, torch.bool
        )},
    }  # fmt: skip
    torch.save(weights, tmp_path / "model.pt", **KINDS[kind])
    found = read_weights(tmp_path / "model.pt")
    assert list(found) == list(weights)
    for name, value in weights.items():
        assert (found[name].dtype, found[name].stride()) == (value.dtype, value.stride()), name
        wide = torch.complex128  # holds them all; torch compares no numbers of 8 bits
        assert torch.equal(found[name].to(wide), value.to(wide)), name
        assert type(found[name]) is torch.Tensor
        assert not found[name].requires_grad
    assert found["base"].data_ptr() == found["turned"].data_ptr()
    assert found["tied"].data_ptr() == found["parameter"].data_ptr()
    # Written to in memory, not on disk.
    found["base"].zero_()
    assert torch.equal(read_weights(tmp_path / "model.pt")["base"], base)


class Saver(pickle.Pickler):
    """Pickles ``Stored`` as torch before 1.6 did a tensor whose storage is part of another."""

    def persistent_id(self, obj):
        return obj.identity if isinstance(obj, Stored) else None


class Stored:
    def __init__(self, *identity):
        self.identity = identity


class Rebuilt:
    def __init__(self, stored, offset, size, stride):
        self.arguments = (stored, offset, size, stride, False, collections.OrderedDict())

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.arguments


def write_legacy(path, content, keys=("7",), numbers=range(10), head=LEGACY_HEAD):
    """A file of the older form, by its description."""
    file = io.BytesIO()
    for part in head:
        pickle.dump(part, file, protocol=2)
    Saver(file, protocol=2).dump(content)
    pickle.dump(list(keys), file, protocol=2)
    file.write(struct.pack("<q", len(numbers)) + struct.pack(f"<{len(numbers)}f", *numbers))
    path.write_bytes(file.getvalue())


def test_a_storage_that_is_part_of_another(tmp_path):
    part = Stored("storage", torch.FloatStorage, "7", "cuda:0", 10, ("8", 4, 5))
    write_legacy(tmp_path / "old.pth", {"a": Rebuilt(part, 1, (2, 2), (2, 1))})
    assert torch.equal(read_weights(tmp_path / "old.pth")["a"], torch.tensor([[5.0, 6.0], [7.0, 8.0]]))


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(8, (3,), (1,)), (-1, (2,), (1,)), (0, (2, 6), (6, 1)), (0, (2,), (-1,)), (0, (-2,), (1,)), (0, "ab", (1, 1))],
)
def test_a_tensor_that_reaches_beyond_its_storage_is_refused(tmp_path, offset, size, stride):
    stored = Stored("storage", torch.FloatStorage, "7", "cpu", 10, None)
    write_legacy(tmp_path / "old.pth", {"a": Rebuilt(stored, offset, size, stride)})
    with pytest.raises(ConversionError, match=r"old\.pth is damaged"):
        read_weights(tmp_path / "old.pth")


@pytest.mark.parametrize("changes", [
    {"numbers": range(9)}, {"keys": ("8",)}, {"head": [LEGACY_HEAD[0], 1002, LEGACY_HEAD[2]]}, {"head": LEGACY_HEAD[:1]}
])  # fmt: skip
def test_an_older_file_whose_parts_disagree_is_refused(tmp_path, changes):
    stored = Stored("storage", torch.FloatStorage, "7", "cpu", 10, None)
    write_legacy(tmp_path / "old.pth", {"a": Rebuilt(stored, 0, (10,), (1,))}, **changes)
    with pytest.raises(ConversionError, match=r"old\.pth is damaged"):
        read_weights(tmp_path / "old.pth")


def repacked(source, dest, change=lambda name, data: data, compression=zipfile.ZIP_STORED):
    """The zip anew, its records changed on the way."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(dest, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, change(name.partition("/")[2], old.read(name)))


def test_numbers_of_the_other_byte_order_are_refused(tmp_path):
    torch.save({"a": NUMBERS}, tmp_path / "model.pt")
    repacked(tmp_path / "model.pt", tmp_path / "big.pt", lambda name, data: b"big" if name == "byteorder" else data)
    write_legacy(tmp_path / "old.pth", {}, head=[*LEGACY_HEAD[:2], LEGACY_HEAD[2] | {"little_endian": False}])
    for name in ("big.pt", "old.pth"):
        with pytest.raises(
            ConversionError, match=rf"{name} was written on a machine of the other byte order \(big-end"
        ):
            read_weights(tmp_path / name)


def test_zips_that_another_program_wrote(tmp_path):
    torch.save({"a": NUMBERS}, tmp_path / "model.pt")
    repacked(tmp_path / "model.pt", tmp_path / "stored.pt")
    assert torch.equal(read_weights(tmp_path / "stored.pt")["a"], NUMBERS)
    shorter = {"data/0": b"1234"}
    repacked(tmp_path / "model.pt", tmp_path / "shorter.pt", lambda name, data: shorter.get(name, data))
    repacked(tmp_path / "model.pt", tmp_path / "packed.pt", compression=zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        archive.writestr("readme.txt", "no checkpoint")
    for name in ("shorter.pt", "packed.pt", "other.pt"):
        with pytest.raises(ConversionError, match=rf"{name} is damaged or no torch checkpoint"):
            read_weights(tmp_path / name)


@pytest.mark.parametrize(
    "code",
    [
        b"\x82\x01.",
        b"}r\xff\xff\xff\x7f.",
        b"}p99999999999\n.",
        b"carray\narray\n.",
        b"K\x01\x85Q.",
        b"N}(K\x01K\x02d.",
        b".",
    ],
    ids=["extension table", "memo that fills memory", "the same in words", "class", "storage", "end missing", "empty"],
)
def test_hostile_pickles(tmp_path, code):
    torch.save({"a": NUMBERS}, tmp_path / "model.pt")
    change = {"data.pkl": b"\x80\x02" + code}
    repacked(tmp_path / "model.pt", tmp_path / "hostile.pt", lambda name, data: change.get(name, data))
    with pytest.raises(ConversionError, match=r"hostile\.pt is (damaged|no checkpoint)") as caught:
        read_weights(tmp_path / "hostile.pt")
    assert "\n" not in str(caught.value)


def test_a_pickle_cannot_change_the_reader(tmp_path):
    """What stands for classes is the same for every file, so that one file must not alter it for the next."""
    torch.save({"a": NUMBERS}, tmp_path / "model.pt")
    for name in (
        b"collections\nOrderedDict",
        b"torch._utils\n_rebuild_tensor_v2",
        b"torch._utils\nx",
        b"torch\nFloatStorage",
    ):
        for state in (
            b"}X\x04\x00\x00\x00makeK\x01s",
            b"N}X\x0c\x00\x00\x00__defaults__K\x01s\x86",
            b"}X\x08\x00\x00\x00__call__K\x01s",
        ):
            change = {"data.pkl": b"\x80\x02c" + name + b"\n" + state + b"b0}."}
            repacked(tmp_path / "model.pt", tmp_path / "hostile.pt", lambda name, data: change.get(name, data))  # noqa: B023
            with pytest.raises(ConversionError):
                read_weights(tmp_path / "hostile.pt")
    assert torch.equal(read_weights(tmp_path / "model.pt")["a"], NUMBERS)


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_harmed_files_are_read_or_refused_in_one_sentence(tmp_path, kind):
    torch.save({"state_dict": {"a": NUMBERS, "b": torch.rand(30)}, "when": datetime.date(2024, 1, 1)},
               tmp_path / "model.pt", **KINDS[kind])  # fmt: skip
    content, chance, refused = (tmp_path / "model.pt").read_bytes(), random.Random(0), []
    for _ in range(300):
        harmed = bytearray(content[: chance.randrange(len(content))] if chance.random() < 0.2 else content)
        for _ in range(chance.choice([1, 3, 30])):
            if harmed:
                harmed[chance.randrange(len(harmed))] = chance.randrange(256)
        (tmp_path / "model.pt").write_bytes(harmed)
        try:
            weights = read_weights(tmp_path / "model.pt")
        except ConversionError as error:
            refused.append(str(error))
        else:
            assert all(isinstance(value, torch.Tensor) for value in weights.values())
            [value.sum() for value in weights.values()]
    assert len(refused) > 100
    assert not any("\n" in sentence for sentence in refused)
