"""What counts as a number in files that anyone may have written."""

from __future__ import annotations

import math
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number, finite or not, that is not too large to be a float; True and False are none."""
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**63)


def is_finite(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number."""
    return is_number(value) and math.isfinite(value)
