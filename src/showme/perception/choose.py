"""Estimators by name, as settings give them: ``sobel``, ``hed:FILE``, ``transformers:LiheYoung/...``, ``raft``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from ..errors import InputError

if TYPE_CHECKING:
    from .captions import Captioner
    from .hands import Hand
    from .similarity import ClipSimilarity, DinoSimilarity


def edge_estimator(name: str) -> nn.Module:
    """``sobel``, or ``hed:FILE``: pictures (N, 3, H, W) in [0, 1] -> edges (N, 1, H, W) in [0, 1].

    Raises:
        InputError: another name.
    """
    from .edges import HedEdges, SobelEdges

    return _choose("edges", name, {"sobel": lambda _: SobelEdges(), "hed:": HedEdges.from_file})


def depth_estimator(name: str) -> nn.Module:
    """``tabletop``, or ``transformers:MODEL``: pictures (N, 3, H, W) in [0, 1] -> inverse depth (N, 1, H, W).

    Raises:
        InputError: another name.
    """
    from .depth import TabletopDepth, TransformersDepth

    known = {"tabletop": lambda _: TabletopDepth.from_assets(), "transformers:": TransformersDepth.from_pretrained}
    return _choose("depth", name, known)


def flow_estimator(name: str) -> Callable[[Tensor], Tensor]:
    """``dis``, ``raft``, or ``raft:FILE``: clips (B, T, 3, H, W) in [0, 1] -> flow (B, T - 1, 2, H, W) in pixels.

    Raises:
        InputError: another name.
    """
    from .flow import DisFlow, RaftFlow

    return _choose("flow", name, {"dis": lambda _: DisFlow(), "raft": lambda _: RaftFlow(), "raft:": RaftFlow})


def hand_estimator(name: str, **options: Any) -> Callable[[np.ndarray | Tensor], list[list[Hand]]]:
    """``torch``, ``torch:FILE``, ``mediapipe``, or ``mediapipe:FILE``: uint8 frames (T, H, W, 3) -> each frame's hands.

    FILE is MediaPipe's ``hand_landmarker.task``; without one, the published file is fetched once. ``options`` are those
    of ``TorchHands.from_file`` and ``MediapipeHands``.

    Raises:
        InputError: another name, a file that cannot be fetched or is another, or a package that is not installed.
    """
    from .hands import MediapipeHands, TorchHands, hand_model_file

    known = {
        "torch": lambda _: TorchHands.from_file(hand_model_file(), **options),
        "torch:": lambda file: TorchHands.from_file(hand_model_file(file), **options),
        "mediapipe": lambda _: MediapipeHands(hand_model_file(), **options),
        "mediapipe:": lambda file: MediapipeHands(hand_model_file(file), **options),
    }
    return _choose("hands", name, known)


def captioner(name: str) -> Captioner:
    """``tabletop``, ``transformers:MODEL``, or ``server:ADDRESS#MODEL``: says something about a picture.

    Raises:
        InputError: another name.
    """
    from .captions import ChatModel, ChatServer, TabletopWords

    family, _, argument = name.partition(":")
    if name == "tabletop":
        return TabletopWords()
    if family == "transformers" and argument:
        return ChatModel.from_pretrained(argument)
    if family == "server" and argument:
        return ChatServer.from_name(argument)
    raise InputError(
        f"There is no captioner named {name!r}: choose tabletop, transformers:MODEL or server:ADDRESS#MODEL."
    )


def clip_similarity(name: str, **options: Any) -> ClipSimilarity:
    """``transformers:MODEL``, OpenAI's CLIP: pictures and sentences -> features whose cosines compare.

    ``options`` are those of ``ClipSimilarity.from_pretrained``.

    Raises:
        InputError: another name, or a model that cannot be loaded.
    """
    from .similarity import ClipSimilarity

    known = {"transformers:": lambda model: ClipSimilarity.from_pretrained(model, **options)}
    return _choose("pictures and sentences", name, known)


def dino_similarity(name: str) -> DinoSimilarity:
    """``transformers:MODEL``, DINOv2: pictures -> features whose cosines compare.

    Raises:
        InputError: another name, or a model that cannot be loaded.
    """
    from .similarity import DinoSimilarity

    return _choose("likeness of pictures", name, {"transformers:": DinoSimilarity.from_pretrained})


def _choose(kind: str, name: str, known: dict[str, Callable[[Any], Any]]) -> Any:
    family, colon, argument = name.partition(":")
    make = known.get(family + colon)
    if make is None or (colon and not argument):
        choices = ", ".join(f"{each}NAME" if each.endswith(":") else each for each in known)
        raise InputError(f"There is no estimator for {kind} named {name!r}: choose {choices}.")
    return make(argument)
