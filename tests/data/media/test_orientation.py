"""All eight display matrices, as the ffmpeg command shows them."""

from __future__ import annotations

import shutil
import struct
import subprocess

import av
import numpy as np
import pytest

from showme.data.check import fault_of
from showme.data.media import Video
from showme.data.sources.record import Record
from showme.errors import ClipError

from .videos import HEIGHT, WIDTH, write_clip

MATRICES = {
    "upright": ((1, 0, 0, 1), lambda x: x),
    "mirrored": ((-1, 0, 0, 1), lambda x: x[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda x: x[::-1]),
    "half a turn": ((-1, 0, 0, -1), lambda x: x[::-1, ::-1]),
    "transposed": ((0, 1, 1, 0), lambda x: x.swapaxes(0, 1)),
    "clockwise": ((0, 1, -1, 0), lambda x: x.swapaxes(0, 1)[:, ::-1]),
    "counter-clockwise": ((0, -1, 1, 0), lambda x: x.swapaxes(0, 1)[::-1]),
    "transposed the other way": ((0, -1, -1, 0), lambda x: x.swapaxes(0, 1)[::-1, ::-1]),
    "zeros": ((0, 0, 0, 0), lambda x: x),
}

# H.264's display orientation, mirrored from left to right until another is said.
START, MIRRORED = b"\0\0\0\1", bytes.fromhex("062f0340000980")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("turned") / "plain.mp4", frames=2, pixels="yuv444p", options={"qp": "0"})


def first_of(path) -> np.ndarray:
    with Video(path).open() as frames:
        frames.verify()
        return next(iter(frames.read([0])))


@pytest.mark.parametrize("name", MATRICES)
def test_a_display_matrix_lays_the_picture(plain, tmp_path, name):
    (a, b, c, d), laid = MATRICES[name]
    data = bytearray(plain.read_bytes())
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    struct.pack_into(">9i", data, data.rindex(b"tkhd") + 44, *matrix)
    path = tmp_path / "turned.mp4"
    path.write_bytes(data)
    shown = laid(first_of(plain))
    assert np.array_equal(first_of(path), shown)
    if shutil.which("ffmpeg") and name != "zeros":
        command = ["ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
        raw = subprocess.run(command, capture_output=True, check=True).stdout
        witness = np.frombuffer(raw, np.uint8).reshape(shown.shape)
        assert np.abs(witness.astype(int) - shown).max() <= 3
    assert shown.shape in ((HEIGHT, WIDTH, 3), (WIDTH, HEIGHT, 3))


@pytest.mark.parametrize("suffix", ["mp4", "ts", "h264"])
@pytest.mark.parametrize("where", ["first", "second", "keys"])
def test_pictures_of_which_some_alone_are_turned_are_refused_in_one_sentence(tmp_path, suffix, where):
    plain = write_clip(tmp_path / f"plain.{suffix}", frames=20, gop=5, options={"bf": "0", "sc_threshold": "0"})
    path = tmp_path / f"marked.{suffix}"
    numbers = {"first": [0], "second": [5], "keys": [0, 5, 10, 15]}[where]
    with av.open(str(plain)) as given, av.open(str(path), "w") as output:
        stream = given.streams.video[0]
        copy = output.add_stream_from_template(stream)
        for number, packet in enumerate(packet for packet in given.demux(stream) if packet.size):
            marked = av.Packet(
                (len(MIRRORED).to_bytes(4, "big") if suffix == "mp4" else START) + MIRRORED + bytes(packet)
            )
            marked.pts, marked.dts, marked.time_base = packet.pts, packet.dts, packet.time_base
            marked.is_keyframe = packet.is_keyframe
            marked = marked if number in numbers else packet
            marked.stream = copy
            output.mux(marked)
    with pytest.raises(ClipError, match="some of its pictures alone say that they are turned or mirrored") as read:
        Video(path).open()
    assert fault_of(Record("x", Video(path), "x")) == str(read.value)
