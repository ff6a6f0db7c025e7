"""The studio's folder: runs as ``showme generate`` writes them, photos, and the index that finds both.

::

    runs/ID/       a finished run: the files of generate, and studio.json, which says whose it is and what was asked
    work/ID/       one that is being made; moved to runs in one step when it is whole
    trash/ID/      a deleted one, for a week; study-ID: a removed study
    photos/        what runs were made from, by the hash of its bytes
    uploads/       what was uploaded within the last hour, of which nothing may have been made yet
    studies/ID/    preference studies (:mod:`.studies`)
    index.sqlite   :mod:`.store`; rebuilt from the folders by :meth:`Shelf.reindex`
    secret         makes the links of runs, so that nobody who was not given one finds it
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import shutil
from collections.abc import Container, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import InputError
from ..generation import folder as files
from ..generation.record import RunRecord
from .asked import PHOTOS, Asked
from .store import OPEN, Entry, Store, now

RUNS, WORK, TRASH, UPLOADS, INDEX, SIDECAR = "runs", "work", "trash", "uploads", "index.sqlite", "studio.json"
TRASH_DAYS = 7
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_TOKEN_LENGTH = 32


class Sidecar(BaseModel):
    """``studio.json`` of a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = 1
    owner: str | None
    at: str
    asked: Asked


