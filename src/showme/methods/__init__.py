"""The methods by name; each is one paper in a folder of its own and is imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..plug_ins import METHODS, resolve

if TYPE_CHECKING:
    from .base import Method

_OWN = {"showme": "showme.methods.showme:ShowMe", "ivg": "showme.methods.ivg:IVG", "aid": "showme.methods.aid:AID"}
DEFAULT = "showme"


def find_method(name: str) -> Method:
    """The method of a recipe or a bundle.

    Raises:
        InputError: no such method; lists those that there are.
    """
    return resolve(METHODS, name, _OWN, "method")()
