"""Clips in TFRecord files, read without TensorFlow: the framing, its checksums, and tf.train.Example.

A record is a length (uint64), its masked CRC-32C, that many bytes, and theirs; all numbers are little-endian. Only the
lists of bytes of an Example are parsed, pictures and text, and its lists of whole numbers, which say what it lacks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...errors import ClipError
from ...optional import needed
from .base import Frames, Media, Span, check_regular, span_identity, span_of_pictures
from .colours import DEFAULT, Colours
from .pictures import decode_picture

# The largest message that protobuf knows.
MAX_RECORD = 2**31 - 1
_HEADER, _CHECKSUM = struct.Struct("<QI"), struct.Struct("<I")
_MASK = 0xA282EAD8
_PACKED = "it looks like a compressed TFRecord file"
_UNPACK = "unpack it once and give the file that comes out"


@dataclass(frozen=True)
class TFRecordPictures(Media):
    """The pictures of one record: an Example's list of JPEG or PNG files.

    path: of the file. offset: bytes before the record. size: bytes of the Example. feature: its name there. fps: where
    it is known. colours: as of :class:`~showme.data.media.Pictures`.
    """

    path: Path
    offset: int
    size: int
    feature: str
    fps: float | None = None
    colours: Colours = DEFAULT

    def open(self, span: Span | None = None) -> Frames:
        check_regular(self.path)
        try:
            with self.path.open("rb") as file:
                payload = _read_record(self.path, file, self.offset, self.size)
        except OSError as error:
            raise ClipError(self.path, error.strerror or "unreadable") from error
        pictures = parse_example(self.path, self.offset, payload).get(self.feature, ())
        if not pictures:
            raise ClipError(self.path, f"the record at byte {self.offset} has no pictures {self.feature!r}")
        chosen = span_of_pictures(self.path, len(pictures), self.fps, span)
        return _RecordFrames(self.path / self.feature, [pictures[index] for index in chosen], self.fps, self.colours)

    def identity(self, span: Span | None = None) -> list:
        check_regular(self.path)
        try:
            with self.path.open("rb") as file:
                _read_size(self.path, file, self.offset, self.size)
                file.seek(self.size, 1)
                checksum = _CHECKSUM.unpack(file.read(_CHECKSUM.size))[0]
        except OSError as error:
            raise ClipError(self.path, error.strerror or "unreadable") from error
        place = [self.path.name, self.feature, self.size, checksum, span_identity(span)]
        return [*place, *self.colours.identity()]


class _RecordFrames(Frames):
    def __init__(self, path: Path, pictures: Sequence[bytes], fps: float | None, colours: Colours):
        self.path, self.pictures, self.fps, self.colours = path, pictures, fps, colours

    def __len__(self) -> int:
        return len(self.pictures)

    def read(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        for index in indices:
            time = None if self.fps is None else index / self.fps
            yield decode_picture(self.pictures[index], self.path / str(index), time, self.colours)


def read_records(path: Path) -> Iterator[tuple[int, bytes]]:
    """``(offset, payload)`` of every record of an uncompressed TFRecord file, one at a time in memory.

    Raises:
        ClipError: no such file, compressed, cut short, or a checksum that is wrong.
        InputError: no package for the checksums.
    """
    for offset, payload in record_rows(path):
        if isinstance(payload, ClipError):
            raise payload
        yield offset, payload


def record_rows(path: Path) -> Iterator[tuple[int, bytes | ClipError]]:
    """As :func:`read_records`; in the place of a record that is damaged, and where the next begins, what is said of it.

    Raises:
        ClipError: no such file, compressed, cut short, or a length whose checksum is wrong.
        InputError: no package for the checksums.
    """
    check_regular(path)
    try:
        with path.open("rb") as file:
            end, offset = path.stat().st_size, 0
            while offset < end:
                size = _read_size(path, file, offset, None)
                following = offset + _HEADER.size + size + _CHECKSUM.size
                try:
                    yield offset, _read_payload(path, file, offset, size)
                except ClipError as error:
                    yield offset, error
                offset = following
    except OSError as error:
        raise ClipError(path, error.strerror or "unreadable") from error


def parse_example(path: Path, offset: int, payload: bytes) -> Mapping[str, Sequence[bytes]]:
    """The features of a tf.train.Example that are lists of bytes.

    Args:
        path, offset: of the record, for messages.
        payload: the serialized Example.

    Raises:
        ClipError: another message.
        InputError: protobuf is not installed.
    """
    return parse_lists(path, offset, payload)[0]


def parse_lists(
    path: Path, offset: int, payload: bytes
) -> tuple[Mapping[str, Sequence[bytes]], Mapping[str, Sequence[int]]]:
    """As :func:`parse_example`, and the features that are lists of whole numbers."""
    kind = _example_class()
    from google.protobuf.message import DecodeError

    try:
        features = kind.FromString(payload).features.feature
    except DecodeError as error:
        raise ClipError(path, f"the record at byte {offset} is no tf.train.Example") from error
    texts = {name: feature.bytes_list.value for name, feature in features.items() if feature.HasField("bytes_list")}
    numbers = {name: feature.int64_list.value for name, feature in features.items() if feature.HasField("int64_list")}
    return texts, numbers


def _read_record(path: Path, file: BinaryIO, offset: int, expected: int | None = None) -> bytes:
    return _read_payload(path, file, offset, _read_size(path, file, offset, expected))


def _read_payload(path: Path, file: BinaryIO, offset: int, size: int) -> bytes:
    """What follows the header of a record."""
    payload = file.read(size)
    checksum = file.read(_CHECKSUM.size)
    if len(payload) < size or len(checksum) < _CHECKSUM.size:
        raise ClipError(path, f"it is cut short in the record at byte {offset}")
    if _masked_crc(payload) != _CHECKSUM.unpack(checksum)[0]:
        raise ClipError(path, f"the record at byte {offset} is damaged: its checksum is another")
    return payload


def _read_size(path: Path, file: BinaryIO, offset: int, expected: int | None) -> int:
    """Length of a record's payload, where the file stands afterwards; it is there whole."""
    file.seek(offset)
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise ClipError(path, f"it is cut short in the record at byte {offset}")
    size, checksum = _HEADER.unpack(header)
    if _masked_crc(header[:8]) != checksum:
        # A length may look like the magic number, but then its checksum is right.
        if offset == 0 and _is_compressed(header):
            raise ClipError(path, _PACKED, remedy=_UNPACK)
        raise ClipError(path, f"the record at byte {offset} is damaged: the checksum of its length is another")
    if size > MAX_RECORD:
        raise ClipError(path, f"the record at byte {offset} is of {size} bytes, which no Example can have")
    if offset + _HEADER.size + size + _CHECKSUM.size > path.stat().st_size:
        raise ClipError(path, f"it is cut short in the record at byte {offset}")
    if expected is not None and size != expected:
        raise ClipError(path, f"the record at byte {offset} has changed since it was listed", remedy="list it again")
    return size


