"""Writing a bundle's folder: staged beside its place and moved there when whole; merging a thin one with its base."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from .bundle import ADAPTER_FOLDER, CARD, INDEX, INFO, BundleFiles, BundleInfo, open_bundle, refuse_foreign
from .errors import InputError
from .manifest import MANIFEST, sha256_of, write_manifest


@contextlib.contextmanager
def staged_bundle(folder: Path) -> Iterator[Path]:
    """A neighbour of ``folder`` to write into; when all went well it gets a manifest and takes the folder's place.

    Raises:
        InputError: ``folder`` holds something else than a bundle.
    """
    folder = folder.absolute()
    refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
    try:
        yield staging
        write_manifest(staging)
        _make_readable(staging)
        _replace(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def describe(staging: Path, info: BundleInfo, card: str | None = None) -> None:
    """Write the description and the model card; a short one is made from ``info`` where none is given."""
    (staging / INFO).write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (staging / CARD).write_text(card or _default_card(info), encoding="utf-8")


def drop_components(staging: Path, kept: Sequence[str]) -> None:
    """Leave of a pipeline's folder its index, the adapters and the components ``kept``."""
    for path in staging.iterdir():
        if path.is_dir() and path.name not in (ADAPTER_FOLDER, *kept):
            shutil.rmtree(path)


def merge_bundle(name_or_folder: str | Path, folder: str | Path) -> str:
    """Write a thin bundle, or a stack of them, with its base as one whole bundle; returns its hash.

    Every file is copied as it is: the merged bundle makes the same pictures to the bit.

    Raises:
        InputError: it is whole already, or as :func:`showme.bundle.open_bundle`.
    """
    files = open_bundle(name_or_folder)
    if Path(folder).is_dir() and any(Path(folder).iterdir()):
        raise InputError(f"{folder} is not empty: choose another folder for the whole model.")
    if files.base is None:
        raise InputError(f"{files.folder} is a whole model already: there is nothing to merge.")
    if len({each.info.method for each in files.stack}) > 1:
        raise InputError("Bundles of several methods stay apart: a whole one is run by the rules of one alone.")
    index = json.loads(files.path(INDEX).read_text(encoding="utf-8"))
    components = [name for name, value in index.items() if isinstance(value, list)]
    with staged_bundle(Path(folder)) as staging:
        try:
            _copy_parts(files, components, staging)
        except OSError as error:
            raise InputError(f"{folder} cannot be written ({_reason(error)}): make room, or choose another.") from error
        card = (files.folder / CARD).read_text("utf-8")
        own = None if card == _default_card(files.info) else card
        describe(staging, files.info.model_copy(update={"base": None}), own)
    return sha256_of(Path(folder) / MANIFEST)


def _copy_parts(files: BundleFiles, components: Sequence[str], staging: Path) -> None:
    """Index, components and adapters, byte by byte."""
    shutil.copyfile(files.path(INDEX), staging / INDEX)
    for name in components:
        if files.path(name).is_dir():
            shutil.copytree(files.path(name), staging / name)
        for path in files.adapters(name):
            place = staging / path.relative_to(next(e.folder for e in files.stack if path.is_relative_to(e.folder)))
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def _reason(error: OSError) -> str:
    """Of a whole tree, the first file's."""
    if isinstance(error, shutil.Error):
        _, _, reason = error.args[0][0]
        return str(reason).removeprefix("[Errno 28] ").split(":")[0]
    return error.strerror or str(error)


def _replace(staging: Path, folder: Path) -> None:
    """Move ``staging`` to ``folder``; a folder cannot replace a filled one, so the older bundle steps aside first."""
    if not folder.exists():
        staging.replace(folder)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent))
    folder.replace(aside)
    staging.replace(folder)
    shutil.rmtree(aside)


def _make_readable(folder: Path) -> None:
    """mkdtemp and safetensors make private files; a model is to be read by all whom the umask lets."""
    umask = os.umask(0)
    os.umask(umask)
    for path in [folder, *folder.rglob("*")]:
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)


def _default_card(info: BundleInfo) -> str:
    words = "every word" if info.vocabulary is None else f"{len(info.vocabulary)} words"
    settings = json.dumps(info.model_dump(exclude={"familiarity", "vocabulary", "synonyms"}), indent=2)
    return (
        f"# {info.name}\n\nA ShowMe model: one photo ({info.width}x{info.height}) and one instruction become the "
        f"picture of the result and a video of {info.num_frames} frames. It knows {words}.\n\n"
        f"```json\n{settings}\n```\n"
    )
