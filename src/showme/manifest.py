"""The list of a folder's files with sizes and SHA-256, written last, so that damage is found before it is used."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .errors import InputError

MANIFEST = "manifest.json"
REMEDY = "fetch or save the model again"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path) -> str:
    """List every file below ``folder`` in its ``manifest.json``; returns the manifest's own SHA-256."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    entries = {
        path.relative_to(folder).as_posix(): {"sha256": sha256_of(path), "size": path.stat().st_size} for path in files
    }
    (folder / MANIFEST).write_text(json.dumps({"files": entries}, indent=2) + "\n", encoding="utf-8")
    return sha256_of(folder / MANIFEST)


def read_manifest(folder: Path) -> dict[str, dict]:
    """Names (relative, with /) -> {"sha256", "size"}.

    Raises:
        InputError: the manifest is missing or cannot be read.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{path} is missing: the model is incomplete, {REMEDY}.")
    try:
        text = path.read_text(encoding="utf-8")
        if not text.endswith("\n"):
            raise ValueError("cut short")
        files = json.loads(text)["files"]
        return {str(name): {"sha256": entry["sha256"], "size": entry["size"]} for name, entry in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged (not a manifest): {REMEDY}.") from error


def verify_manifest(folder: Path) -> str:
    """Compare every listed file with the disk: first existence and size, then contents, several files at once.

    Returns:
        The manifest's own SHA-256, which names this exact model.

    Raises:
        InputError: the first file that is missing or differs, and what to do.
    """
    entries = read_manifest(folder)
    for name, entry in entries.items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path} is missing: the model is incomplete, {REMEDY}.")
        if path.stat().st_size != entry["size"]:
            raise InputError(f"{path} is damaged ({path.stat().st_size} bytes where {entry['size']} belong): {REMEDY}.")
    with ThreadPoolExecutor() as pool:
        hashes = pool.map(sha256_of, [folder / name for name in entries])
        for name, found in zip(entries, hashes, strict=True):
            if found != entries[name]["sha256"]:
                raise InputError(f"{folder / name} is damaged (its SHA-256 is not the manifest's): {REMEDY}.")
    return sha256_of(folder / MANIFEST)
