"""Checks of what a caller gives: each refusal is one sentence with the argument's name and the remedy."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import wraps
from numbers import Integral, Real
from typing import Any

from .errors import InputError

# The largest that torch takes, and NumPy too.
MAX_SEED = 2**63 - 1


def named_arguments(call: Callable) -> Callable:
    """A method whose errors for arguments that are missing, unknown or too many name what it takes, not itself."""
    signature = inspect.signature(call)
    names = ", ".join(list(signature.parameters)[1:])

    @wraps(call)
    def checked(*arguments: Any, **settings: Any) -> Any:
        try:
            signature.bind(*arguments, **settings)
        except TypeError as error:
            raise TypeError(f"The call {_worded(error)}: its arguments are {names}.") from None
        return call(*arguments, **settings)

    return checked


def _worded(error: TypeError) -> str:
    """As :meth:`inspect.Signature.bind` has it, as the end of a sentence."""
    said = str(error).replace("missing a required argument:", "misses the argument")
    for begin, better in (("got an unexpected keyword argument", "has no argument"), ("multiple", "got multiple")):
        said = better + said.removeprefix(begin) if said.startswith(begin) else said
    return said.replace("too many positional", "got too many positional")


def a_kind(value: object) -> str:
    """What a value is, with its article: ``an int``, ``a list``, ``None``."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def check_whole(name: str, value: object, low: int, high: int | None = None) -> None:
    """Refuse what is no whole number of a range; None is left to the callee.

    Raises:
        InputError: also for floats and for True and False.
    """
    if value is None:
        return
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):  # type: ignore[operator]
        span = f"of at least {low}" if high is None else f"from {low} to {high:,}"
        raise InputError(f"{name} {_shown(value)}: choose a whole number {span}.")


def check_number(name: str, value: object, low: float = -math.inf, high: float = math.inf, note: str = "") -> None:
    """Refuse what is no finite number of a range; None is left to the callee. note: ends the sentence.

    Raises:
        InputError: also for True and False.
    """
    if value is None:
        return
    real = isinstance(value, Real) and not isinstance(value, bool)
    if not real or not math.isfinite(value) or not low <= value <= high:  # type: ignore[arg-type, operator]
        span = "a finite number" if low == -math.inf else f"a number from {low:g} to {high:g}"
        raise InputError(f"{name} {_shown(value)}: choose {span}{note}.")


def _shown(value: object) -> str:
    """A value as messages show it."""
    shown = f"{value:g}" if isinstance(value, float) else repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."
