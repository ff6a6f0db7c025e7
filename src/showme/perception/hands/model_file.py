"""MediaPipe's hand_landmarker.task: a file of the user's, or the published one, fetched once into a cache."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.request
from pathlib import Path

from ...errors import InputError, OutsideError, absent
from ...user_cache import cache_folder

NAME = "hand_landmarker.task"
URL = f"https://storage.googleapis.com/mediapipe-models/hand_landmarker/hand_landmarker/float16/1/{NAME}"
SHA256 = "fbc2a30080c3c557093b5ddfc334698132eb341044ccee322ccf8bcf3607cde1"

_LARGEST = 64 << 20
_PIECE = 1 << 20
_PATIENCE_SECONDS = 30


def hand_model_file(path: str | Path | None = None, url: str = URL, sha256: str = SHA256) -> Path:
    """The bundle of networks on this disk.

    Args:
        path: a file of the user's; None takes the cache's, which is fetched if it is not there.
        url: where the published file is.
        sha256: its checksum in hexadecimal; what the cache holds is compared with it each time.

    Raises:
        InputError: no file at ``path``; the cache cannot be written, or holds another file than the published one.
        OutsideError: it cannot be fetched.
    """
    if path is not None:
        if not Path(path).is_file():
            raise InputError(f"{absent(path, 'hand model')}: give the path of MediaPipe's {NAME}.")
        return Path(path)
    cached = cache_folder() / NAME
    if not cached.is_file():
        _fetch(url, sha256, cached)
    elif _checksum(cached) != sha256:
        raise InputError(f"{cached} is not the published {NAME}: remove it, and it is fetched anew.")
    return cached


def _checksum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: make it readable, or remove it.") from error


def _fetch(url: str, sha256: str, target: Path) -> None:
    """Download to a temporary neighbour, compare, and only then give it its name."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise InputError(f"{target.parent} cannot be written: set SHOWME_CACHE to a folder that can.") from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            digest = _download(url, file, target)
        if digest != sha256:
            raise OutsideError(
                f"What {url} sent is not the published {NAME} (sha256 {digest}): put it at {target} by hand."
            )
        temporary.chmod(0o644)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _download(url: str, file, target: Path) -> str:
    """Write what ``url`` sends; its checksum."""
    digest = hashlib.sha256()
    remedy = f"fetch it with a browser and put it at {target}"
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE_SECONDS) as response:
            while piece := response.read(_PIECE):
                if file.tell() > _LARGEST:
                    raise InputError(f"{url} sends more than {_LARGEST >> 20} MB, which is no hand model: {remedy}.")
                digest.update(piece)
                file.write(piece)
    except (OSError, http.client.HTTPException) as error:
        raise OutsideError(f"{url} could not be fetched ({error}): {remedy}.") from error
    return digest.hexdigest()
