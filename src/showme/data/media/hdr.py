"""The brightest light of HDR video, which its tone mapping (:mod:`showme.pictures.light`) needs."""

from __future__ import annotations

import struct

import av

from ...pictures.light import DEFAULT_PEAK, PEAK_UNIT
from .orientation import side_data


def peak_of(frame: av.VideoFrame, codec: str) -> float:
    """The brightest light of a video of ``codec``, as a multiple of 100 cd/m2: by its metadata, or else 1000 cd/m2."""
    level = side_data(frame, codec, "CONTENT_LIGHT_LEVEL")
    if level is not None and (brightest := struct.unpack_from("=I", level)[0]):
        return brightest / PEAK_UNIT
    mastering = side_data(frame, codec, "MASTERING_DISPLAY_METADATA")
    if mastering is not None:
        # Six and two chromaticities, darkest and brightest light, each a fraction; then what of it is given.
        *_, over, under, _, has_luminance = struct.unpack_from("=22i", mastering)
        if has_luminance and over > 0 and under > 0:
            return over / under / PEAK_UNIT
    return DEFAULT_PEAK
