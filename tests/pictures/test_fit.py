"""What happens to the borders is sensible, and said."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from showme.pictures.fit import fit_photo


def picture(width: int, height: int) -> Image.Image:
    """x and y written into red and green."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, np.full_like(x, 128)], -1).astype(np.uint8))


def test_crop_keeps_the_centre_and_the_proportions():
    fitted, fit = fit_photo(picture(256, 128), 128, 128)
    assert fitted.size == (128, 128)
    assert fit.lost == pytest.approx(0.5)
    red, green = np.asarray(fitted)[..., 0], np.asarray(fitted)[..., 1]
    assert red[:, 0].mean() == pytest.approx(64, abs=2)
    assert red[:, -1].mean() == pytest.approx(191, abs=2)
    assert green[0].mean() == pytest.approx(0, abs=2)
    assert green[-1].mean() == pytest.approx(255, abs=2)
    assert fit.words == "50% of the photo was cut off at the left and right. Use --fit pad to keep all of it."


def test_crop_of_a_tall_photo_names_the_other_sides():
    assert fit_photo(picture(90, 100), 64, 64)[1].words == "10% of the photo was cut off at the top and bottom."


def test_a_photo_of_the_right_shape_loses_nothing():
    source = picture(64, 64)
    fitted, fit = fit_photo(source, 64, 64)
    assert np.array_equal(np.asarray(fitted), np.asarray(source))
    assert (fit.lost, fit.words) == (0, "The photo has the model's shape: nothing was cut off.")


def test_pad_keeps_everything_between_bars_of_the_edge_colour():
    source = Image.new("RGB", (128, 64), (200, 100, 50))
    fitted, fit = fit_photo(source, 64, 64, "pad")
    assert fitted.size == (64, 64)
    assert fit.added == pytest.approx(0.5)
    assert fitted.getpixel((3, 3)) == (200, 100, 50)
    assert fit.words == "All of the photo was kept; bars at the top and bottom fill 50% of the picture."


@pytest.mark.parametrize(("width", "height"), [(20_000, 16), (16, 20_000)])
@pytest.mark.parametrize("mode", ["crop", "pad"])
def test_extreme_shapes(width, height, mode):
    fitted, fit = fit_photo(Image.new("RGB", (width, height), "teal"), 64, 128, mode)
    assert fitted.size == (128, 64)
    assert "more than 99%" in fit.words if mode == "crop" else "bars" in fit.words


def test_a_small_photo_is_said_to_be_soft():
    assert "enlarged 4.0 times" in fit_photo(picture(16, 16), 64, 64)[1].words
