"""A studio: its shelf, its models and its queue, with what the tabs of its page need of all three."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import InputError
from ..generation import folder
from .asked import PHOTOS, Asked
from .gate import owner_of
from .models import Models
from .queue import JobQueue
from .serving import is_loopback
from .settings import StudioSettings
from .shelf import UPLOADS, Shelf
from .store import Entry
from .views import Shown, records_of

RUN_ROUTE, PHOTO_ROUTE, REPORT_ROUTE = "/runs", "/photos", "/reports"
_GALLERY = 24


@dataclass
class Studio:
    """Everything of a studio that outlives a request.

    settings: what it was started with. shelf, models, queue: of it.
    """

    settings: StudioSettings
    shelf: Shelf
    models: Models
    queue: JobQueue

    @classmethod
    def open(cls, settings: StudioSettings) -> Studio:
        """A studio in its folder.

        Raises:
            InputError: as :class:`.shelf.Shelf`.
        """
        shelf = Shelf(settings.folder)
        hub = is_loopback(settings.host) if settings.hub is None else settings.hub
        models = Models(settings.models, hub)
        return cls(settings, shelf, models, JobQueue(shelf, models, settings))

    @property
    def photos(self) -> Path:
        """Where uploads are kept."""
        return self.shelf.folder / PHOTOS

    def upload(self, path: str) -> Path:
        """An uploaded file, for whoever names it.

        Raises:
            InputError: it lies elsewhere, or has been swept away.
        """
        place = Path(path).resolve()
        if not place.is_relative_to(self.shelf.folder / UPLOADS) or not place.is_file():
            raise InputError("The photo was uploaded too long ago: choose it again.")
        return place

    def base(self, run: str) -> str:
        """The address of a run's files, with its token."""
        return f"{self.settings.root_path}{RUN_ROUTE}/{run}/{self.shelf.token(run)}/"

    def photo_address(self, photo: str) -> str:
        """The address of a kept photo, with its token."""
        return f"{self.settings.root_path}{PHOTO_ROUTE}/{photo}/{self.shelf.token(photo)}"

    def run_page(self, path: Path) -> str:
        """The address of a page that a training or an evaluation wrote: below its folder's, with the folder's token."""
        place = path.relative_to(self.settings.runs or Path())
        folder = place.parent.as_posix()
        token = self.shelf.token(f"reports of {folder}")
        return f"{self.settings.root_path}{REPORT_ROUTE}/{token}/{quote(place.as_posix())}"

    def shown(self, run: str) -> Shown:
        """A finished run for the page.

        Raises:
            InputError: there is none.
        """
        entry = self.shelf.store.get(run)
        names = Asked.model_validate_json(entry.asked).models if entry is not None and entry.asked else ()
        return Shown(self.shelf.place(run), self.base(run), names)

    def thumbnail(self, entry: Entry) -> str:
        """The address of a small picture of a run."""
        if entry.state == "done":
            # Of a folder that somebody has damaged there is none.
            with suppress(InputError, OSError, ValueError):
                for below, record in records_of(self.shelf.place(entry.id)):
                    name = folder.RESULT if folder.RESULT in record.outputs else folder.PHOTO
                    return self.base(entry.id) + below + name
        return "" if entry.photo is None else self.photo_address(entry.photo)

    def search(self, owner: str, **filters: Any) -> list[Entry]:
        """The newest entries that a visitor may see: of a studio that only shows, all that there is to show."""
        found = self.shelf.store.search(None if self.settings.demo else owner, **filters)
        return [entry for entry in found if entry.state == "done"] if self.settings.demo else found

    def entry(self, run: str, owner: str) -> Entry:
        """One that a visitor may see.

        Raises:
            InputError: there is none.
        """
        return self.shelf.shown(run) if self.settings.demo else self.shelf.own(run, owner)

    def futures(self, owner: str, photo: str) -> list[tuple[Entry, str]]:
        """What became of a photo, by all that was asked for, the newest first."""
        entries = self.search(owner, photo=photo, limit=_GALLERY)
        return [(entry, self.thumbnail(entry)) for entry in entries if entry.state == "done"]

    def asked_again(self, run: str, owner: str, **changes: object) -> Asked:
        """What a run was asked for, with changes.

        Raises:
            InputError: there is no such run of the visitor's, or it was not asked for here.
        """
        entry = self.shelf.own(run, owner)
        if entry.asked is None:
            raise InputError("That run was not made here: its photo is not at hand.")
        return Asked.model_validate_json(entry.asked).model_copy(update=changes)

    def owner(self, cookies: dict[str, str], otherwise: str | None) -> str:
        """Whose the runs of a request are: of the browser's key, or of an address that has none."""
        return owner_of(cookies, otherwise or secrets.token_hex(16))