def _is_compressed(start: bytes) -> bool:
    """Whether a file begins as gzip or zlib streams do (RFC 1952, RFC 1950)."""
    return start[:2] == b"\x1f\x8b" or (start[0] & 0x0F == 8 and int.from_bytes(start[:2], "big") % 31 == 0)


def _masked_crc(data: bytes) -> int:
    """CRC-32C, rotated and shifted, so that checksums of checksums do not meet."""
    with needed("google_crc32c", "google-crc32c", "data", "Reading TFRecord"):
        from google_crc32c import value
    crc = value(data)
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


@cache
def _example_class() -> Any:
    """A message class for tf.train.Example, of the fields that are read."""
    with needed("google.protobuf", "protobuf", "data", "Reading TFRecord"):
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="showme/example.proto", package="showme", syntax="proto3")

    def message(parent, name: str, *fields: tuple[str, int, int, int, str | None]):
        made = parent.add(name=name)
        for field, number, label, kind, of in fields:
            made.field.add(name=field, number=number, label=label, type=kind, type_name=of)
        return made

    one, many = kinds.LABEL_OPTIONAL, kinds.LABEL_REPEATED
    message(file.message_type, "BytesList", ("value", 1, many, kinds.TYPE_BYTES, None))
    message(file.message_type, "Int64List", ("value", 1, many, kinds.TYPE_INT64, None))
    message(
        file.message_type,
        "Feature",
        ("bytes_list", 1, one, kinds.TYPE_MESSAGE, ".showme.BytesList"),
        ("int64_list", 3, one, kinds.TYPE_MESSAGE, ".showme.Int64List"),
    )
    features = message(
        file.message_type, "Features", ("feature", 1, many, kinds.TYPE_MESSAGE, ".showme.Features.FeatureEntry")
    )
    entry = message(
        features.nested_type,
        "FeatureEntry",
        ("key", 1, one, kinds.TYPE_STRING, None),
        ("value", 2, one, kinds.TYPE_MESSAGE, ".showme.Feature"),
    )
    entry.options.map_entry = True
    message(file.message_type, "Example", ("features", 1, one, kinds.TYPE_MESSAGE, ".showme.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("showme.Example"))
