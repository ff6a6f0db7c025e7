"""Eyes by name, as settings give them: ``sobel``, ``hed:weights.pytorch``, ``transformers:LiheYoung/...``, ``raft``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ..errors import InputError


def edge_eye(name: str) -> nn.Module:
    """``sobel``, or ``hed:FILE``: pictures (N, 3, H, W) in [0, 1] -> edges (N, 1, H, W) in [0, 1].

    Raises:
        InputError: another name.
    """
    from .edges import HedEdges, SobelEdges

    return _choose("edges", name, {"sobel": lambda _: SobelEdges(), "hed:": HedEdges.from_file})


def depth_eye(name: str) -> nn.Module:
    """``tabletop``, or ``transformers:MODEL``: pictures (N, 3, H, W) in [0, 1] -> inverse depth (N, 1, H, W).

    Raises:
        InputError: another name.
    """
    from .depth import TabletopDepth, TransformersDepth

    known = {"tabletop": lambda _: TabletopDepth.from_assets(), "transformers:": TransformersDepth.from_pretrained}
    return _choose("depth", name, known)


def flow_eye(name: str) -> Callable[[Tensor], Tensor]:
    """``dis``, ``raft``, or ``raft:FILE``: clips (B, T, 3, H, W) in [0, 1] -> flow (B, T - 1, 2, H, W) in pixels.

    Raises:
        InputError: another name.
    """
    from .flow import DisFlow, RaftFlow

    return _choose("flow", name, {"dis": lambda _: DisFlow(), "raft": lambda _: RaftFlow(), "raft:": RaftFlow})


def _choose(kind: str, name: str, known: dict[str, Callable[[Any], Any]]) -> Any:
    family, colon, argument = name.partition(":")
    make = known.get(family + colon)
    if make is None or (colon and not argument):
        choices = ", ".join(f"{each}NAME" if each.endswith(":") else each for each in known)
        raise InputError(f"There is no eye for {kind} named {name!r}: choose {choices}.")
    return make(argument)