class Shelf:
    """Runs, photos and their index.

    Args:
        folder: of the studio; made when it is not there.

    Raises:
        InputError: another studio has it, or it cannot be written to.
    """

    def __init__(self, folder: Path):
        self.folder = folder.absolute()
        try:
            if not self.folder.exists():
                # Photos of many people, on a machine of many users.
                self.folder.mkdir(parents=True, mode=0o700)
            for name in (RUNS, WORK, TRASH, UPLOADS, PHOTOS):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / "lock")
            self._lock.acquire(timeout=0)
            self.secret = _secret(self.folder / "secret")
        except Timeout as error:
            raise InputError(f"Another studio has the folder {folder}: stop it, or choose another --out.") from error
        except OSError as error:
            raise InputError(f"Cannot write to {folder} ({error.strerror}): choose another --out.") from error
        self.store = Store(self.folder / INDEX)
        self._settle()

    def close(self) -> None:
        """Let another studio have the folder."""
        self._lock.release()

    def begin(self, owner: str, asked: Asked) -> Entry:
        """A job that waits from now on."""
        run = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(8)}"
        entry = entry_of(run, owner, "waiting", asked, now())
        self.store.put([entry])
        return entry

    def work(self, run: str) -> Path:
        """Where a run is made, relative to the studio's folder."""
        return Path(WORK) / run

    def finish(self, entry: Entry) -> None:
        """Put a run that was made into its place, and say so in the index."""
        place, made = self.folder / RUNS / entry.id, self.folder / self.work(entry.id)
        if entry.asked is not None:
            sidecar = Sidecar(owner=entry.owner, at=entry.at, asked=Asked.model_validate_json(entry.asked))
            (made / SIDECAR).write_text(sidecar.model_dump_json(indent=2) + "\n", encoding="utf-8")
        made.replace(place)
        self.store.change(entry.id, state="done", error=None)

    def fail(self, entry: Entry, state: str, error: str | None = None) -> None:
        """Say in the index what became of a job that made nothing, and remove what it left."""
        shutil.rmtree(self.folder / self.work(entry.id), ignore_errors=True)
        self.store.change(entry.id, state=state, error=error)

    def place(self, run: str) -> Path:
        """The folder of a finished run that is not deleted.

        Raises:
            InputError: there is none.
        """
        place = self.folder / RUNS / run
        if not _RUN.fullmatch(run) or not place.is_dir():
            raise InputError("There is no such run: it may have been deleted.")
        return place

    def token(self, run: str) -> str:
        """What the links of a run hold."""
        return hmac.new(self.secret, f"run {run}".encode(), hashlib.sha256).hexdigest()[:_TOKEN_LENGTH]

    def opens(self, run: str, token: str) -> bool:
        """Whether a token is that of a run."""
        return hmac.compare_digest(self.token(run).encode(), token.encode())

    def own(self, run: str, owner: str) -> Entry:
        """A run, for its owner.

        Raises:
            InputError: there is none, or it is somebody else's.
        """
        entry = self.store.get(run)
        if entry is None or entry.owner not in (None, owner):
            raise InputError("There is no such run of yours: load the page again.")
        return entry

    def shown(self, run: str) -> Entry:
        """A run, for whoever may see all of them.

        Raises:
            InputError: there is none.
        """
        entry = self.store.get(run)
        if entry is None or entry.deleted is not None:
            raise InputError("There is no such run: load the page again.")
        return entry

    def adopt(self) -> None:
        """Take in runs whose folders were put here since."""
        known = {entry.id for entry in self.store.all()}
        self.store.put(self._read(RUNS, known))

    def delete(self, run: str, owner: str) -> None:
        """Take a run out of the history; for a week :meth:`restore` brings it back.

        Raises:
            InputError: as :meth:`own`, or it is still being made.
        """
        if self.own(run, owner).state in OPEN:
            raise InputError("That run is still being made: cancel it first.")
        self.store.change(run, deleted=now())
        place = self.folder / RUNS / run
        if place.is_dir():
            place.replace(self.folder / TRASH / run)

    def restore(self, run: str, owner: str) -> None:
        """Undo :meth:`delete`.

        Raises:
            InputError: as :meth:`own`.
        """
        self.own(run, owner)
        place = self.folder / TRASH / run
        if place.is_dir():
            place.replace(self.folder / RUNS / run)
        self.store.change(run, deleted=None)

    def reindex(self) -> int:
        """Build the index of finished runs anew from their folders. -> how many there are."""
        known = self.store.all()
        # What is in a folder is read from there; a failure is nowhere else.
        self.store.remove([each.id for each in known if each.state == "done"])
        self.store.put(self._read(RUNS, set()))
        self.store.put(self._read(TRASH, set(), now()))
        return sum(each.state == "done" and each.deleted is None for each in self.store.all())

    def _read(self, name: str, known: Container[str], deleted: str | None = None) -> list[Entry]:
        """What the folders say of runs that are not known."""
        found = [read_run(place) for place in self._folders(name) if place.name not in known]
        return [replace(entry, deleted=deleted) for entry in found if entry is not None]

    def _folders(self, name: str) -> Iterator[Path]:
        for place in sorted((self.folder / name).iterdir()):
            if _RUN.fullmatch(place.name) and place.is_dir() and not place.is_symlink():
                yield place

    def _settle(self) -> None:
        """Make index and folders agree, however the last studio ended."""
        shutil.rmtree(self.folder / WORK, ignore_errors=True)
        (self.folder / WORK).mkdir(exist_ok=True)
        oldest = (datetime.now(UTC) - timedelta(days=TRASH_DAYS)).isoformat(timespec="seconds")
        runs, trash = ({place.name: place for place in self._folders(name)} for name in (RUNS, TRASH))
        for entry in self.store.all():
            if entry.id in runs:
                if entry.state != "done" or entry.deleted:
                    self.store.change(entry.id, state="done", error=None, deleted=None)
            elif entry.id in trash:
                if entry.deleted is None:
                    self.store.change(entry.id, deleted=now())
            elif entry.state in OPEN:
                self.store.change(entry.id, state="interrupted", error="The studio was stopped before it was done.")
            elif entry.state == "done":
                self.store.remove([entry.id])
            if entry.deleted is not None and entry.deleted < oldest:
                shutil.rmtree(trash.get(entry.id, self.folder / WORK / entry.id), ignore_errors=True)
                self.store.remove([entry.id])
        entries = self.store.all()
        known = {entry.id for entry in entries}
        self.store.put(self._read(RUNS, known) + self._read(TRASH, known, now()))
        self._sweep_photos(" ".join(entry.asked or "" for entry in entries))

    def _sweep_photos(self, asked: str) -> None:
        """Remove pictures of which nothing was made."""
        for photo in (self.folder / PHOTOS).iterdir():
            if photo.name not in asked:
                photo.unlink(missing_ok=True)


def entry_of(run: str, owner: str | None, state, asked: Asked, at: str) -> Entry:
    """The index's line of what was asked for."""
    return Entry(
        run, owner, state, asked.sentences, ", ".join(asked.models), asked.photo, asked.model_dump_json(), at
    )  # fmt: skip


def read_run(place: Path) -> Entry | None:
    """The index's line of a finished run, read from its folder; None: it holds none."""
    try:
        sidecar = Sidecar.model_validate_json((place / SIDECAR).read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return _read_record(place)
    return entry_of(place.name, sidecar.owner, "done", sidecar.asked, sidecar.at)


def _read_record(place: Path) -> Entry | None:
    """Of a run that ``showme generate`` wrote there."""
    file = place / files.RECORD
    try:
        record = RunRecord.model_validate_json(file.read_text(encoding="utf-8"))
        at = datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds")
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
    return Entry(place.name, None, "done", record.settings.instruction, record.model.name, None, None, at)


def _secret(file: Path) -> bytes:
    if not file.exists():
        draft = file.with_name("secret.part")
        draft.touch(mode=0o600)
        draft.write_bytes(secrets.token_bytes(32))
        draft.replace(file)
    return file.read_bytes()
