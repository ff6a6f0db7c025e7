"""Uploads: what is no photo, or too large, is refused with a sentence, and nothing of it stays."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from showme.errors import InputError
from showme.studio.photos import keep_photo, keep_region
from showme.studio.settings import StudioSettings

SETTINGS = StudioSettings(max_pixels=1_000_000)


@pytest.fixture
def photos(tmp_path):
    place = tmp_path / "photos"
    place.mkdir()
    return place


def archive() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("a.txt", "text")
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.png", archive(), r"^a\.png is not a picture that can be read"),
        ("page.png", b"<!doctype html><script>alert(1)</script>", r"^page\.png is not a picture"),
        ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', r"^a\.svg is not a picture"),
        ("text.jpg", b"nothing", r"^text\.jpg is not a picture"),
        ("empty.png", b"", r"^empty\.png is empty"),
    ],
)
def test_what_is_no_photo(tmp_path, photos, name, data, sentence):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=sentence):
        keep_photo(tmp_path / name, photos, SETTINGS)
    assert not list(photos.iterdir())


def test_too_many_pixels_are_refused_by_the_header(tmp_path, photos):
    Image.new("1", (30_000, 100)).save(tmp_path / "wide.png")
    with pytest.raises(InputError, match=r"^wide\.png is 30000x100 pixels: this studio takes 1 million pixels at most"):
        keep_photo(tmp_path / "wide.png", photos, SETTINGS)


def test_too_many_bytes(tmp_path, photos):
    Image.effect_noise((64, 64), 50).save(tmp_path / "noise.png")
    with pytest.raises(InputError, match="this studio takes 0 MB at most"):
        keep_photo(tmp_path / "noise.png", photos, SETTINGS.model_copy(update={"max_bytes": 100}))


def test_one_photo_is_kept_once_whatever_its_name(tmp_path, photos):
    picture = Image.new("RGB", (32, 32), (10, 200, 30))
    for name in ("a.png", "..%2F..%2Fb.png"):
        picture.save(tmp_path / name)
    first, second = (keep_photo(tmp_path / name, photos, SETTINGS) for name in ("a.png", "..%2F..%2Fb.png"))
    assert first == second
    assert [path.name for path in photos.iterdir()] == [first]


def test_a_painted_region_has_the_photos_shape_and_something_in_it(tmp_path, photos):
    Image.new("RGB", (64, 48), (10, 200, 30)).save(tmp_path / "a.png")
    photo = keep_photo(tmp_path / "a.png", photos, SETTINGS)
    mask = np.zeros((48, 64), np.uint8)
    with pytest.raises(InputError, match="--region of yours is empty"):
        keep_region(Image.fromarray(mask), photo, photos, (32, 32), "crop")
    with pytest.raises(InputError, match="--region of yours is 48x48, of another shape"):
        keep_region(Image.new("L", (48, 48), 255), photo, photos, (32, 32), "crop")
    mask[10:30, 20:40] = 255
    kept = keep_region(Image.fromarray(mask), photo, photos, (32, 32), "crop")
    assert (np.asarray(Image.open(photos / kept)) == mask).all()
    assert sorted(path.name for path in photos.iterdir()) == sorted([photo, kept])
