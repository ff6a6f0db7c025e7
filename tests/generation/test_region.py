"""``--region``: the picture is cut as the photo is, and refused where it says nothing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from showme.errors import InputError
from showme.generation.region import read_region
from showme.pictures.fit import fit_photo

PHOTO = Image.new("RGB", (120, 60), (200, 40, 40))


def _mask(path, box, size=(120, 60), level=255):
    picture = Image.new("L", size, 0)
    picture.paste(level, box)
    picture.save(path)
    return str(path)


def test_it_is_cut_where_the_photo_is(tmp_path):
    marked = PHOTO.copy()
    marked.paste((0, 0, 255), (40, 10, 70, 40))
    file = _mask(tmp_path / "mask.png", (40, 10, 70, 40))
    for fit in ("crop", "pad"):
        seen = np.asarray(fit_photo(marked, 48, 48, fit)[0])
        blue = seen[..., 2].astype(int) - seen[..., 0] > 0
        region = np.asarray(read_region(file, marked, (48, 48), fit)) >= 128
        assert (region != blue).mean() < 0.03
    large = _mask(tmp_path / "large.png", (400, 100, 700, 400), (1200, 600))
    same = np.asarray(read_region(large, marked, (48, 48), "crop")) >= 128
    assert (same == (np.asarray(read_region(file, marked, (48, 48), "crop")) >= 128)).mean() > 0.99


def test_bars_are_never_part_of_it(tmp_path):
    file = _mask(tmp_path / "mask.png", (0, 0, 120, 60))
    region = np.asarray(read_region(file, PHOTO, (48, 48), "pad")) >= 128
    assert not region[:12].any()
    assert not region[-12:].any()
    assert region[20:28, 10:40].all()


def test_white_is_everywhere():
    assert read_region("white", PHOTO, (48, 48), "crop") == "white"


@pytest.mark.parametrize(
    ("box", "size", "level", "sentence"),
    [
        ((0, 0, 10, 10), (60, 60), 255, r"is 60x60, of another shape than the photo's 120x60: paint the region over"),
        ((0, 0, 0, 0), (120, 60), 255, r"is empty \(black everywhere\): paint white where the action happens"),
        ((40, 10, 70, 40), (120, 60), 90, r"is empty \(black everywhere\)"),
        ((0, 0, 10, 60), (120, 60), 255, r"is empty \(outside of what the model sees of the photo\)"),
    ],
)
def test_what_says_nothing_is_refused(tmp_path, box, size, level, sentence):
    file = _mask(tmp_path / "mask.png", box, size, level)
    with pytest.raises(InputError, match=sentence):
        read_region(file, PHOTO, (48, 48), "crop")
