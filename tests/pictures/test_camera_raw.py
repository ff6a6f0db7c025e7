"""Camera raw files are known by their content and never taken for their thumbnail."""

from __future__ import annotations

import struct
import sys

import numpy as np
import pytest
from PIL import Image

from showme.errors import InputError
from showme.pictures.photo import open_photo

WIDTH, HEIGHT = 160, 120


def directory(order: str, tags: list[tuple[int, int, int]]) -> bytes:
    """A TIFF directory of LONG values, the last of its file."""
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, _, value in tags)
    return struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0)


def raw_file(order: str = "<", version: bool = False, head: bytes = b"") -> bytes:
    """A thumbnail in the first directory, a mosaic in another below it."""
    pixels = bytes([90]) * (32 * 32)
    first = [(254, 4, 1), (256, 4, 32), (257, 4, 32), (258, 4, 8), (259, 4, 1), (262, 4, 1), (273, 4, 600),
             (277, 4, 1), (278, 4, 32), (279, 4, len(pixels)), (330, 4, 300)]  # fmt: skip
    first += [(50706, 4, 0x401)] if version else []
    second = [(256, 4, WIDTH), (257, 4, HEIGHT), (258, 4, 16), (259, 4, 1), (262, 4, 32803), (273, 4, 600)]
    mark = b"II*\0" if order == "<" else b"MM\0*"
    data = (mark + struct.pack(f"{order}I", 16) + head).ljust(16, b"\0") + directory(order, first)
    return (data.ljust(300, b"\0") + directory(order, second)).ljust(600, b"\0") + pixels


@pytest.mark.parametrize("name", ["photo.nef", "photo.tif", "photo.jpg"])
@pytest.mark.parametrize(
    "data",
    [
        raw_file("<"),
        raw_file(">"),
        raw_file(head=b"CR\2\0"),
        b"\0\0\0\x18ftypcrx " + bytes(64),
        b"FUJIFILMCCD-RAW " * 4,
    ],
    ids=["little", "big", "CR2", "CR3", "RAF"],
)
def test_a_mosaic_is_refused_whatever_its_name(tmp_path, data, name):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"{name} is a camera raw file, whose thumbnail is no photo: export"):
        open_photo(path)


def test_a_dng_without_the_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rawpy", None)
    path = tmp_path / "photo.dng"
    path.write_bytes(raw_file(version=True))
    with pytest.raises(InputError, match=r'needs the package rawpy: pip install "showme\[raw\]", or export'):
        open_photo(path)


def test_a_dng_that_cannot_be_developed_is_refused(tmp_path):
    pytest.importorskip("rawpy")
    path = tmp_path / "photo.dng"
    path.write_bytes(raw_file(version=True))
    with pytest.raises(InputError, match=r"photo\.dng is damaged"):
        open_photo(path)


def test_plain_tiff_is_no_raw_file(tmp_path):
    path = tmp_path / "photo.tiff"
    Image.fromarray(np.full((40, 50, 3), 120, np.uint8)).save(path)
    assert open_photo(path).image.size == (50, 40)
