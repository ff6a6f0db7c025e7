"""Every mode, orientation and format becomes the same upright RGB picture; everything else one sentence."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from showme.errors import InputError
from showme.pictures.photo import open_photo

WIDTH, HEIGHT = 40, 30


def scene() -> Image.Image:
    """Red on the left, blue on the right, brighter towards the top."""
    ramp = np.linspace(255, 60, HEIGHT)[:, None]
    pixels = np.zeros((HEIGHT, WIDTH, 3))
    pixels[:, : WIDTH // 2, 0] = ramp
    pixels[:, WIDTH // 2 :, 2] = ramp
    return Image.fromarray(pixels.astype(np.uint8))


def difference(image: Image.Image, expected: Image.Image) -> float:
    """Mean absolute difference in 0..255."""
    return float(np.abs(np.asarray(image, float) - np.asarray(expected, float)).mean())


def header_only_png(width: int, height: int) -> bytes:
    """A PNG that promises a size and holds no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("RGB", "png"),
        ("RGB", "bmp"),
        ("RGB", "tiff"),
        ("RGBA", "png"),
        ("RGBX", "tiff"),
        ("P", "png"),
        ("P", "gif"),
        ("CMYK", "tiff"),
        ("YCbCr", "tiff"),
        ("RGB", "ppm"),
    ],
)
def test_colour_modes_keep_their_colours(tmp_path, mode, suffix):
    path = tmp_path / f"photo.{suffix}"
    scene().convert(mode).save(path)
    photo = open_photo(path)
    assert photo.image.mode == "RGB"
    assert photo.image.size == (WIDTH, HEIGHT)
    assert difference(photo.image, scene()) < 12


@pytest.mark.parametrize(("suffix", "settings"), [("jpg", {"quality": 95}), ("webp", {"lossless": True})])
def test_compressed_formats(tmp_path, suffix, settings):
    path = tmp_path / f"photo.{suffix}"
    scene().save(path, **settings)
    assert difference(open_photo(path).image, scene()) < 12


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_greys(tmp_path, mode):
    grey = scene().convert("L")
    path = tmp_path / "photo.png"
    grey.convert(mode).save(path)
    expected = grey.convert(mode).convert("RGB")
    assert difference(open_photo(path).image, expected) == 0


@pytest.mark.parametrize(
    ("values", "suffix"),
    [
        (np.uint16(257), "png"),
        (np.uint16(257), "tiff"),
        (np.int32(257), "tiff"),
        (np.int32(1), "tiff"),
        (np.float32(1), "tiff"),
        (np.float32(1) / np.float32(255), "tiff"),
    ],
)
def test_high_range_greys_are_scaled_not_clipped(tmp_path, values, suffix):
    grey = scene().convert("L")
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(np.asarray(grey).astype(type(values)) * values).save(path)
    assert difference(open_photo(path).image, grey.convert("RGB")) <= 1


def test_float_pictures_of_any_range_are_stretched_and_said_so(tmp_path):
    path = tmp_path / "depth.tiff"
    Image.fromarray(np.linspace(-3, 9, WIDTH * HEIGHT, dtype=np.float32).reshape(HEIGHT, WIDTH)).save(path)
    photo = open_photo(path)
    assert photo.image.getextrema() == ((0, 255),) * 3
    assert "-3 to 9" in photo.notes[0]


def test_transparency_becomes_white_and_is_said(tmp_path):
    image = scene().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, WIDTH // 2, HEIGHT))
    image.save(tmp_path / "photo.png")
    photo = open_photo(tmp_path / "photo.png")
    assert photo.image.getpixel((2, 2)) == (255, 255, 255)
    assert photo.image.getpixel((WIDTH - 2, 2))[2] > 200
    assert photo.notes == ("Transparent parts were filled with white.",)


def test_a_palette_with_a_transparent_colour(tmp_path):
    image = Image.new("P", (WIDTH, HEIGHT), 1)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.paste(0, (0, 0, WIDTH // 2, HEIGHT))
    image.save(tmp_path / "photo.png", transparency=0)
    photo = open_photo(tmp_path / "photo.png")
    assert photo.image.getpixel((2, 2)) == (255, 255, 255)
    assert photo.image.getpixel((WIDTH - 2, 2)) == (200, 0, 0)


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (3, Image.Transpose.ROTATE_180),
        (6, Image.Transpose.ROTATE_90),
        (8, Image.Transpose.ROTATE_270),
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
    ],
)
def test_exif_orientation_is_undone(tmp_path, orientation, stored):
    exif = Image.Exif()
    exif[0x0112] = orientation
    scene().transpose(stored).save(tmp_path / "photo.png", exif=exif)
    photo = open_photo(tmp_path / "photo.png")
    assert difference(photo.image, scene()) == 0
    assert "turned upright" in photo.notes[0]


def test_only_the_first_picture_of_several_is_used_and_said(tmp_path):
    scene().save(tmp_path / "photo.gif", save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT))] * 2)
    photo = open_photo(tmp_path / "photo.gif")
    assert difference(photo.image, scene()) < 12
    assert photo.notes[0].startswith("The file holds")


def test_the_file_is_fingerprinted(tmp_path):
    path = tmp_path / "photo.png"
    scene().save(path)
    photo = open_photo(path)
    assert (photo.size_bytes, photo.format, len(photo.sha256)) == (path.stat().st_size, "PNG", 64)


def bad_files(folder) -> dict[str, str]:
    """Name of a bad file -> what its error must say; writes the files."""
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("this is no picture " * 20)
    (folder / "bomb.png").write_bytes(header_only_png(30_000, 30_000))
    (folder / "hollow.png").write_bytes(header_only_png(64, 64))
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.new("RGB", (15, 4000)).save(folder / "line.png")
    noise = Image.effect_noise((200, 200), 90).convert("RGB")
    for suffix in ("png", "jpg", "webp", "tiff", "bmp", "gif"):
        noise.save(folder / f"whole.{suffix}")
        data = (folder / f"whole.{suffix}").read_bytes()
        (folder / f"cut.{suffix}").write_bytes(data[: len(data) // 2])
    (folder / "folder.png").mkdir()
    return {
        "missing.png": "There is no file",
        "folder.png": "is a folder",
        "empty.png": "is empty",
        "text.png": "is not a picture",
        "bomb.png": "too large",
        "hollow.png": "damaged",
        "dot.png": "1x1",
        "line.png": "at least 16",
        **{f"cut.{suffix}": "damaged|not a picture" for suffix in ("png", "jpg", "webp", "tiff", "bmp", "gif")},
    }


def test_every_bad_file_is_one_sentence_that_names_it(tmp_path):
    for name, words in bad_files(tmp_path).items():
        with pytest.raises(InputError, match=words) as caught:
            open_photo(tmp_path / name)
        message = str(caught.value)
        assert name in message
        assert "\n" not in message
        assert message.endswith(".")


def test_floats_that_pass_one_by_a_little_are_white_there(tmp_path):
    path = tmp_path / "over.tif"
    Image.fromarray(np.linspace(0, 1.2, 32 * 32, dtype=np.float32).reshape(32, 32)).save(path)
    photo = open_photo(path)
    pixels = np.asarray(photo.image)[..., 0].ravel()
    assert np.array_equal(pixels, np.rint(np.linspace(0, 1.2, 32 * 32, dtype=np.float32).clip(max=1) * 255))
    assert photo.notes == ("Its values, 0 to 1, were read as black to white, and what lies above 1, to 1.2, as white.",)
