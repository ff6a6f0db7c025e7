"""PNG and AVIF whose tags say that they are not sRGB: Display P3, BT.2020, other curves and HDR."""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from showme.data.media import TarPictures, Video
from showme.data.media.archive import read_members
from showme.data.media.colours import Colours
from showme.data.media.pictures import decode_picture
from showme.data.sources import open_source
from showme.errors import ClipError, ShowMeWarning
from showme.pictures.light import tone_map
from showme.pictures.photo import open_photo, upright_rgb

BT709, BT2020, P3, DCI_P3 = 1, 9, 12, 11
SRGB, LINEAR, PQ, HLG = 13, 8, 16, 18
# Wide codes that sRGB can show, as colour managers show them (W3C's CSS Color 4, sample code of its conversions).
WIDE = [(120, 100, 90), (190, 180, 130), (60, 140, 100), (0, 0, 0), (255, 255, 255), (128, 128, 128)]
XYZ_TO_SRGB = np.array(
    [[3.2409699, -1.5373832, -0.4986108], [-0.9692436, 1.8759675, 0.0415551], [0.0556301, -0.2039770, 1.0569715]]
)
TO_XYZ = {
    P3: [[0.4865709, 0.2656677, 0.1982173], [0.2289746, 0.6917385, 0.0792869], [0.0, 0.0451134, 1.0439444]],
    BT2020: [[0.6369580, 0.1446169, 0.1688810], [0.2627002, 0.6779981, 0.0593017], [0.0, 0.0280727, 1.0609851]],
}


