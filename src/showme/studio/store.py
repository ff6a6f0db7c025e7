"""The index of runs, in SQLite: what waits, runs, is done, or went wrong. Of what is done the folders are the truth.

Every change is one transaction, so that a process killed at any instant leaves the index as it was or as it is to be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Literal

from ..database import create, opened

State = Literal["waiting", "running", "done", "failed", "cancelled", "interrupted"]
OPEN: tuple[State, ...] = ("waiting", "running")

_TABLE = """
CREATE TABLE IF NOT EXISTS runs (
  id TEXT PRIMARY KEY, owner TEXT, state TEXT NOT NULL, instruction TEXT NOT NULL, models TEXT NOT NULL, photo TEXT,
  asked TEXT, at TEXT NOT NULL, error TEXT, deleted TEXT, words TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_of_owner ON runs (owner, at);
"""


@dataclass(frozen=True)
class Entry:
    """A run, or a job that is to become one.

    Attributes:
        id: its folder's name.
        owner: hash of the visitor's key; None: of nobody in particular, as of a folder that was put there.
        state: what became of it.
        instruction, models: as they are searched; several models with a comma.
        photo: name of the file, where it is kept.
        asked: JSON of :class:`.asked.Asked`; None: it was not asked for here.
        at: when, ISO 8601 in UTC.
        error: the sentence, of one that failed.
        deleted: when; None: it is not.
    """

    id: str
    owner: str | None
    state: State
    instruction: str
    models: str
    photo: str | None
    asked: str | None
    at: str
    error: str | None = None
    deleted: str | None = None


_COLUMNS = tuple(field.name for field in fields(Entry))


def now() -> str:
    """The time as the index keeps it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Store:
    """The index in a file.

    Raises:
        InputError: the file cannot be used.
    """

    def __init__(self, file: Path):
        self.file = file
        create(self.file, _TABLE)

    def put(self, entries: Iterable[Entry]) -> None:
        """Add entries, or replace those of the same ids."""
        rows = [(*(getattr(each, name) for name in _COLUMNS), each.instruction.casefold()) for each in entries]
        marks = ", ".join("?" * (len(_COLUMNS) + 1))
        with opened(self.file) as base:
            base.executemany(f"INSERT OR REPLACE INTO runs ({', '.join(_COLUMNS)}, words) VALUES ({marks})", rows)

    def change(self, run: str, **values: str | None) -> None:
        """Change columns of one entry."""
        parts = ", ".join(f"{name} = ?" for name in values)
        with opened(self.file) as base:
            base.execute(f"UPDATE runs SET {parts} WHERE id = ?", (*values.values(), run))

    def remove(self, runs: Iterable[str]) -> None:
        """Forget entries."""
        with opened(self.file) as base:
            base.executemany("DELETE FROM runs WHERE id = ?", [(run,) for run in runs])

    def get(self, run: str) -> Entry | None:
        """One entry."""
        found = self._select("id = ?", [run])
        return found[0] if found else None

    def all(self) -> list[Entry]:
        """Every entry, deleted ones too, the oldest first."""
        return self._select("1", [])[::-1]

    def search(
        self,
        owner: str | None,
        text: str = "",
        model: str = "",
        since: date | None = None,
        until: date | None = None,
        photo: str | None = None,
        limit: int = 100,
    ) -> list[Entry]:
        """The newest entries that an owner may see and that are not deleted.

        Args:
            owner: whose; what belongs to nobody is everybody's. None: all.
            text: words that all occur in the instruction.
            model: a part of a model's name.
            since, until: days, both included, in UTC.
            photo: kept name of it.
            limit: entries at most.
        """
        parts: list[str] = ["deleted IS NULL"]
        values: list[str] = []
        if owner is not None:
            parts.append("(owner = ? OR owner IS NULL)")
            values.append(owner)
        for word in text.casefold().split():
            parts.append("words LIKE ? ESCAPE '\\'")
            values.append(f"%{_literally(word)}%")
        if model.strip():
            parts.append("models LIKE ? ESCAPE '\\'")
            values.append(f"%{_literally(model.strip())}%")
        for day, sign in ((since, ">="), (until and until + timedelta(days=1), "<")):
            if day is not None:
                parts.append(f"at {sign} ?")
                values.append(datetime.combine(day, time(), UTC).isoformat(timespec="seconds"))
        if photo is not None:
            parts.append("photo = ?")
            values.append(photo)
        return self._select(" AND ".join(parts), values, limit)

    def _select(self, where: str, values: list[str], limit: int = -1) -> list[Entry]:
        query = f"SELECT {', '.join(_COLUMNS)} FROM runs WHERE {where} ORDER BY at DESC, id DESC LIMIT ?"
        with opened(self.file) as base:
            return [Entry(*row) for row in base.execute(query, (*values, limit))]


def _literally(text: str) -> str:
    """As LIKE takes it, with no character standing for others."""
    return "".join(f"\\{char}" if char in "\\%_" else char for char in text)
