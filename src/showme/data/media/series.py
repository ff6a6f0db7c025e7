"""Which of a folder's pictures are the clip: those of one series, of names that differ in their numbers alone.

Beside the frames folders hold optical flow, depth, a thumbnail, or the same frames in another format. Taken together
they would be a clip that nobody filmed; so one series is the clip, and where two could be, none is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import pairwise
from statistics import median_low

from ...errors import tell_once

# No longer run of digits is a number to count with.
_NUMBER = re.compile(r"[0-9]{1,18}")
# Not of a name such as cam1.0001.png.
_DECIMALS = re.compile(r"(?<![a-zA-Z0-9])[0-9]+\.([0-9]{1,18})\.[a-zA-Z]+$")
_WORD = re.compile(r"[a-z]+")
# What a series beside the frames is called: measurements and drawings of what the frames show.
_BESIDE = {
    *("flow", "flowx", "flowy", "depth", "disparity", "disp", "normal", "normals", "mask", "masks", "seg", "semantic"),
    *("segmentation", "ir", "infrared", "thermal", "edge", "edges", "confidence", "thumb", "thumbnail", "preview"),
}
# Of the same frames, the most faithful come first.
_FORMATS = (".png", ".bmp", ".webp", ".jpg")
_NAMED = 5


class SeriesError(ValueError):
    """Pictures that are no clip. reason: why. remedy: what to do."""

    def __init__(self, reason: str, remedy: str):
        self.reason, self.remedy = reason, remedy
        super().__init__(f"{reason}: {remedy}")


@dataclass(frozen=True)
class Series:
    """Pictures of a clip.

    kind: their names, ``*`` for numbers. names: in the order of their numbers. others: kinds of what is passed over.
    jump: two neighbouring numbers between which others are missing; None: there are none.
    """

    kind: str
    names: Sequence[str]
    others: tuple[str, ...] = ()
    jump: tuple[int, int] | None = None


def choose_series(names: Iterable[str], pattern: str | None = None) -> Series:
    """The clip among names of pictures, of which there is one at least.

    Args:
        names: of files, in any order.
        pattern: shell pattern of those that count, whatever their case; None: those of the one series there is.

    Raises:
        SeriesError: several series could be the clip, two pictures have one number, or none is of the pattern.
    """
    if pattern is not None:
        return _matching(list(names), pattern)
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(_kind(name), []).append(name)
    return _numbered(*next(iter(kinds.items()))) if len(kinds) == 1 else _of_several(kinds)


def tell_series(place: object, data_set: object, series: Series) -> None:
    """Warn, once for a data set, of pictures that are passed over, and of numbers that are missing.

    Args:
        place: of the clip, for the message.
        data_set: what the clips that are alike belong to.
        series: of the clip.
    """
    if series.others:
        tell_once(
            ("series", str(data_set), series.kind, series.others),
            f"{place}: {series.kind} are the clip, and {', '.join(series.others[:_NAMED])} beside them are passed "
            "over, here and in clips alike: set pattern to take others.",
        )
    if series.jump is not None:
        tell_once(
            ("jump", str(data_set)),
            f"{place}: no pictures have the numbers between {series.jump[0]} and {series.jump[1]}; the clip goes on "
            "without them, as others of the data set may: fetch it again if it should have them.",
        )


def natural_key(name: str) -> list[int | str]:
    """Sorts names with their numbers by value: ``im_2.jpg`` before ``im_10.jpg``."""
    parts = re.split(r"([0-9]{1,18})", name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def _kind(name: str) -> str:
    kind = _NUMBER.sub("*", name.lower())
    return kind.removesuffix(".jpeg") + ".jpg" if kind.endswith(".jpeg") else kind


def _stem(kind: str) -> str:
    return kind.rpartition(".")[0]


def _matching(names: list[str], pattern: str) -> Series:
    chosen = [name for name in names if fnmatchcase(name.lower(), pattern.lower())]
    if not chosen:
        has = ", ".join(sorted({_kind(name) for name in names})[:_NAMED])
        raise SeriesError(f"none of its pictures is named {pattern!r}, they are {has}", "correct pattern")
    kinds = {_kind(name) for name in chosen}
    if len(kinds) == 1:
        return replace(_numbered(kinds.pop(), chosen, several=True), others=())
    return Series(pattern, sorted(chosen, key=natural_key))


def _of_several(kinds: dict[str, list[str]]) -> Series:
    """The series among names of several kinds."""
    left = {kind: names for kind, names in kinds.items() if "*" in _stem(kind)} or _alphabetical(kinds)
    left = {kind: names for kind, names in left.items() if not _BESIDE.intersection(_WORD.findall(kind))} or left
    many = {kind: names for kind, names in left.items() if len(names) > 1}
    single = len(left) - len(many)
    if len({_stem(kind) for kind in left}) > 1 and single > sum(map(len, many.values())):
        # Names of every sort, which are no series.
        return Series("*", sorted((name for names in kinds.values() for name in names), key=natural_key))
    left = many or left
    series = _same_in_formats(left) if len(left) > 1 else _numbered(*next(iter(left.items())))
    others = tuple(sorted(kind for kind, names in kinds.items() if not set(names) <= set(series.names)))
    return replace(series, others=others)


def _alphabetical(kinds: dict[str, list[str]]) -> dict[str, list[str]]:
    """Names without numbers, which differ in their words: one kind for every format."""
    formats: dict[str, list[str]] = {}
    for kind, names in kinds.items():
        formats.setdefault(f"*.{kind.rpartition('.')[2]}", []).extend(names)
    return formats


def _same_in_formats(kinds: dict[str, list[str]]) -> Series:
    """The series where kinds differ in their format alone: one after the other, or one twice."""
    if len({_stem(kind) for kind in kinds}) > 1:
        raise _undecided({kind: len(names) for kind, names in kinds.items()})
    numbers = {kind: {_stem(name).lower() for name in names} for kind, names in kinds.items()}
    every = set().union(*numbers.values())
    if len(every) == sum(map(len, numbers.values())):
        kind = f"{_stem(next(iter(kinds)))}.*"
        return _numbered(kind, [name for names in kinds.values() for name in names])
    whole = [kind for kind in kinds if numbers[kind] == every]
    if not whole:
        raise _undecided({kind: len(names) for kind, names in kinds.items()})
    best = min(whole, key=lambda kind: [kind.endswith(suffix) for suffix in _FORMATS].index(True))
    return _numbered(best, kinds[best])


def _undecided(counts: dict[str, int]) -> SeriesError:
    shown = " and ".join(f"{kind} ({count})" for kind, count in sorted(counts.items())[:_NAMED])
    return SeriesError(
        f"its pictures are of {len(counts)} series, {shown}", f"say which as pattern, such as pattern={min(counts)}"
    )


def _numbered(kind: str, names: Sequence[str], several: bool = False) -> Series:
    """One kind's names by their numbers. several: whether they may be those of several cameras."""
    keyed = sorted((tuple(map(int, _NUMBER.findall(name))), name) for name in names)
    ordered = [name for _, name in keyed]
    columns = list(zip(*(numbers for numbers, _ in keyed), strict=False))
    varying = [column for column in columns if column[0] != column[-1] or len(set(column)) > 1]
    for (before, one), (after, other) in pairwise(keyed):
        if before == after and columns:
            raise SeriesError(f"{one} and {other} have one number", "keep one of them")
    if len(varying) == 1:
        return Series(kind, ordered, jump=_jump(varying[0]))
    if len(varying) > 1 and not several:
        _check_cameras(columns, ordered)
    return Series(kind, ordered)


