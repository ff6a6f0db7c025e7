"""Uploads, kept by the hash of their bytes: what a run was made from, and what the next one begins with."""

from __future__ import annotations

import secrets
import shutil
import warnings
from pathlib import Path

from PIL import Image

from ..errors import InputError
from ..generation.region import read_region
from ..manifest import sha256_of
from ..pictures.photo import open_photo
from .settings import StudioSettings

_NAME_LENGTH = 32


def keep_photo(upload: Path, photos: Path, settings: StudioSettings) -> str:
    """Check an upload and keep it. -> its name in ``photos``

    Raises:
        InputError: no photo, or one that is too large for this studio.
    """
    try:
        check_size(upload, settings)
        kept = open_photo(upload)
    except InputError as error:
        # Of its own name, not of the folder that the server put it into.
        raise InputError(str(error).replace(str(upload), upload.name)) from error
    name = f"{kept.sha256[:_NAME_LENGTH]}.{kept.format.lower()[:8]}"
    return _copied(upload, photos / name)


def keep_region(mask: Image.Image, photo: str, photos: Path, size: tuple[int, int], fit: str) -> str:
    """Check a region that was painted over a kept photo and keep it. -> its name in ``photos``

    Args:
        mask: bright where the action happens, of the photo's shape.
        photo: name of the kept photo.
        photos: where both are.
        size: (height, width) of the model's pictures.
        fit: crop or pad.

    Raises:
        InputError: it is empty, or of another shape.
    """
    draft = photos / f".{secrets.token_hex(8)}.png"
    try:
        mask.convert("L").save(draft)
        name = f"{sha256_of(draft)[:_NAME_LENGTH]}.png"
        try:
            read_region(str(draft), open_photo(photos / photo).image, size, fit)
        except InputError as error:
            raise InputError(str(error).replace(str(draft), "of yours")) from error
        draft.replace(photos / name)
    finally:
        draft.unlink(missing_ok=True)
    return name


def check_size(upload: Path, settings: StudioSettings) -> None:
    """Check a file by its size and header alone, before anything is decoded.

    Raises:
        InputError: it has more bytes or pixels than this studio takes.
    """
    size = upload.stat().st_size
    if size > settings.max_bytes:
        limit = settings.max_bytes / 2**20
        raise InputError(f"{upload} has {size / 2**20:.0f} MB: this studio takes {limit:.0f} MB at most.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(upload) as image:
                width, height = image.size
        except Image.DecompressionBombError as error:
            raise InputError(f"{upload} is too large: {_most(settings)}.") from error
        # What this cannot open, the reader of photos refuses with its reason.
        except Exception:
            return
    if width * height > settings.max_pixels:
        raise InputError(f"{upload} is {width}x{height} pixels: {_most(settings)}.")


def _most(settings: StudioSettings) -> str:
    return f"this studio takes {settings.max_pixels / 1e6:.0f} million pixels at most"


def _copied(upload: Path, place: Path) -> str:
    if not place.exists():
        draft = place.with_name(f".{secrets.token_hex(8)}")
        try:
            shutil.copyfile(upload, draft)
            draft.replace(place)
        finally:
            draft.unlink(missing_ok=True)
    return place.name
