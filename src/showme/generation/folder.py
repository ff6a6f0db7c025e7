"""The folder of results: all of a run's files appear in it together, or none."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError

PHOTO, RESULT, VIDEO, STRIP, REGION = "first_frame.png", "result.png", "action.mp4", "strip.png", "region.png"
PAGE, RECORD = "index.html", "run.json"
OWN_FILES = (PHOTO, RESULT, VIDEO, STRIP, REGION, PAGE, RECORD)


def check_folder(out: Path, photo: Path) -> None:
    """Check what can be seen of an output folder without touching it.

    Raises:
        InputError: a file in its place or on its way, or the photo itself in the place of a result.
    """
    for place in (out, *out.absolute().parents):
        try:
            blocked = place.exists() and not place.is_dir()
        except OSError as error:
            name = f"{str(out)[:60]}..." if len(str(out)) > 60 else str(out)
            raise InputError(f"The output folder {name} cannot be made ({error.strerror}): choose another.") from error
        if blocked:
            raise InputError(f"The output folder {out} cannot be made: {place} is a file, choose another --out.")
    for name in OWN_FILES:
        target = out / name
        if target.is_dir():
            raise InputError(f"{target} is a folder where a file must go: choose another --out.")
        if target.exists() and photo.exists() and target.samefile(photo):
            raise InputError(f"{target} is the photo itself and would be overwritten: choose another --out.")


@contextlib.contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A hidden folder inside ``out`` to write into; its files move up together when the block ends well.

    It lies inside ``out`` so that the move stays on one disk. When the block fails, it vanishes with every folder that
    was made for it. Of the files already in ``out`` only our own names are replaced; those of an earlier run that this
    one does not make are removed, so that the page and its neighbours are always of one run.

    Raises:
        InputError: the folder cannot be made or written to.
    """
    made = [place for place in (out.absolute(), *out.absolute().parents) if not place.exists()]
    done = False
    try:
        try:
            out.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(prefix=".showme-", dir=out))
        except OSError as error:
            raise InputError(f"Cannot write to the output folder {out} ({error.strerror}): choose another.") from error
        try:
            yield staging
            _move_up(staging, out)
            done = True
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    finally:
        if not done:
            _remove_empty(made)


def _move_up(staging: Path, out: Path) -> None:
    fresh = sorted(staging.iterdir())
    if (out / RECORD).is_file():
        for name in set(OWN_FILES) - {path.name for path in fresh}:
            (out / name).unlink(missing_ok=True)
    for path in fresh:
        path.replace(out / path.name)


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, innermost first, that nobody has filled meanwhile."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
