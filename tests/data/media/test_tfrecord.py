"""TFRecord framing and Examples; the files are written by TensorBoard's writer, which shares no code with ours."""

from __future__ import annotations

import gzip
import io
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.summary.writer.record_writer import RecordWriter

from showme.data.media import Span, TFRecordPictures
from showme.data.media import tfrecord as module
from showme.data.media.tfrecord import parse_example, read_records
from showme.errors import ClipError, InputError

from .videos import picture


def example(features: Mapping[str, Sequence[bytes] | bytes]) -> bytes:
    """A tf.train.Example, serialized; values that are bytes alone stand for a packed list of floats."""
    entries = b""
    for name, values in features.items():
        if isinstance(values, bytes):
            feature = field(2, field(1, values))
        else:
            feature = field(1, b"".join(field(1, value) for value in values))
        entries += field(1, field(1, name.encode()) + field(2, feature))
    return field(1, entries)


def field(number: int, value: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    length, size = b"", len(value)
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + value


def write_records(path: Path, payloads: Sequence[bytes]) -> Path:
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for payload in payloads:
            writer.write(payload)
    return path


def png(number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture(number)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def clips(tmp_path) -> Path:
    """Two records of three and two pictures."""
    payloads = [
        example({"a/image": [png(n) for n in numbers], "a/state": struct.pack("<3f", 1, 2, 3), "a/text": [b"lift it"]})
        for numbers in ((0, 1, 2), (7, 8))
    ]
    return write_records(tmp_path / "clips.tfrecord", payloads)


def test_records_are_found_and_their_lists_of_bytes_parsed(clips):
    (first, payload), (second, other) = read_records(clips)
    assert (first, second) == (0, 8 + 4 + len(payload) + 4)
    features = parse_example(clips, first, payload)
    assert set(features) == {"a/image", "a/text"}
    assert list(features["a/image"]) == [png(0), png(1), png(2)]
    assert len(parse_example(clips, second, other)["a/image"]) == 2


def test_any_frames_of_any_record_are_read(clips):
    _, (offset, payload) = read_records(clips)
    media = TFRecordPictures(clips, offset, len(payload), "a/image", fps=5)
    with media.open() as frames:
        assert (len(frames), frames.fps) == (2, 5)
        for frame, number in zip(frames.read([0, 1]), (7, 8), strict=True):
            assert np.array_equal(frame, picture(number))
    with media.open(Span(0.2, 0.4)) as frames:
        assert np.array_equal(next(iter(frames.read([0]))), picture(8))
    with pytest.raises(ClipError, match="the span 0 to 3 frames reaches past the end"):
        media.open(Span(0, 3, "frames"))


def test_identity_is_that_of_the_pixels(clips, tmp_path):
    (offset, payload), _ = read_records(clips)
    media = TFRecordPictures(clips, offset, len(payload), "a/image")
    before = media.identity()
    assert TFRecordPictures(clips, offset, len(payload), "a/text").identity() != before
    assert media.identity(Span(0, 1, "frames")) != before
    (tmp_path / "moved").mkdir()
    moved = clips.rename(tmp_path / "moved" / clips.name)
    assert TFRecordPictures(moved, offset, len(payload), "a/image").identity() == before
    write_records(clips, [payload.replace(png(1), png(1)[:-1] + b"!")])
    assert media.identity() != before


def test_no_changed_byte_goes_unnoticed(clips):
    whole = clips.read_bytes()
    for place in [*range(0, 16), *range(16, len(whole), 97), len(whole) - 1]:
        clips.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ClipError, match=r"clips\.tfrecord cannot be read as a clip .*(damaged|cut short)"):
            list(read_records(clips))


def test_no_cut_goes_unnoticed(clips):
    whole = clips.read_bytes()
    (_, payload), _ = read_records(clips)
    for length in (1, 11, 12, 200, len(payload) + 15, len(payload) + 17, len(whole) - 1):
        clips.write_bytes(whole[:length])
        with pytest.raises(ClipError, match="cut short in the record at byte"):
            list(read_records(clips))
    clips.write_bytes(b"")
    with pytest.raises(ClipError, match="it is empty"):
        list(read_records(clips))


@pytest.mark.parametrize(("size", "sentence"), [(2**31 - 1, "cut short"), (2**62, "which no Example can have")])
def test_a_lying_length_reserves_no_memory(tmp_path, size, sentence):
    header = struct.pack("<Q", size)
    path = tmp_path / "lie.tfrecord"
    path.write_bytes(header + struct.pack("<I", module._masked_crc(header)) + bytes(1000))
    tracemalloc.start()
    with pytest.raises(ClipError, match=sentence):
        list(read_records(path))
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, lambda data: zlib.compress(data, 1)])
def test_compressed_files_are_refused_by_name(clips, pack):
    clips.write_bytes(pack(clips.read_bytes()))
    with pytest.raises(ClipError, match=r"looks like a compressed TFRecord file.*unpack it once"):
        list(read_records(clips))


def test_what_is_no_example_is_reported(tmp_path):
    path = write_records(tmp_path / "odd.tfrecord", [b"\xff\xff no message", example({"a/state": bytes(8)})])
    (start, odd), (offset, numbers) = read_records(path)
    with pytest.raises(ClipError, match=r"the record at byte 0 is no tf\.train\.Example"):
        parse_example(path, start, odd)
    with pytest.raises(ClipError, match=f"the record at byte {offset} has no pictures 'a/state'"):
        TFRecordPictures(path, offset, len(numbers), "a/state").open()
    with pytest.raises(ClipError, match="has changed since it was listed"):
        TFRecordPictures(path, offset, len(numbers) - 1, "a/state").open()


def test_a_damaged_picture_is_named_with_its_time(tmp_path):
    payload = example({"image": [png(0), b"", png(1)[:60]]})
    path = write_records(tmp_path / "clips.tfrecord", [payload])
    with TFRecordPictures(path, 0, len(payload), "image", fps=5).open() as frames:
        next(iter(frames.read([0])))
        with pytest.raises(ClipError, match=r"clips\.tfrecord/image/1 cannot be read as a clip at 0\.200 s"):
            list(frames.read([1]))
        with pytest.raises(ClipError, match=r"image/2 cannot be read as a clip at 0\.400 s \(damaged picture"):
            list(frames.read([2]))


def test_missing_packages_are_named(clips, monkeypatch):
    (offset, payload), _ = read_records(clips)
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    with pytest.raises(InputError, match=r'google-crc32c: pip install "showme-video\[data\]"'):
        list(read_records(clips))
    module._example_class.cache_clear()
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    with pytest.raises(InputError, match=r'protobuf: pip install "showme-video\[data\]"'):
        parse_example(clips, offset, payload)
