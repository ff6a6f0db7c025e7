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
    """A grey PNG of 16 bits a pixel that says how many of them are significant."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0))]
    parts += [chunk(b"sBIT", bytes([bits]))] if bits else []
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