def _jump(numbers: Sequence[int]) -> tuple[int, int] | None:
    """The first two neighbours between which there is room for others, given the usual step."""
    if numbers[-1] - numbers[0] == len(numbers) - 1:
        return None
    steps = [after - before for before, after in pairwise(numbers)]
    usual = median_low(steps)
    place = next((place for place, step in enumerate(steps) if step >= 2 * usual), None)
    return None if place is None else (numbers[place], numbers[place + 1])


def _check_cameras(columns: Sequence[Sequence[int]], names: Sequence[str]) -> None:
    """Refuse names in which one number says which camera, and each camera's frames are numbered from the same on.

    Clocks in names start anew as well, but not where they stood when the recording began; seconds with decimals may.
    """
    leading = list(zip(*columns[:-1], strict=True))
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, lead in enumerate(leading):
        groups.setdefault(lead, []).append(place)
    starts = {columns[-1][places[0]] for places in groups.values()}
    if len(groups) < 2 or len(starts) > 1 or min(map(len, groups.values())) < 2:
        return
    first, *_ = groups.values()
    if _are_decimals(names[first[-1]], [columns[-1][place] for place in first]):
        return
    counts: dict[str, int] = {}
    for places in groups.values():
        name = names[places[0]]
        last = list(_NUMBER.finditer(name))[-1]
        counts[f"{name[: last.start()]}*{name[last.end() :]}"] = len(places)
    raise _undecided(counts)


def _are_decimals(name: str, numbers: Sequence[int]) -> bool:
    """Whether numbers behind a point, of which ``name`` has the last, go on to the next whole one: 12.0, ..., 12.9."""
    decimals = _DECIMALS.search(name)
    if decimals is None:
        return False
    step = median_low([after - before for before, after in pairwise(numbers)])
    return 10 ** len(decimals[1]) - numbers[-1] < 2 * step
