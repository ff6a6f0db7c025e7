"""Colour profiles become sRGB, as LittleCMS and the definition of Adobe RGB have it."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from showme.data.media import Video
from showme.data.media.pictures import decode_picture
from showme.errors import ShowMeWarning
from showme.pictures.photo import open_photo

# Colorants of Adobe RGB (1998) under D50, and the matrix from its light to sRGB's.
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
TO_SRGB = np.array([[1.39836, -0.39836, 0.0], [0.0, 1.0, 0.0], [0.0, -0.04293, 1.04293]])
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile(space: bytes = b"RGB ") -> bytes:
    """Adobe RGB as an ICC profile, or grey of its curve."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, 563) + b"\0\0"
    tags = {b"wtpt": _xyz((0.9642, 1, 0.8249))}
    if space == b"RGB ":
        tags |= {name: _xyz(value) for name, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE, strict=True)}
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    else:
        tags[b"kTRC"] = curve
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(value))
        body += value
    head = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(body), b"lcms", 0x02400000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


def _xyz(values) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def encoded(light: np.ndarray) -> np.ndarray:
    light = np.clip(light, 0, 1)
    return np.rint(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))


@pytest.fixture
def colours() -> np.ndarray:
    return np.random.default_rng(0).integers(30, 200, (24, 32, 3), dtype=np.uint8)


def saved(tmp_path, image: Image.Image, suffix: str = "png", **settings):
    path = tmp_path / f"photo.{suffix}"
    image.save(path, **settings)
    return path


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
def test_adobe_rgb_in_photos_and_frames(tmp_path, colours, suffix, mode):
    settings = {"lossless": True} if suffix == "webp" else {}
    path = saved(tmp_path, Image.fromarray(colours).convert(mode), suffix, icc_profile=profile(), **settings)
    truth = encoded((colours / 255) ** (563 / 256) @ TO_SRGB.T)
    photo = open_photo(path)
    assert np.abs(np.asarray(photo.image) - truth).max() <= 2
    assert photo.notes == ("Its colours were converted from its colour profile to sRGB.",)
    if suffix != "tiff":
        assert np.array_equal(decode_picture(path.read_bytes(), path), np.asarray(photo.image))


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_grey_profiles(tmp_path, colours, mode):
    grey = colours[..., 0]
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    path = saved(tmp_path, image, icc_profile=profile(b"GRAY"))
    truth = encoded((grey / 255) ** (563 / 256))
    assert np.abs(np.asarray(open_photo(path).image)[..., 0] - truth).max() <= 2


def test_srgb_under_any_name_changes_nothing(tmp_path, colours):
    photo = open_photo(saved(tmp_path, Image.fromarray(colours), icc_profile=SRGB))
    assert np.array_equal(np.asarray(photo.image), colours)
    assert photo.notes == ()


@pytest.mark.parametrize("damaged", [b"no profile", profile()[:200], profile(b"GRAY")], ids=["text", "cut", "grey"])
def test_a_profile_that_cannot_be_used_is_noted(tmp_path, colours, damaged):
    photo = open_photo(saved(tmp_path, Image.fromarray(colours), icc_profile=damaged))
    assert np.array_equal(np.asarray(photo.image), colours)
    assert len(photo.notes) == 1
    assert photo.notes[0].startswith("Its colour profile cannot be used (")


def test_frames_of_a_folder_warn_of_it_once(tmp_path, colours):
    path = saved(tmp_path, Image.fromarray(colours), icc_profile=b"no profile")
    with pytest.warns(ShowMeWarning, match=r"photo\.png has a colour profile that cannot be used") as caught:
        assert all(np.array_equal(decode_picture(path.read_bytes(), path), colours) for _ in range(2))
    assert len(caught) == 1


def test_profiles_of_decoded_frames(tmp_path, colours):
    truth = encoded((colours / 255) ** (563 / 256) @ TO_SRGB.T)
    images = [Image.fromarray(colours), Image.fromarray(colours[::-1])]
    path = saved(tmp_path, images[0], save_all=True, append_images=images[1:], duration=100, icc_profile=profile())
    with Video(path).open() as frames:
        first, second = frames.read([0, 1])
    assert np.abs(first - truth).max() <= 2
    assert np.abs(second - truth[::-1]).max() <= 2


def test_cmyk_with_a_profile_of_rgb_is_read_without_it(tmp_path, colours):
    image = Image.fromarray(colours).convert("CMYK")
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", icc_profile=profile())
    path = tmp_path / "photo.tiff"
    path.write_bytes(buffer.getvalue())
    photo = open_photo(path)
    assert np.array_equal(np.asarray(photo.image), np.asarray(image.convert("RGB")))
    assert "cannot be used" in photo.notes[0]
