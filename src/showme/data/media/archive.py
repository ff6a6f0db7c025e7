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

from ...errors import ClipError, InputError, absent
from .base import (
    UNPRINTABLE,
    Frames,
    Media,
    Span,
    changed_at,
    check_name,
    check_regular,
    edges_digest,
    span_identity,
    span_of_pictures,
)
from .colours import DEFAULT, Colours
from .companions import is_companion
from .pictures import SUFFIXES, decode_picture
from .video import chosen_identity, open_video

_MAX_HEADER = 2**20
_MAX_DIGITS = 18


@dataclass(frozen=True)
class Member:
    """A file in an archive. name; offset and size of its bytes."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class TarVideo(Media):
    """A video in an uncompressed tar archive. track, colours: as in :class:`~showme.data.media.Video`."""

    path: Path
    member: Member
    track: int | None = None
    colours: Colours = DEFAULT

    def open(self, span: Span | None = None) -> Frames:
        check_regular(self.path)
        name = self.path / self.member.name
        return open_video(name, lambda: open_member(self.path, self.member), span, self.track, self.colours)

    def identity(self, span: Span | None = None) -> list:
        chosen = chosen_identity(self.track, self.colours)
        return [member_identity(self.path, self.member), span_identity(span), *chosen]


@dataclass(frozen=True)
class TarPictures(Media):
    """Pictures in an uncompressed tar archive, in their order. fps: where it is known. colours: as of
    :class:`~showme.data.media.Pictures`."""

    path: Path
    members: tuple[Member, ...]
    fps: float | None = None
    colours: Colours = DEFAULT

    def open(self, span: Span | None = None) -> Frames:
        check_regular(self.path)
        if not self.members:
            raise ClipError(self.path, "it holds no pictures")
        chosen = span_of_pictures(self.path, len(self.members), self.fps, span)
        return _TarFrames(self.path, [self.members[index] for index in chosen], self.fps, self.colours)

    def identity(self, span: Span | None = None) -> list:
        ends = [member_identity(self.path, member) for member in (self.members[0], self.members[-1])]
        sizes = [[member.name, member.size] for member in self.members]
        return [*ends, sizes, span_identity(span), *self.colours.identity()]


class _TarFrames(Frames):
    def __init__(self, path: Path, members: Sequence[Member], fps: float | None, colours: Colours):
        self.path, self.members, self.fps, self.colours = path, members, fps, colours

    def __len__(self) -> int:
        return len(self.members)

    def read(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        for index in indices:
            time = None if self.fps is None else index / self.fps
            member = self.members[index]
            with open_member(self.path, member) as file:
                yield decode_picture(file, self.path / member.name, time, self.colours)


def read_members(path: Path) -> Iterator[Member]:
    """Regular files of an uncompressed tar archive, in its order, but for those that systems leave beside others.

    Raises:
        InputError: missing, compressed, damaged, or with a member that would leave a folder it is unpacked to.
    """
    check_name(path)
    if not path.is_file():
        raise InputError(f"{absent(path, 'archive')}: give tar files, or fetch them.")
    try:
        with path.open("rb") as file, tarfile.open(fileobj=_Headers(file), mode="r:") as archive:  # type: ignore[call-overload]
            for info in archive:
                _check_member(path, info)
                if info.isreg() and not is_companion(info.name):
                    yield Member(info.name, info.offset_data, info.size)
            # What is no header ends tarfile's list as the end does, without a word.
            file.seek(archive.offset)  # type: ignore[attr-defined]
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("it is cut short or damaged: its last member is not its end")
    except InputError:
        raise
    except Exception as error:
        # tarfile raises whatever its parsers hit: TarError, OSError, ValueError, RecursionError, ...
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{path} is no whole uncompressed tar archive ({reason}): unpack it once, or fetch it."
        ) from error


def _check_member(path: Path, info: tarfile.TarInfo) -> None:
    name = PurePosixPath(info.name)
    shown = f"{path}: its member {info.name[:200]!r}"
    if name.is_absolute() or ".." in name.parts or info.issym() or info.islnk():
        raise InputError(f"{shown} leads out of it: do not use this archive.")
    if UNPRINTABLE.search(info.name):
        raise InputError(f"{shown} has control characters in its name: do not use this archive.")
    if info.size < 0:
        # tarfile would go back, and never come to an end.
        raise InputError(f"{shown} has {info.size} bytes: fetch the archive again.")
    if info.issparse():
        raise InputError(f"{shown} is sparse, its bytes do not stand together: unpack the archive, and pack it anew.")


def numbered_members(path: Path) -> dict[int, Member]:
    """Pictures of an archive by the last number in their names.

    Raises:
        InputError: as :func:`read_members`; or two pictures of one number.
    """
    numbers: dict[int, Member] = {}
    for member in read_members(path):
        name = PurePosixPath(member.name)
        digits = re.findall(r"[0-9]+", name.stem)
        # No annotation speaks of longer numbers.
        if digits and len(digits[-1]) <= _MAX_DIGITS and name.suffix.lower() in SUFFIXES:
            other = numbers.setdefault(int(digits[-1]), member).name
            if other != member.name:
                raise InputError(f"{path}: {other[:200]} and {member.name[:200]} have one number: keep one of them.")
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
    """Name, size and edges of a member, and when its archive was changed last."""
    with open_member(path, member) as file:
        return [path.name, member.name, member.size, edges_digest(file, member.size), changed_at(path)]


class _Headers:
    """What tarfile reads of an archive, which is headers alone: none is so long that it must not be read at once."""

    def __init__(self, file: BinaryIO):
        self.file, self.tell, self.seek = file, file.tell, file.seek

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER:
            raise tarfile.ReadError(f"it has a header of {size} bytes")
        return self.file.read(size)


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
