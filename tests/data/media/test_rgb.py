"""Pixels of known value come back within one level, whatever the format, matrix, range, size and shape of pixels."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from showme.data.media.rgb import to_rgb

# Kr and Kb of ITU-R BT.709, BT.601 and BT.2020, by ITU-T H.273's number of the matrix.
LUMA = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}
COLOURS = [(255, 255, 255), (0, 0, 0), (128, 128, 128), (200, 60, 50), (60, 180, 70), (40, 80, 200), (255, 0, 0)]
FORMATS = {"yuv420p": 8, "nv12": 8, "yuv422p": 8, "yuv444p": 8, "yuv420p10le": 10, "yuv422p10le": 10,
           "yuv444p10le": 10, "yuv420p12le": 12, "yuv444p12le": 12}  # fmt: skip


def codes_of(rgb: np.ndarray, bits: int, matrix: int, full: bool) -> np.ndarray:
    """Code values (..., 3) of RGB, 0 to 255, by the definition."""
    kr, kb = LUMA[matrix]
    red, green, blue = np.moveaxis(rgb / 255, -1, 0)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
    unit, largest = 2 ** (bits - 8), 2**bits - 1
    scales = (largest, 0, largest) if full else (219 * unit, 16 * unit, 224 * unit)
    planes = [luma * scales[0] + scales[1], *(each * scales[2] + 128 * unit for each in chroma)]
    return np.rint(np.clip(np.stack(planes, -1), 0, largest)).astype(int)


def meant(codes: np.ndarray, bits: int, matrix: int, full: bool) -> np.ndarray:
    """RGB, 0 to 255, that code values stand for."""
    kr, kb = LUMA[matrix]
    unit, largest = 2 ** (bits - 8), 2**bits - 1
    luma = codes[..., 0] / largest if full else (codes[..., 0] - 16 * unit) / (219 * unit)
    blue, red = ((codes[..., at] - 128 * unit) / (largest if full else 224 * unit) for at in (1, 2))
    r, b = luma + (2 - 2 * kr) * red, luma + (2 - 2 * kb) * blue
    return np.clip(np.stack([r, (luma - kr * r - kb * b) / (1 - kr - kb), b], -1), 0, 1) * 255


def frame_of(codes: np.ndarray, name: str, matrix: int = 5, full: bool = False) -> av.VideoFrame:
    """Code values (H, W, 3) as a frame; of chroma that is shared every pixel's first is taken."""
    height, width = codes.shape[:2]
    frame = av.VideoFrame(width, height, name)
    channels = [codes[..., 0], codes[..., 1:]] if name == "nv12" else list(np.moveaxis(codes, -1, 0))
    dtype = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
    for plane, channel in zip(frame.planes, channels, strict=False):
        part = channel[:: -(-height // plane.height), :: -(-width // plane.width)].reshape(plane.height, -1)
        rows = np.zeros((plane.height, plane.line_size // dtype().itemsize), dtype)
        rows[:, : part.shape[1]] = part
        plane.update(rows.tobytes())
    frame.colorspace, frame.color_range = matrix, 2 if full else 1
    return frame


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", LUMA)
@pytest.mark.parametrize("name", FORMATS)
def test_flat_colours(name, matrix, full):
    bits = FORMATS[name]
    for colour in COLOURS:
        codes = np.tile(codes_of(np.array(colour, float), bits, matrix, full), (24, 34, 1))
        truth = np.rint(meant(codes[0, 0], bits, matrix, full))
        for size, aspect in (((24, 34), None), ((23, 33), None), ((24, 34), Fraction(4, 3))):
            pixels = to_rgb(frame_of(codes[: size[0], : size[1]], name, matrix, full), aspect)
            assert pixels.shape == (size[0], round(size[1] * (aspect or 1)), 3)
            assert np.abs(pixels - truth).max() <= 1


@pytest.mark.parametrize("aspect", [None, Fraction(2)])
@pytest.mark.parametrize("name", FORMATS)
def test_a_gradient_of_greys(name, aspect):
    ramp = np.repeat(np.tile(np.arange(256.0), (16, 1))[..., None], 3, axis=-1)
    codes = codes_of(ramp, FORMATS[name], 1, False)
    truth = meant(codes, FORMATS[name], 1, False)
    pixels = to_rgb(frame_of(codes, name, 1), aspect)[:, :: int(aspect or 1)]
    # Between two pixels of a ramp lies half a step.
    assert np.abs(pixels - truth).max() <= (1 if aspect is None else 1.5)


def test_colours_that_share_chroma_are_interpolated():
    down, across = np.mgrid[:64, :128]
    ramp = np.stack([across, down * 2, 255 - across], -1).astype(float)
    codes = codes_of(ramp, 12, 5, False)
    # Chroma lies between the rows that share it.
    codes[::2, :, 1:] = (codes[::2, :, 1:] + codes[1::2, :, 1:]) // 2
    pixels = to_rgb(frame_of(codes, "yuv420p12le"), None)
    assert np.abs(pixels - ramp)[2:-2, 2:-2].max() <= 1


@pytest.mark.parametrize(("name", "bits"), [("gray", 8), ("gray10le", 10), ("gray12le", 12)])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
def test_grey_alone(name, bits, full):
    ramp = np.tile(np.arange(256.0), (8, 1))
    codes = codes_of(np.repeat(ramp[..., None], 3, -1), bits, 1, full)
    pixels = to_rgb(frame_of(codes[..., :1], name, full=full), None)
    assert np.abs(pixels - meant(codes, bits, 1, full)).max() <= 1


@pytest.mark.parametrize(("name", "bits"), [("gbrp", 8), ("gbrp10le", 10), ("rgb48le", 16), ("rgb24", 8)])
def test_rgb_is_rgb(name, bits):
    value = np.full(3, round(200 / 255 * (2**bits - 1)))
    frame = av.VideoFrame(32, 8, name)
    dtype = np.uint8 if bits == 8 else np.uint16
    for plane in frame.planes:
        plane.update(np.full(plane.buffer_size // dtype().itemsize, value[0], dtype).tobytes())
    assert np.abs(to_rgb(frame, None).astype(int) - 200).max() <= 1


@pytest.mark.parametrize("name", ["rgba", "bgra", "argb", "yuva420p", "yuva444p10le", "gbrap"])
def test_what_is_transparent_lies_on_white(name):
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:] = (200, 60, 50, 0)
    pixels[:, 4:, 3] = 102
    pixels[:, 8:, 3] = 255
    frame = av.VideoFrame.from_ndarray(pixels, format="rgba")
    laid = to_rgb(frame if name == "rgba" else frame.reformat(format=name, interpolation=0x42002), None).astype(int)
    assert (laid[:, :2] == 255).all()
    assert np.abs(laid[:, 6] - (255 - np.array([55, 195, 205]) * 0.4)).max() <= 2
    assert np.abs(laid[:, 12:] - (200, 60, 50)).max() <= 2
