"""Exact frames of every kind of video, reached by seeking, against a plain decoding of all."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from showme.data.media import Span, Video
from showme.data.media.opening import open_container
from showme.data.media.runs import RunDecoder
from showme.errors import ClipError

from .videos import decode_all, picture, write_clip

KINDS = {
    "b-frames.mp4": {"options": {"bf": "3", "b-pyramid": "normal", "b-adapt": "0"}},
    "open-gop.mp4": {"options": {"bf": "3", "x264-params": "open-gop=1:keyint=12:b-adapt=0"}, "frames": 60},
    "all-intra.mp4": {"gop": 1},
    "one-keyframe.mp4": {"gop": 1000},
    "odd.mp4": {"size": (63, 47), "pixels": "yuv444p"},
    "high.mkv": {"pixels": "yuv420p10le"},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"auto-alt-ref": "1", "lag-in-frames": "10", "cpu-used": "8"}},
    "vp8.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "10", "cpu-used": "8"}},
    "av1.mp4": {"codec": "libsvtav1", "options": {"preset": "12"}},
    "av1.webm": {"codec": "libsvtav1", "options": {"preset": "12"}},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none:bframes=4:b-adapt=0:keyint=12"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "mjpeg.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "stream.ts": {"options": {"bf": "2"}},
    "pictures.gif": {"codec": "gif", "pixels": "rgb8"},
    "uneven.mp4": {
        "times": [0, 1, 2, 7, 8, 20, 21, 22, 40, 41, 60, 90, 91, 92, 93, 95, 97, 99, 120, 121],
        "frames": 20,
    },
    "uneven.webm": {
        "codec": "libvpx-vp9",
        "options": {"cpu-used": "8"},
        "times": [0, 1, 2, 7, 8, 20, 21, 22, 40, 41, 60, 90, 91, 92, 93, 95, 97, 99, 120, 121],
        "frames": 20,
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.mark.parametrize("name", KINDS)
def test_any_frames_equal_those_of_a_plain_decoding(folder, name):
    path = write_clip(folder / name, **KINDS[name])
    truth = decode_all(path)
    generator = np.random.default_rng(0)
    with Video(path).open() as frames:
        assert len(frames) == len(truth)
        for wanted in (
            [0],
            [len(truth) - 1],
            range(len(truth)),
            *(sorted(generator.choice(len(truth), 5, replace=False)) for _ in range(4)),
        ):
            for index, frame in zip(wanted, frames.read(list(wanted)), strict=True):
                assert np.array_equal(frame, truth[index]), f"frame {index}"


def test_the_fewest_packets_are_decoded(folder, monkeypatch):
    path = write_clip(folder / "long.mp4", frames=240, gop=24, options={"bf": "0", "sc_threshold": "0"})
    decoded = []
    original = RunDecoder._packets_from
    monkeypatch.setattr(RunDecoder, "_packets_from", lambda *a: (decoded.append(p) or p for p in original(*a)))
    with Video(path).open() as frames:
        list(frames.read([0, 25, 200]))
    # A keyframe; one and the next; 192 to 200.
    assert len(decoded) == 1 + 2 + 9


def test_times_of_an_uneven_video_choose_its_frames(folder):
    path = write_clip(folder / "times.mp4", **KINDS["uneven.mp4"])
    truth = decode_all(path)
    with Video(path).open(Span(0.35, 1.05)) as frames:
        # Time stamps 7, 8 and 20 of 20 per second.
        assert len(frames) == 3
        for frame, index in zip(frames.read([0, 1, 2]), (3, 4, 5), strict=True):
            assert np.array_equal(frame, truth[index])


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_rotated_video_is_upright(folder, turned):
    path = write_clip(folder / f"turned{turned}.mp4", frames=3, rotation=turned, pixels="yuv444p", options={"qp": "0"})
    with Video(path).open() as frames:
        first = next(iter(frames.read([0])))
    with open_container(path, str(path)) as container:
        rotation = next(container.decode(video=0)).rotation
    upright = np.asarray(Image.fromarray(picture(0)).rotate(rotation, expand=True))
    assert rotation % 360 == turned
    assert first.shape == upright.shape
    assert np.abs(first.astype(int) - upright).mean() < 3


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_oblong_pixels_become_square(folder, suffix):
    path = write_clip(folder / f"square.{suffix}", frames=2)
    with Video(path).open() as frames:
        assert next(iter(frames.read([0]))).shape == (48, 64, 3)
    wide = write_clip(folder / f"wide.{suffix}", frames=2, pixel_aspect=2)
    with Video(wide).open() as frames:
        assert next(iter(frames.read([0]))).shape == (48, 128, 3)


def test_oblong_pixels_that_the_frames_alone_declare(folder):
    path = write_clip(folder / "declared.mp4", frames=3, pixel_aspect=2)
    assert path.read_bytes().count(b"pasp") == 1
    path.write_bytes(path.read_bytes().replace(b"pasp", b"free"))
    with Video(path).open() as frames:
        assert [frame.shape for frame in frames.read([0, 2])] == [(48, 128, 3)] * 2


def test_headers_that_say_all_are_not_decoded_to_open_them(folder):
    whole = write_clip(folder / "whole.mp4", frames=4)
    parts = write_clip(folder / "parts.mp4", frames=4, movflags="frag_keyframe+empty_moov")
    with Video(whole).open() as frames, Video(parts).open() as fragments:
        assert frames.structure.described
        assert frames.container.streams.video[0].codec_context.pix_fmt is None
        assert not fragments.structure.described
        for a, b in zip(frames.read(range(4)), fragments.read(range(4)), strict=True):
            assert np.array_equal(a, b)


def test_a_fragment_of_which_a_few_bytes_are_there_was_cut_off(folder):
    path = write_clip(folder / "parts.mp4", frames=40, movflags="frag_keyframe+empty_moov")
    content = path.read_bytes()
    second = content.index(b"moof", content.index(b"moof") + 4) - 4
    for left in range(1, 8):
        path.write_bytes(content[: second + left])
        with pytest.raises(ClipError, match="it is cut short"):
            Video(path).open()


def test_a_span_of_a_long_file_reads_only_its_part(folder):
    path = write_clip(folder / "hour.mp4", frames=1200, gop=20, options={"preset": "ultrafast", "bf": "2"})
    truth = decode_all(path)
    with Video(path).open(Span(30.0, 31.0)) as frames:
        assert len(frames) == 20
        assert len(frames.packets.numbers) < 150
        for index, frame in zip((0, 7, 19), frames.read([0, 7, 19]), strict=True):
            assert np.array_equal(frame, truth[600 + index])
    with Video(path).open(Span(600, 620, "frames")) as frames:
        assert np.array_equal(next(iter(frames.read([0]))), truth[600])


@pytest.mark.parametrize(
    ("span", "sentence"),
    [
        (Span(1, 3), r"the span 1 to 3 seconds reaches past the end, which has 40 frames, 2\.000 s"),
        (Span(0, 36000), "reaches past the end"),
        (Span(36000, 36001), "reaches past the end"),
        (Span(-1, 3), r"the span -1 to 3 seconds begins below 0\): correct its start"),
        (Span(3, 1), r"the span 3 to 1 seconds does not stop after its start, and .*\): correct one of the two"),
        (Span(1, 1), "the span 1 to 1 seconds does not stop after its start"),
        (Span(0, 41, "frames"), "reaches past the end"),
        (Span(5, 2, "frames"), "holds no frame"),
        (Span(-1, 2, "frames"), "begins below 0"),
    ],
)
def test_a_span_past_the_end_is_refused(folder, span, sentence):
    path = write_clip(folder / "short.mp4")
    with pytest.raises(ClipError, match=sentence):
        Video(path).open(span)


def test_a_span_may_end_within_a_frame_of_the_end(folder):
    path = write_clip(folder / "short.mp4")
    assert len(Video(path).open(Span(1.0, 2.04))) == 20


def test_identity_tells_files_apart_and_does_not_depend_on_their_folder(folder, tmp_path):
    one, other = write_clip(folder / "one.mp4"), write_clip(folder / "other.mp4", options={"crf": "40"})
    copy = tmp_path / "one.mp4"
    shutil.copy2(one, copy)
    assert Video(copy).identity() == Video(one).identity() != Video(other).identity()
    assert Video(one).identity(Span(0, 1)) != Video(one).identity()
    copy.write_bytes(one.read_bytes()[:-1] + b"?")
    assert Video(copy).identity() != Video(one).identity()


def test_a_part_of_a_file_is_not_said_to_be_its_length(folder):
    path = write_clip(folder / "long.mp4", frames=200, gop=20)
    with pytest.raises(ClipError, match=r"reaches past the end, which has 10\.000 s\)"):
        Video(path).open(Span(8.0, 30.0))
