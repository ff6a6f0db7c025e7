"""Any photo on disk, in any mode or orientation, as an upright RGB picture."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import InputError
from ..manifest import sha256_of
from .camera_raw import open_dng, raw_kind
from .code_points import by_code_points
from .depth import at_depth, white_of
from .profile import PROFILE_UNUSED, ProfileError, apply_profile
from .ycbcr import with_chroma

MIN_SIDE = 16
# More than any camera makes; judged from the header, so that a bomb is never decoded.
MAX_PIXELS = 178_000_000
_WHITE = (255, 255, 255, 255)
# Of floats that speak of 0 to 1.
_OVERSHOOT = 2.0
_HIGH_RANGE = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True)
class Photo:
    """A picture that was read.

    image: RGB, upright. sha256, size_bytes, format: of the file. notes: what was done to it, in sentences.
    """

    image: Image.Image
    sha256: str
    size_bytes: int
    format: str
    notes: tuple[str, ...]


def open_photo(path: str | Path) -> Photo:
    """Read a picture file.

    Raises:
        InputError: missing, a folder, empty, no picture, damaged, too large or too small.
    """
    path = Path(path)
    size_bytes = _check_file(path)
    notes: list[str] = []
    with path.open("rb") as file:
        kind = raw_kind(file)
    if kind is not None and kind != "DNG":
        raise InputError(f"{path} is a camera raw file, whose thumbnail is no photo: export it as JPEG or PNG.")
    if kind == "DNG":
        notes.append("The photo was developed from a camera raw file (DNG).")
        image = open_dng(path, MAX_PIXELS)
        _check_size(path, image)
        return Photo(image, sha256_of(path), size_bytes, "DNG", tuple(notes))
    with _open(path) as image:
        _check_size(path, image)
        count = getattr(image, "n_frames", 1)
        if count > 1:
            notes.append(f"The file holds {count} pictures: the first was used.")
        # Pillow's decoders raise whatever their parsers hit: OSError, SyntaxError, struct.error, IndexError, ...
        try:
            rgb = upright_rgb(image, notes)
            if image.getexif().get(0x0112, 1) not in (0, 1):
                notes.append("The photo was turned upright, as its EXIF data say.")
        except Exception as error:
            raise InputError(
                f"{path} is damaged or cut short ({_reason(error)}): open and save it again, or choose another photo."
            ) from error
        return Photo(rgb, sha256_of(path), size_bytes, image.format or "unknown", tuple(notes))


def upright_rgb(image: Image.Image, notes: list[str] | None = None) -> Image.Image:
    """A picture that is open already: turned as its EXIF data say, and sRGB; ``notes`` as :func:`to_rgb`.

    Of one that was not read yet, also what its file says of colours and bits, and Pillow does not, is heeded.
    """
    notes = [] if notes is None else notes
    image = with_chroma(by_code_points(image, notes))
    # ffmpeg decodes the first picture alone.
    image = at_depth(image) if image.tell() == 0 else image
    return to_rgb(ImageOps.exif_transpose(image), notes)


def to_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """Any Pillow mode as sRGB: colour profiles applied, transparency over white, 16-bit and float greys scaled to 8
    bits; ``notes`` says so."""
    profile = image.info.get("icc_profile")
    if image.mode in _HIGH_RANGE:
        image = _high_range(image, notes)
    if image.mode in ("La", "RGBa"):
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    if not image.has_transparency_data:
        return _in_srgb(image, profile, notes)
    layers = image.convert("RGBA")
    opaque = layers.convert("L" if image.mode == "LA" else "RGB")
    colours, alpha = _in_srgb(opaque, profile, notes), layers.getchannel("A")
    if alpha.getextrema()[0] == 255:
        return colours
    notes.append("Transparent parts were filled with white.")
    colours.putalpha(alpha)
    return Image.alpha_composite(Image.new("RGBA", colours.size, _WHITE), colours).convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """An opaque picture of 8 bits as RGB, its colours moved from those of its profile."""
    if image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("RGB")
    if profile:
        try:
            converted = apply_profile(image, profile)
        except ProfileError as error:
            notes.append(f"{PROFILE_UNUSED} ({error}): its colours were taken for sRGB.")
        else:
            if converted is not image:
                notes.append("Its colours were converted from its colour profile to sRGB.")
            image = converted
    return image.convert("RGB")


def _high_range(image: Image.Image, notes: list[str]) -> Image.Image:
    """16-bit, 32-bit and float greys: divided by the range that their values speak of, never clipped."""
    values: np.ndarray = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 65535:
        values = (values - low) / max(high - low, 1e-12)
        notes.append(f"Its values, {low:g} to {high:g}, were stretched to the range of a photo.")
    elif image.mode == "F" and high <= _OVERSHOOT:
        # What sharpening and resampling make of white.
        values = values.clip(max=1)
        above = "" if high <= 1 else f", and what lies above 1, to {high:g}, as white"
        notes.append(f"Its values, 0 to 1, were read as black to white{above}.")
    elif high > 255 or image.mode.startswith("I;16"):
        white = white_of(image, high)
        values = (values / white).clip(max=1)
        notes.append(f"Its {white.bit_length()} bits per pixel were reduced to 8.")
    else:
        values = values / 255
        if image.mode == "F":
            notes.append("Its values were read as 0 to 255.")
    return Image.fromarray(np.rint(values * 255).astype(np.uint8))


def _check_file(path: Path) -> int:
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder: give one photo.")
        if not path.exists():
            raise InputError(f"There is no file {path}: give the path of a photo.")
        if not path.is_file():
            raise InputError(f"{path} is not a regular file: give the path of a photo.")
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): give the path of a photo.") from error
    if size == 0:
        raise InputError(f"{path} is empty (0 bytes): choose another photo.")
    return size


def _open(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path)
    except Image.DecompressionBombError as error:
        raise InputError(_too_large(path, "it")) from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path} is not a picture that can be read: convert it to PNG or JPEG.") from error
    except Exception as error:
        raise InputError(f"{path} is damaged ({_reason(error)}): choose another photo.") from error
    if image.format == "EPS":
        # Pillow would hand it to an outside program.
        raise InputError(f"{path} is a drawing (EPS): convert it to PNG or JPEG.")
    return image


def _check_size(path: Path, image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise InputError(_too_large(path, f"{width}x{height}"))
    if min(width, height) < MIN_SIDE:
        raise InputError(f"{path} is {width}x{height} pixels: choose a photo of at least {MIN_SIDE} on each side.")


def _too_large(path: Path, what: str) -> str:
    return f"{path} is too large ({what} exceeds {MAX_PIXELS // 10**6} million pixels): make it smaller first."


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
