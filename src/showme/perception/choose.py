"""Estimators by name, as settings give them: ``sobel``, ``hed:FILE``, ``transformers:LiheYoung/...``, ``raft``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
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
    """Uint8 frames (T, H, W, 3) -> each frame's hands.

    ``torch``, ``torch:FILE``, ``mediapipe`` or ``mediapipe:FILE``: FILE is MediaPipe's ``hand_landmarker.task``;
    without one, the published file is fetched once. ``tabletop``, ``tabletop-judge`` or ``tabletop:FILE``: our own
    networks, for the rendered world. ``options`` are those of ``TorchHands.from_file`` and ``MediapipeHands``; of them
    the world's, which has one hand, needs ``min_presence`` alone.

    Raises:
        InputError: another name, a file that cannot be fetched or is another, or a package that is not installed.
    """
    from .hands import MediapipeHands, TorchHands, hand_model_file

    known: dict[str, Callable[[Any], Any]] = {
        "torch": lambda _: TorchHands.from_file(hand_model_file(), **options),
        "torch:": lambda file: TorchHands.from_file(hand_model_file(file), **options),
        "mediapipe": lambda _: MediapipeHands(hand_model_file(), **options),
        "mediapipe:": lambda file: MediapipeHands(hand_model_file(file), **options),
        **{name: partial(_tabletop_hands, name, options) for name in ("tabletop", "tabletop-judge", "tabletop:")},
    }
    return _choose("hands", name, known)


def hand_landmarks(name: str) -> nn.Module:
    """The networks with a gradient, by the names of :func:`hand_estimator`: pictures and squares -> joints, presence.

    Raises:
        InputError: another name, or a file that cannot be fetched or is another.
    """
    from .hands import HandLandmarks, hand_model_file

    known: dict[str, Callable[[Any], Any]] = {
        "torch": lambda _: HandLandmarks.from_file(hand_model_file()),
        "torch:": lambda file: HandLandmarks.from_file(hand_model_file(file)),
        **{name: partial(_tabletop_landmarks, name) for name in ("tabletop", "tabletop-judge", "tabletop:")},
    }
    return _choose("hands with a gradient", name, known)


def _tabletop_hands(name: str, options: dict[str, Any], file: str) -> nn.Module:
    from .hands.tabletop import TabletopHands

    return TabletopHands(_tabletop_landmarks(name, file), options.get("min_presence", 0.1))


def _tabletop_landmarks(name: str, file: str) -> Any:
    from .hands.tabletop import JUDGE_WEIGHTS, WEIGHTS, TabletopHandLandmarks

    return TabletopHandLandmarks.from_assets(file or (JUDGE_WEIGHTS if name == "tabletop-judge" else WEIGHTS))


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
