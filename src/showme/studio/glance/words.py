"""Numbers, times and texts as the page says them."""

from __future__ import annotations

import math
from html import escape


def number(value: float | None) -> str:
    """Four digits, and words for what is no number."""
    if value is None:
        return "–"
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite"
    if value == int(value) and abs(value) < 1e7:
        return f"{int(value):,}"
    return f"{value:.4g}"


def tick(value: float) -> str:
    """A round number, short enough for an axis."""
    return f"{value:g}" if abs(value) < 1e5 else f"{value:.0e}".replace("e+0", "e").replace("e+", "e")


def duration(seconds: float) -> str:
    """Seconds in the two units that matter."""
    whole = round(min(seconds, 1e10))
    for unit, size, below, smaller in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s"


def gibibytes(mebibytes: float) -> str:
    """MiB, said in GiB."""
    return f"{mebibytes / 1024:.2f} GiB"


def escaped(words: str) -> str:
    """Any text as it stands in HTML, in an attribute as well.

    Signs by which templates in pages know their places are written as references, so that none takes it for its own.
    """
    plain = escape(words)
    for sign in "${}`":
        plain = plain.replace(sign, f"&#{ord(sign)};")
    return plain


def text(words: str) -> str:
    """Any text as HTML that shows it as it is, whichever way it is written."""
    return f"<bdi>{escaped(words)}</bdi>"