def shown(codes, primaries: int) -> np.ndarray:
    code = np.asarray(codes) / 255
    light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    light = np.clip(light @ (XYZ_TO_SRGB @ np.array(TO_XYZ[primaries])).T, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tagged_png(pixels: np.ndarray, primaries: int, curve: int, *others: bytes, full: int = 1) -> bytes:
    """A PNG of uint8 (H, W, C) or uint16 (H, W, 3) with a cICP chunk behind its header."""
    if pixels.dtype == np.uint8:
        Image.fromarray(pixels).save(file := io.BytesIO(), "PNG")
        data = file.getvalue()
    else:
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
        header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, 2, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    tags = chunk(b"cICP", bytes([primaries, curve, 0, full]))
    return data[:33] + tags + b"".join(others) + data[33:]


def tagged_avif(pixels: np.ndarray, primaries: int, curve: int) -> bytes:
    Image.fromarray(pixels).save(file := io.BytesIO(), "AVIF", quality=100, subsampling="4:4:4")
    data = bytearray(file.getvalue())
    place = data.find(b"colrnclx") + 8
    data[place : place + 4] = struct.pack(">HH", primaries, curve)
    return bytes(data)


def flat(colour, dtype: type = np.uint8) -> np.ndarray:
    return np.tile(np.array(colour, dtype), (32, 32, 1))


@pytest.mark.parametrize("primaries", [P3, BT2020])
@pytest.mark.parametrize("curve", [SRGB, 1])
@pytest.mark.parametrize("colour", WIDE)
def test_wide_colours_become_srgb(tmp_path, primaries, curve, colour):
    expected = shown(colour, primaries)
    for write, name in ((tagged_png, "wide.png"), (tagged_avif, "wide.avif")):
        data = write(flat(colour), primaries, curve)
        (tmp_path / name).write_bytes(data)
        photo = open_photo(tmp_path / name)
        assert np.abs(np.asarray(photo.image)[8, 8] - expected).max() <= 2, name
        assert "Its colours were converted to sRGB, as its colour tags say." in photo.notes
        assert np.array_equal(photo.image, upright_rgb(Image.open(io.BytesIO(data))))
    assert np.array_equal(decode_picture(tagged_png(flat(colour), primaries, curve), tmp_path), photo_pixels(tmp_path))


def photo_pixels(folder) -> np.ndarray:
    return np.asarray(open_photo(folder / "wide.png").image)


def test_linear_light_of_16_bits():
    grey = tagged_png(flat((14000, 14000, 14000), np.uint16), BT709, LINEAR)
    expected = 255 * (1.055 * (14000 / 65535) ** (1 / 2.4) - 0.055)
    assert np.abs(decode_picture(grey, "x.png").astype(int) - expected).max() <= 1


@pytest.mark.parametrize("curve", [SRGB, 1, 2, 6])
def test_what_is_srgb_stays_what_it_is(tmp_path, curve):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    path = tmp_path / "plain.png"
    path.write_bytes(tagged_png(pixels, BT709, curve))
    assert np.array_equal(open_photo(path).image, pixels)
    assert not open_photo(path).notes


@pytest.mark.parametrize(("curve", "name"), [(PQ, "PQ"), (HLG, "HLG")])
@pytest.mark.parametrize("primaries", [BT709, P3, BT2020])
def test_hdr_is_mapped_as_videos_are(tmp_path, curve, name, primaries):
    codes = flat((38000, 30000, 24000), np.uint16)
    expected = tone_map(codes, curve, primaries, 10.0).astype(int)
    (tmp_path / "deep.png").write_bytes(tagged_png(codes, primaries, curve))
    (tmp_path / "eight.avif").write_bytes(tagged_avif((codes >> 8).astype(np.uint8), primaries, curve))
    for file, within in (("deep.png", 0), ("eight.avif", 8)):
        photo = open_photo(tmp_path / file)
        assert np.abs(np.asarray(photo.image) - expected).max() <= within, file
        assert f"It is HDR ({name}): its colours were mapped to SDR by the Mobius curve." in photo.notes


@pytest.mark.parametrize("light", [chunk(b"cLLI", struct.pack(">II", 4000 * 10_000, 0)),
                                   chunk(b"mDCV", bytes(16) + struct.pack(">II", 4000 * 10_000, 1))])  # fmt: skip
def test_the_brightest_light_is_the_files(light):
    codes = flat((50000, 50000, 50000), np.uint16)
    with pytest.warns(ShowMeWarning, match="is HDR"):
        pixels = decode_picture(tagged_png(codes, BT2020, PQ, light), "x.png")
    assert np.array_equal(pixels, tone_map(codes, PQ, BT2020, 40.0))


def hdr_picture() -> bytes:
    return tagged_png(flat((90, 90, 90)), BT2020, PQ)


def test_hdr_pictures_of_a_data_set_are_reported_or_refused(tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "1.png").write_bytes(hdr_picture())
    (tmp_path / "index.jsonl").write_text('{"id": "7", "file": "7", "instruction": "x"}\n')
    (record,) = open_source(str(tmp_path), ["fps=5"]).records()
    with pytest.warns(ShowMeWarning, match=r"1.png is HDR \(PQ\): its colours are mapped to SDR"):
        list(record.media.open().read([0]))
    (record,) = open_source(str(tmp_path), ["fps=5", "colours.hdr=refuse"]).records()
    with pytest.raises(ClipError, match=r"it is HDR, PQ.*set colours.hdr=map"):
        list(record.media.open().read([0]))


def test_every_clip_of_pictures_heeds_the_choice(tmp_path):
    data, refuse = hdr_picture(), Colours(hdr="refuse")
    tar = tmp_path / "x.tar"
    with tarfile.open(tar, "w") as archive:
        info = tarfile.TarInfo("1.png")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    others = [Image.fromarray(flat((value, 90, 90))) for value in (80, 100)]
    others[0].save(file := io.BytesIO(), "PNG", save_all=True, append_images=others[1:], duration=100)
    moves = tmp_path / "moves.png"
    moves.write_bytes(file.getvalue()[:33] + chunk(b"cICP", bytes([BT2020, PQ, 0, 1])) + file.getvalue()[33:])
    for media in (TarPictures(tar, tuple(read_members(tar)), colours=refuse), Video(moves, colours=refuse)):
        with pytest.raises(ClipError, match="it is HDR, PQ"), media.open() as frames:
            list(frames.read([0]))
        assert media.identity() != replace(media, colours=Colours()).identity()


def test_transparency_and_greys_and_turns(tmp_path):
    colour = (190, 180, 130)
    half = flat((*colour, 128))
    on_white = shown(colour, P3) * 128 / 255 + 255 * 127 / 255
    assert np.abs(decode_picture(tagged_png(half, P3, SRGB), tmp_path)[4, 4] - on_white).max() <= 2
    grey = np.full((32, 32), 100, np.uint8)
    assert np.array_equal(decode_picture(tagged_png(grey, P3, SRGB), tmp_path), np.repeat(grey[..., None], 3, 2))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(file := io.BytesIO(), "PNG", exif=exif)
    data = file.getvalue()
    turned = data[:33] + chunk(b"cICP", bytes([P3, SRGB, 0, 1])) + data[33:]
    assert decode_picture(turned, tmp_path).shape == (40, 20, 3)


@pytest.mark.parametrize(
    ("primaries", "curve", "full", "reason"),
    [
        (DCI_P3, SRGB, 1, "its primaries are number 11"),
        (P3, 10, 1, "its transfer characteristics are number 10"),
        (P3, SRGB, 0, "it is coded in limited range"),
    ],
)
def test_what_is_not_read_is_reported(tmp_path, primaries, curve, full, reason):
    path = tmp_path / "odd.png"
    path.write_bytes(tagged_png(flat((9, 8, 7)), primaries, curve, full=full))
    photo = open_photo(path)
    assert any(note.startswith(f"Its colour profile cannot be used ({reason}") for note in photo.notes)
    assert np.array_equal(photo.image, flat((9, 8, 7)))


def test_animations_too(tmp_path):
    colours = [(190, 180, 130), (60, 140, 100), (120, 100, 90)]
    first, *others = (Image.fromarray(flat(colour)) for colour in colours)
    first.save(file := io.BytesIO(), "PNG", save_all=True, append_images=others, duration=100)
    data = file.getvalue()
    path = tmp_path / "moves.png"
    path.write_bytes(data[:33] + chunk(b"cICP", bytes([P3, SRGB, 0, 1])) + data[33:])
    with Video(path).open() as frames:
        pictures = list(frames.read(range(3)))
    for picture, colour in zip(pictures, colours, strict=True):
        assert np.abs(picture[4, 4] - shown(colour, P3)).max() <= 2
