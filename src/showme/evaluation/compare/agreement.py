"""Whether results may stand in one table: one protocol, the same clips, the same networks behind each figure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...data.media.base import one_line
from ...errors import InputError
from ..results import Result
from ..tables import flat

# They name a protocol and decide nothing: reported last, when all the rest agrees.
_NAMES = ("name", "published")
# Tables show which metrics were asked for, and each figure carries what decides it.
_FREE = ("metrics",)
_LONGEST = 200


def check_agreement(results: Mapping[str, Result]) -> None:
    """Refuse results that cannot be compared.

    Raises:
        InputError: naming the first field of the protocol that differs, with both values; how many clips differ, with
            one of them; or the metric whose networks or settings do.
    """
    (first, reference), *others = results.items()
    for name, result in others:
        _check_protocol(first, reference, name, result)
        _check_clips(first, reference, name, result)
    _check_networks(results)


def _check_protocol(first: str, reference: Result, name: str, result: Result) -> None:
    ours, theirs = reference.protocol, result.protocol
    fields = [*ours, *(field for field in theirs if field not in ours)]
    for field in sorted(set(fields) - set(_FREE), key=lambda field: (field in _NAMES, fields.index(field))):
        if field not in ours or field not in theirs or ours[field] != theirs[field]:
            raise InputError(
                f"{short(first)} and {short(name)} follow different protocols, {field} is {_value(ours, field)} in the "
                f"one and {_value(theirs, field)} in the other: evaluate both under one protocol."
            )


def _check_clips(first: str, reference: Result, name: str, result: Result) -> None:
    ours, theirs = set(reference.ids), set(result.ids)
    for one, other, has, lacks in ((ours, theirs, first, name), (theirs, ours, name, first)):
        alone = sorted(one - other)
        if alone:
            raise InputError(
                f"{short(first)} and {short(name)} judge different clips, {len(alone)} of the {len(one)} in "
                f"{short(has)} are not in {short(lacks)}, such as {short(alone[0])}: evaluate both on the same clips."
            )


def _check_networks(results: Mapping[str, Result]) -> None:
    seen: dict[str, tuple[str, dict[str, str]]] = {}
    for name, result in results.items():
        for column in (result.model, *result.baselines):
            for metric, figure in column.figures.items():
                now = flat(figure.fingerprint)
                first, before = seen.setdefault(metric, (name, now))
                for key in [*before, *(key for key in now if key not in before)]:
                    if before.get(key) != now.get(key):
                        raise InputError(
                            f"{short(metric)} is made of different things, {short(key)} is "
                            f"{short(before.get(key, 'not given'))} in {short(first)} and "
                            f"{short(now.get(key, 'not given'))} in {short(name)}: evaluate both with the same "
                            "networks and settings."
                        )


def short(text: str) -> str:
    """Text as a sentence can hold it: on one line, and no longer than that."""
    line = one_line(text)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def _value(fields: Mapping[str, Any], field: str) -> str:
    return short(json.dumps(fields[field], ensure_ascii=False)) if field in fields else "not given"
