"""In which order a video's pictures are shown, as their own headers say: what proves the time stamps of a container.

Time stamps may be those of decoding (AVI has no others, and copies of it keep them), or another picture's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from .bits import UnorderedError
from .h263 import H263Order
from .h264 import H264Order
from .hevc import HevcOrder
from .mpeg import MpegOrder

__all__ = ["Order", "UnorderedError", "order_of", "shown_order"]


class Order(Protocol):
    """Of packets that are read in decoding order."""

    def key(self, packet: memoryview) -> tuple[int, int]:
        """Of a packet's picture: pictures are shown in the order of their keys, equal ones as they were decoded.

        Raises:
            UnorderedError: it does not say when it is shown.
            ValueError, IndexError: it is damaged, or no picture.
        """


class DecodingOrder:
    """Of codecs that show pictures as they decode them."""

    def key(self, packet: memoryview) -> tuple[int, int]:
        """The same for all: the order of decoding stays."""
        return 0, 0


def order_of(codec: str, reorders: bool, extradata: bytes) -> Order | None:
    """What reads the order of a stream's pictures; None where nothing here does.

    Args:
        codec: ffmpeg's name of it.
        reorders: whether the codec can show pictures in another order than it decodes them.
        extradata: of the stream.
    """
    try:
        if codec == "h264":
            return H264Order(extradata)
        if codec == "hevc":
            return HevcOrder(extradata)
        if codec == "h263":
            return H263Order()
        if codec in ("mpeg1video", "mpeg2video", "mpeg4"):
            return MpegOrder(extradata, codec == "mpeg4")
    except (UnorderedError, ValueError, IndexError):
        return None
    return None if reorders else DecodingOrder()


def shown_order(keys: Sequence[tuple[int, int]]) -> np.ndarray:
    """Keys in decoding order -> int (n,), the packets in the order in which their pictures are shown."""
    sequences, places = np.array(keys, dtype=np.int64).reshape(-1, 2).T
    return np.lexsort((np.arange(len(keys)), places, sequences))
