"""Methods and backbones of other packages, by their entry points: installed once, they are known by name everywhere.

::

    [project.entry-points."showme.methods"]
    mine = "my_package.my_method:MyMethod"
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from .errors import InputError, first_line

METHODS, BACKBONES = "showme.methods", "showme.backbones"


def resolve(group: str, name: str, own: Mapping[str, str], what: str) -> Any:
    """The class of a name: one of ours, or of an installed package; imported now.

    Args:
        group: of entry points.
        name: that is asked for.
        own: names -> ``module:class`` of this package.
        what: what messages call it.

    Raises:
        InputError: no such name; lists those that there are.
    """
    if name in own:
        module, _, attribute = own[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    found = {each.name: each for each in _found(group)}
    if name not in found:
        raise InputError(f"There is no {what} {name!r}: choose {', '.join([*own, *sorted(found)])}.")
    try:
        return found[name].load()
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"The {what} {name}, {found[name].value} of another package, cannot be imported ({first_line(error)}): "
            "install what that needs, or choose another."
        ) from error


def trusted_packages() -> set[str]:
    """Top-level packages that plug-ins come from: their classes may be components of bundles."""
    return {each.module.partition(".")[0] for group in (METHODS, BACKBONES) for each in _found(group)}


@cache
def _found(group: str) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))
