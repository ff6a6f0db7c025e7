"""Values of fewer bits than their file keeps: white is what the file says."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from showme.data.media.pictures import decode_picture
from showme.pictures.photo import open_photo

RAMP = np.tile(np.arange(0, 4096, 64, dtype=np.uint16), (32, 1))
# 12-bit values as the 8-bit ones that they are.
TRUTH = np.rint(RAMP / 4095 * 255).astype(np.uint8)


def png(values: np.ndarray, bits: int | None) -> bytes:
    """A PNG of 16 bits a channel, grey or RGB, that says how many of them are significant."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = values.shape[:2]
    channels = 1 if values.ndim == 2 else 3
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, channels - 1, 0, 0, 0))]
    parts += [chunk(b"sBIT", bytes([bits] * channels))] if bits else []
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")])


@pytest.mark.parametrize(
    ("values", "bits"),
    [
        (RAMP, 12),
        (RAMP << 4, 12),
        ((RAMP << 4) | (RAMP >> 8), 12),
        (np.rint(RAMP * (65535 / 4095)).astype(np.uint16), None),
        (RAMP >> 2, 10),
    ],
    ids=["not scaled", "shifted", "replicated", "all 16 bits", "10 bits"],
)
def test_the_significant_bits_of_a_png(tmp_path, values, bits):
    path = tmp_path / "grey.png"
    path.write_bytes(png(values, bits))
    for grey in (np.asarray(open_photo(path).image), decode_picture(path.read_bytes(), path)):
        assert np.abs(grey[..., 0].astype(int) - TRUTH).max() <= 1


@pytest.mark.parametrize("tag", [281, 341], ids=["MaxSampleValue", "SMaxSampleValue"])
def test_the_largest_value_of_a_tiff(tmp_path, tag):
    path = tmp_path / "grey.tiff"
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[tag] = 4095
    Image.fromarray(RAMP).save(path, tiffinfo=tags)
    photo = open_photo(path)
    assert np.array_equal(np.asarray(photo.image)[..., 0], TRUTH)
    assert photo.notes == ("Its 12 bits per pixel were reduced to 8.",)


def test_colours_of_12_bits(tmp_path):
    values = np.stack([RAMP, RAMP[:, ::-1], RAMP // 2], -1)
    path = tmp_path / "colours.png"
    for written in (values, values << 4):
        path.write_bytes(png(written, 12))
        for rgb in (np.asarray(open_photo(path).image), decode_picture(path.read_bytes(), path)):
            assert np.abs(rgb - values / 4095 * 255).max() <= 1


def test_colours_of_a_tiff_of_12_bits(tmp_path):
    # Pillow writes no colours of 16 bits.
    tags = {256: 21, 257: 32, 258: 16, 259: 1, 262: 2, 273: 512, 277: 3, 278: 32, 279: 21 * 32 * 6, 284: 1, 341: 4095}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items() if tag != 258)
    values = RAMP[:, :63].reshape(32, 21, 3)
    bits = struct.pack("<HHII", 258, 3, 3, 400)
    entries = entries[:24] + bits + entries[24:]
    data = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0)
    data = data.ljust(400, b"\0") + struct.pack("<3H", 16, 16, 16)
    path = tmp_path / "colours.tiff"
    path.write_bytes(data.ljust(512, b"\0") + values.astype("<u2").tobytes())
    assert np.abs(np.asarray(open_photo(path).image) - values / 4095 * 255).max() <= 1
