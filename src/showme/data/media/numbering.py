"""Numbers in names: their order, and whether they count the pictures of one clip or also say which camera made them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median_low

# No longer run of digits is a number to count with.
NUMBER = re.compile(r"[0-9]{1,18}")
# A time with a point. Not of a name such as cam1.0001.png.
_DECIMALS = re.compile(
    r"(?:(?<![a-z0-9])|(?<![a-z])(?:t|ts|time|timestamp|s|sec|seconds))([0-9]+)\.([0-9]{1,18})(?:s|sec)?\.[a-z]+$"
)
_CAMERA = re.compile(r"(?:cam|camera|view|eye|lens|c)[-_]?$")
# Seconds since 1970 that cameras write have so many digits.
_UNIX = 10**8
# Between two pictures of one clock, in usual steps: where seconds are counted, and where parts of them are.
_EVEN, _UNEVEN = 2, 10


def keys_of(names: Sequence[str]) -> list[tuple[float, ...]]:
    """For each of several names of one kind its numbers, by which they are sorted: 0.25 before 0.5, 2 before 10."""
    keys: list[tuple[float, ...]] = [tuple(map(int, NUMBER.findall(name))) for name in names]
    found = [_DECIMALS.search(name.lower()) for name in names]
    parts = [each[2] for each in found if each]
    # A counter without leading zeros reaches 10; the ends of times have no zero.
    if len(parts) < len(names) or len(set(map(len, parts))) == 1 or any(len(x) > 1 and x[-1] == "0" for x in parts):
        return keys
    return [(*key[:-1], float(f"0.{part}")) for key, part in zip(keys, parts, strict=True)]


def are_of_one_clip(names: Sequence[str]) -> bool:
    """Whether names of one kind, in the order of their numbers, go on from each picture to the next.

    One of their numbers rises from the first to the last, or they are times: with a point, with hours, minutes and
    seconds, or with parts of seconds. Where each camera's pictures are numbered, numbers start anew instead.
    """
    columns = list(zip(*keys_of(names), strict=False))
    if sum(len(set(column)) > 1 for column in columns) < 2:
        return True
    return any(_rises(column) for column in columns) or any(
        _rises(times) and _goes_on(times, most) for times, most in _as_times(names)
    )


def by_camera(names: Sequence[str]) -> list[list[str]]:
    """Names of one kind that are of several cameras, by camera; each camera's in their order."""
    texts = [NUMBER.findall(name) for name in names]
    columns = list(zip(*texts, strict=False))
    frame = max(range(len(columns)), key=lambda place: _as_frame(names[0], columns[place], place))
    cameras: dict[tuple[str, ...], list[str]] = {}
    for name, numbers in zip(names, texts, strict=True):
        cameras.setdefault((*numbers[:frame], *numbers[frame + 1 :]), []).append(name)
    return list(cameras.values())


def _as_frame(name: str, column: Sequence[str], place: int) -> tuple[bool, int, int, int]:
    """How likely a column of numbers counts frames: the larger the likelier."""
    before = name[: list(NUMBER.finditer(name))[place].start()].lower()
    return not _CAMERA.search(before), min(map(len, column)), len(set(column)), place


def _rises(values: Sequence[float]) -> bool:
    return all(before < after for before, after in pairwise(values))


def _goes_on(times: Sequence[float], most: float) -> bool:
    """Whether no step between times is ``most`` times as long as the usual one, but for rounding."""
    steps = [after - before for before, after in pairwise(times)]
    return max(steps) < most * median_low(steps) * (1 - 1e-6)


def _as_times(names: Sequence[str]) -> Iterator[tuple[list[float], float]]:
    """What the names may say of time: seconds, and between two pictures of one clip less than so many usual steps."""
    if all(_DECIMALS.search(name.lower()) for name in names):
        yield [float(".".join(NUMBER.findall(name)[-2:])) for name in names], _UNEVEN
    texts = list(zip(*(NUMBER.findall(name) for name in names), strict=False))
    widths = [{len(text) for text in column} for column in texts]
    values = [list(map(int, column)) for column in texts]
    if min(values[-2]) >= _UNIX:
        yield [second + part * 1e-9 for second, part in zip(*values[-2:], strict=True)], float("inf")
    if widths[-3:] == [{2}] * 3:
        yield _clock(*values[-3:]), _EVEN
    if widths[-4:-1] == [{2}] * 3 and len(widths[-1]) == 1:
        yield _with_parts(_clock(*values[-4:-1]), texts[-1]), _UNEVEN
    if widths[-2] == {6} and len(widths[-1]) == 1:
        hours, minutes, seconds = ([value // unit % 100 for value in values[-2]] for unit in (10000, 100, 1))
        yield _with_parts(_clock(hours, minutes, seconds), texts[-1]), _UNEVEN
    starts = [values[-1][place] for place, lead in enumerate(values[-2]) if not place or lead != values[-2][place - 1]]
    if len(set(starts)) > 1 and len(widths[-1]) == 1 and min(widths[-1]) > 1:
        # It did not begin with a whole minute or second: cameras would all begin with the same number.
        if max(values[-1]) < 60 and widths[-1] == {2}:
            yield [lead * 60 + last for lead, last in zip(*values[-2:], strict=True)], _EVEN
        yield _with_parts(values[-2], texts[-1]), _EVEN


def _clock(hours: Sequence[int], minutes: Sequence[int], seconds: Sequence[int]) -> list[float]:
    """Seconds of a clock. What is none becomes times that do not rise, or not evenly."""
    return [hour * 3600 + minute * 60 + second for hour, minute, second in zip(hours, minutes, seconds, strict=True)]


def _with_parts(seconds: Sequence[float], parts: Sequence[str]) -> list[float]:
    return [second + float(f"0.{part}") for second, part in zip(seconds, parts, strict=True)]
