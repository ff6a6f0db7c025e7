"""The order of pictures from their headers, against the order in which ffmpeg's decoder gives them out."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from showme.data.media.order import UnorderedError, order_of, shown_order
from showme.data.media.order.bits import Bits, payload

from .videos import write_clip

X264 = {"preset": "veryfast", "sc_threshold": "0"}
X265 = "log-level=error:pools=1:frame-threads=1"
# Long groups, so that counters of few bits wrap many times.
STREAMS = {
    "h264.mp4": {"frames": 400, "gop": 350, "options": {**X264, "bf": "3", "b-pyramid": "normal"}},
    "open.ts": {"frames": 90, "gop": 24, "options": {**X264, "bf": "3", "x264-params": "open-gop=1"}},
    "plain.mkv": {"frames": 60, "options": {**X264, "bf": "0"}},
    "interlaced.mp4": {"frames": 60, "options": {**X264, "bf": "2", "x264-params": "interlaced=1"}},
    "matrices.mp4": {"frames": 30, "options": {**X264, "bf": "2", "x264-params": "cqm=jvt"}},
    "444.mkv": {"frames": 30, "pixels": "yuv444p", "options": {**X264, "bf": "2", "x264-params": "cqm=jvt"}},
    "hevc.mp4": {"codec": "libx265", "frames": 300, "gop": 280, "options": {"x265-params": f"{X265}:bframes=4"}},
    "hevc.ts": {"codec": "libx265", "frames": 60, "gop": 16, "options": {"x265-params": f"{X265}:open-gop=1"}},
    "layers.mkv": {"codec": "libx265", "frames": 60, "options": {"x265-params": f"{X265}:temporal-layers=1"}},
    "mpeg1.mpg": {"codec": "mpeg1video", "fps": 25, "options": {"bf": "2"}},
    "mpeg2.ts": {"codec": "mpeg2video", "fps": 25, "options": {"bf": "2"}},
    "mpeg4.mp4": {"codec": "mpeg4", "frames": 60, "options": {"bf": "2"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "0"}},
    "h263.3gp": {"codec": "h263", "size": (176, 144)},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"cpu-used": "8", "lag-in-frames": "10", "auto-alt-ref": "1"}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("order")


def decoded_order(path: Path) -> list[int]:
    """Numbers of packets in the order in which the decoder gives out their pictures."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        order = []
        packets = [packet for packet in container.demux(stream) if packet.size]
        for number, packet in enumerate(packets):
            packet.pts = number
            order += [frame.pts for frame in stream.codec_context.decode(packet)]
        return order + [frame.pts for frame in stream.codec_context.decode(None)]


@pytest.mark.parametrize("name", STREAMS)
def test_the_order_is_that_of_the_decoder(folder, name):
    path = write_clip(folder / name, **STREAMS[name])
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        order = order_of(context.name, context.name != "vp9", context.extradata or b"")
        keys = [order.key(memoryview(packet)) for packet in container.demux(stream) if packet.size]
    assert shown_order(keys).tolist() == decoded_order(path)


def test_codecs_that_nothing_here_reads_have_no_order():
    assert order_of("wmv3", True, b"") is None
    assert order_of("ffv1", False, b"").key(memoryview(b"?")) == (0, 0)


@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg4", "mpeg2video", "h263"])
def test_what_is_no_picture_says_so(codec):
    order = order_of(codec, True, b"")
    for data in (b"", b"\0\0\1", b"\0" * 40, bytes(range(64))):
        with pytest.raises((ValueError, IndexError)):
            order.key(memoryview(data))


def test_a_picture_that_is_not_coded_and_two_in_one_packet_prove_nothing(folder):
    path = write_clip(folder / "visual.mp4", codec="mpeg4", frames=3)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        extradata = stream.codec_context.extradata
        first, second, *_ = [bytes(packet) for packet in container.demux(stream) if packet.size]
    order = order_of("mpeg4", True, extradata)
    order.key(memoryview(first))
    with pytest.raises(UnorderedError):
        order.key(memoryview(first + second))
    # Type P, no whole second, the marker, a time of as many bits as 20 per second take, the marker, not coded.
    skipped = int("01" + "0" + "1" + "00011" + "1" + "0" + "00000", 2).to_bytes(2, "big")
    with pytest.raises(UnorderedError):
        order.key(memoryview(b"\0\0\1\xb6" + skipped))


def test_bits_are_read_as_the_standard_says():
    bits = Bits(0b1_010_011_00100_00101_0_1.to_bytes(3, "big")[0:])
    assert bits.read(5) == 0
    assert [bits.golomb() for _ in range(5)] == [0, 1, 2, 3, 4]
    assert bits.read(2) == 1
    with pytest.raises(ValueError, match="too early"):
        bits.read(1)
    assert payload(b"\0\0\3\1\0\0\3\0\0\3") == b"\0\0\1\0\0\0\0"
