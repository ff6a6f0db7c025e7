"""A file of SQLite that several threads and processes use: every use is one transaction, whole or not there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError

_WAIT_SECONDS = 30.0


def create(file: Path, tables: str) -> None:
    """Make a file's tables, those that are not there.

    Raises:
        InputError: the file cannot be used.
    """
    with opened(file) as base:
        # Readers never wait for a writer, and a killed one leaves nothing half done.
        base.execute("PRAGMA journal_mode=WAL")
        base.executescript(tables)


@contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection for one transaction.

    Raises:
        InputError: the file cannot be used.
    """
    try:
        base = sqlite3.connect(file, timeout=_WAIT_SECONDS)
        try:
            with base:
                yield base
        finally:
            base.close()
    except sqlite3.Error as error:
        raise InputError(f"{file} cannot be used ({error}): make room, or move it away.") from error
