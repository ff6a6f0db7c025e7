"""Records that cannot be used: one by one while a data set is listed, and all of them in one sentence."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from ...errors import InputError, ShowMeWarning
from ..media.base import one_line
from .record import Entry, Fault, LeftOut, Record

# Of ids that a message names; the count says how many there are.
_NAMED = 10
_ID = 80


def entries_of_rows(
    rows: Iterable[tuple[str, Any]],
    entries_of: Callable[[str, Any], Iterable[Entry]],
    name_of: Callable[[Any], str | None],
) -> Iterator[Entry]:
    """Entries of every row of a list; a row that is wrong is a :class:`Fault`, and the others follow.

    Args:
        rows: ``(origin, row)``; an InputError in the place of a row is what is wrong with it.
        entries_of: origin and row -> its entries; InputErrors of it are the row's.
        name_of: row -> the id of its record; None where it has none.
    """
    for origin, row in rows:
        try:
            if isinstance(row, InputError):
                raise row
            yield from entries_of(origin, row)
        except InputError as error:
            name = None if isinstance(row, InputError) else name_of(row)
            yield Fault(one_line(name or "") or row_id(origin), str(error))


def row_id(origin: str) -> str:
    """What a record without an id is called in lists: its file's name and row."""
    return one_line(PurePath(origin).name)


def field_id(row: Mapping[str, Any], field: str) -> str | None:
    """The id in a field of a row; None where there is none."""
    value = row.get(field)
    named = isinstance(value, str | int | float) and not isinstance(value, bool)
    return str(value).strip() or None if named else None


def refusal(faults: Iterable[Fault], command: str | None) -> InputError | None:
    """One sentence about all faults of a data set; None where there are none.

    Args:
        faults: in the order of the records.
        command: that writes the list of them, ``exclude.jsonl``; None where no record is right, and none would be left.
    """
    first, names, count = "", [], 0
    for count, fault in enumerate(faults, 1):
        first = first or fault.reason.rstrip(".")
        if count <= _NAMED:
            names.append(one_line(fault.id)[:_ID])
    if not count:
        return None
    more = f" and {count - _NAMED} more" if count > _NAMED else ""
    wrong = f"; {count} records are wrong in this way or another ({'; '.join(names)}{more})" if count > 1 else ""
    them = "them" if count > 1 else "it"
    listed = (
        ""
        if command is None
        else f"; to leave {them} out, `{command}` writes the list that exclude=exclude.jsonl reads"
    )
    return InputError(f"{first}{wrong}{listed}.")


class LeftOuts:
    """What a source leaves out by rules of its own. reasons: how many for each. first: id of one."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self.first = ""

    def add(self, entry: LeftOut) -> None:
        """Count one."""
        self.first = self.first or entry.id
        self.reasons[entry.reason] += 1

    def sentence(self, noun: str) -> str:
        """What is said of them; ``noun``: what the records are, several."""
        counts = [f"{count} {reason}" for reason, count in self.reasons.items()]
        such = f"such as {one_line(self.first)[:_ID]}"
        if len(counts) == 1:
            (reason,) = self.reasons
            return f"{self.reasons.total()} {noun} {reason} were left out, {such}"
        return f"{self.reasons.total()} {noun} were left out: {', '.join(counts)}; {such}"


def counted(entries: Iterable[Entry], place: Path, noun: str) -> Iterator[Record | Fault]:
    """Entries without those that are left out, which a warning counts in the end."""
    left_out = LeftOuts()
    try:
        for entry in entries:
            if isinstance(entry, LeftOut):
                left_out.add(entry)
            else:
                yield entry
    finally:
        if left_out.first:
            warnings.warn(f"{place}: {left_out.sentence(noun)}.", ShowMeWarning, stacklevel=3)
