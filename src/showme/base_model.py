"""What a thin bundle stands on: found by its name, and known by the SHA-256 of each file that decides what it makes."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from .errors import InputError
from .manifest import MANIFEST, read_manifest, sha256_of, verify_manifest
from .staged_files import staged

_SHA256 = re.compile(r"[0-9a-f]{64}")
_INDEX = "model_index.json"
# Weights, settings and vocabularies of networks; descriptions, cards and pictures decide nothing.
_DECIDING = (".safetensors", ".json", ".txt", ".model")
_DESCRIBING = ("bundle.json", MANIFEST)
_ADAPTERS = "adapters/"


class BaseModelRecord(BaseModel):
    """The base of a thin bundle, as its ``bundle.json`` names it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="embedded, the folder of a model, or a hub id")
    revision: str | None = Field(None, description="of a hub id")
    weights: dict[str, str] = Field(min_length=1, description="file of weights or settings in the base -> SHA-256")


def record_base(name: str, folder: Path) -> BaseModelRecord:
    """What a thin bundle says of the base in ``folder``, its adapters aside: they are none of the thin bundle's.

    Args:
        name: that the base was opened by.
        folder: where it lies.
    """
    revision = folder.name if folder.parent.name == "snapshots" else None
    return BaseModelRecord(name=name, revision=revision, weights=weight_hashes(folder))


def find_base(record: BaseModelRecord, thin: Path, resolve: Callable[..., Path], compare: bool = True) -> Path:
    """The folder of a base: by its name; or, of folders that were moved together with the thin bundle, by the name's
    last parts beside one of the folders that hold it. Of several the first that is the same one, or without ``compare``
    the first.

    Raises:
        InputError: it is in no such place.
    """
    places = list(_places_of(record.name, thin, resolve))
    same = (place for place in places if compare and _agrees(record, place))
    found = next(same, next(iter(places), None))
    if found is not None:
        return found
    try:
        return resolve(record.name, record.revision)
    except InputError as error:
        raise InputError(
            f"{thin} is a thin bundle over {record.name}, which is not here: put that folder beside it, or fetch the "
            f"model ({error})"
        ) from error


def _places_of(name: str, thin: Path, resolve: Callable[..., Path]) -> Iterator[Path]:
    """Folders of models that a name may mean, the likeliest first; the thin bundle itself is none."""
    own, parts = thin.resolve(), Path(name).parts
    if "/" not in name:
        # Packaged models have such names, and nothing is asked of the hub.
        with contextlib.suppress(InputError):
            yield resolve(name)
    candidates = [Path(name)]
    if not Path(name).is_absolute():
        candidates += [parent / name for parent in own.parents]
    candidates += [parent.joinpath(*parts[k:]) for parent in own.parents for k in range(1, len(parts))]
    for place in dict.fromkeys(each.absolute() for each in candidates):
        if place != own and any((place / file).is_file() for file in (MANIFEST, _INDEX)):
            yield place


def _agrees(record: BaseModelRecord, folder: Path) -> bool:
    found = weight_hashes(folder)
    return all(found.get(name) == expected for name, expected in record.weights.items())


def verify_base(record: BaseModelRecord, folder: Path, thin: Path) -> None:
    """Compare a base's files with those that the thin bundle was made on.

    Raises:
        InputError: one is missing, damaged or another.
    """
    if (folder / MANIFEST).is_file():
        verify_manifest(folder)
    found = weight_hashes(folder)
    for name, expected in record.weights.items():
        if name not in found:
            raise InputError(f"{thin} stands on {record.name}, of which {folder / name} is missing: fetch it again.")
        if found[name] != expected:
            raise InputError(
                f"{thin} was made on another {record.name} than the one in {folder}: {name} differs. Put the old one "
                "there, or train on this one."
            )


def weight_hashes(folder: Path) -> dict[str, str]:
    """Files that decide what a model makes -> SHA-256: by the bundle's manifest, which was verified, by the hub's own
    names, or computed once and remembered. Adapters are aside: a thin bundle has those that it needs."""
    if (folder / MANIFEST).is_file():
        entries = read_manifest(folder)
        return {name: entries[name]["sha256"] for name in sorted(entries) if _decides(name)}
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return dict(_remembered({name: path for name, path in files.items() if _decides(name)}))


def _decides(name: str) -> bool:
    return name.endswith(_DECIDING) and name not in _DESCRIBING and not name.startswith(_ADAPTERS)


def _remembered(files: dict[str, Path]) -> Iterator[tuple[str, str]]:
    store = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "showme" / "weights.json"
    known: dict[str, str] = _read(store)
    new: dict[str, str] = {}
    for name, path in files.items():
        real = path.resolve()
        # The hub keeps large files under their SHA-256.
        if _SHA256.fullmatch(real.name):
            yield name, real.name
            continue
        status = real.stat()
        key = f"{real} {status.st_size} {status.st_mtime_ns}"
        if key not in known:
            new[key] = sha256_of(real)
        yield name, known.get(key) or new[key]
    if new:
        _write(store, known | new)


def _read(store: Path) -> dict[str, str]:
    try:
        found = json.loads(store.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(store: Path, known: dict[str, str]) -> None:
    """What cannot be remembered is computed again."""
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        with staged(store) as neighbour:
            neighbour.write_text(json.dumps(known, indent=1), encoding="utf-8")
    except OSError:
        return
