"""Which decoder reads a video, where ffmpeg's own would leave something out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av

# ffmpeg's decoders of these do not read transparency, which WebM keeps beside the packets; libvpx's do.
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


def decoder_of(stream: Any) -> Any:
    """The decoder of a stream: its own, or for transparent VP8 and VP9 one that reads transparency, if it is there."""
    context = stream.codec_context
    name = _WITH_ALPHA.get(context.name)
    if name is None or stream.metadata.get("alpha_mode") != "1" or name not in av.codecs_available:
        return context
    decoder = av.CodecContext.create(name, "r")
    decoder.extradata = context.extradata
    decoder.options = dict(context.options)
    return decoder


def decoded(container: Any, stream: Any) -> Iterator[av.VideoFrame]:
    """All frames of a stream, from where its container stands."""
    decoder = decoder_of(stream)
    for packet in container.demux(stream):
        yield from decoder.decode(packet)
