"""Clips inside of tar archives, read in place: nothing is unpacked."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np

from ...errors import ClipError, InputError
from .base import Frames, Media, Span, check_regular, edges_digest, span_identity, span_of_pictures
from .pictures import SUFFIXES, decode_picture
from .video import VideoFrames


@dataclass(frozen=True)
class Member:
    """A file in an archive. name; offset and size of its bytes."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class TarVideo(Media):
    """A video in an uncompressed tar archive."""

    path: Path
    member: Member

    def open(self, span: Span | None = None) -> Frames:
        check_regular(self.path)
        return VideoFrames(self.path / self.member.name, lambda: open_member(self.path, self.member), span)

    def identity(self, span: Span | None = None) -> list:
        return [member_identity(self.path, self.member), span_identity(span)]


@dataclass(frozen=True)
class TarPictures(Media):
    """Pictures in an uncompressed tar archive, in their order. fps: where it is known."""

    path: Path
    members: tuple[Member, ...]
    fps: float | None = None

    def open(self, span: Span | None = None) -> Frames:
        check_regular(self.path)
        chosen = span_of_pictures(self.path, len(self.members), self.fps, span)
        return _TarFrames(self.path, [self.members[index] for index in chosen], self.fps)

    def identity(self, span: Span | None = None) -> list:
        ends = [member_identity(self.path, member) for member in (self.members[0], self.members[-1])]
        return [*ends, [member.size for member in self.members], span_identity(span)]


class _TarFrames(Frames):
    def __init__(self, path: Path, members: Sequence[Member], fps: float | None):
        self.path, self.members, self.fps = path, members, fps

    def __len__(self) -> int:
        return len(self.members)

    def read(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        for index in indices:
            time = None if self.fps is None else index / self.fps
            member = self.members[index]
            with open_member(self.path, member) as file:
                yield decode_picture(file, self.path / member.name, time)


def read_members(path: Path) -> Iterator[Member]:
    """Regular files of an uncompressed tar archive, in its order.

    Raises:
        InputError: missing, compressed, damaged, or with a member that would leave a folder it is unpacked to.
    """
    if not path.is_file():
        raise InputError(f"There is no archive {path}: fetch it.")
    try:
        with tarfile.open(path, "r:") as archive:
            for info in archive:
                name = PurePosixPath(info.name)
                if name.is_absolute() or ".." in name.parts or info.issym() or info.islnk():
                    raise InputError(
                        f"{path}: its member {info.name[:200]!r} leads out of it: do not use this archive."
                    )
                if info.isreg():
                    yield Member(info.name, info.offset_data, info.size)
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError) as error:
        raise InputError(
            f"{path} is no whole uncompressed tar archive ({error}): unpack it once, or fetch it."
        ) from error


def numbered_members(path: Path) -> dict[int, Member]:
    """Pictures of an archive by the last number in their names.

    Raises:
        InputError: as :func:`read_members`.
    """
    numbers = {}
    for member in read_members(path):
        name = PurePosixPath(member.name)
        digits = re.findall(r"\d+", name.stem)
        if digits and name.suffix.lower() in SUFFIXES:
            numbers[int(digits[-1])] = member
    return numbers


def open_member(path: Path, member: Member) -> BinaryIO:
    """A member's bytes as a file.

    Raises:
        ClipError: the archive ends before the member does.
    """
    try:
        if path.stat().st_size < member.offset + member.size:
            raise ClipError(path / member.name, "its archive is cut short")
        return io.BufferedReader(Slice(path.open("rb"), member.offset, member.size))
    except OSError as error:
        raise ClipError(path, error.strerror or "unreadable") from error


def member_identity(path: Path, member: Member) -> list:
    """Name, size and edges of a member."""
    with open_member(path, member) as file:
        return [path.name, member.name, member.size, edges_digest(file, member.size)]


class Slice(io.RawIOBase):
    """A part of a file as a file of its own.

    Args:
        file: open for reading; closed with the slice.
        offset, size: bytes.
    """

    def __init__(self, file: BinaryIO, offset: int, size: int):
        self.file, self.offset, self.size, self.place = file, offset, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.size}[whence]
        self.place = max(base + place, 0)
        return self.place

    def tell(self) -> int:
        return self.place

    def readinto(self, buffer: Any) -> int:
        self.file.seek(self.offset + self.place)
        data = self.file.read(min(len(buffer), max(self.size - self.place, 0)))
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)

    def close(self) -> None:
        self.file.close()
        super().close()
