"""Episodes in RLDS (arXiv 2111.02767), as TensorFlow Datasets writes them and Open X-Embodiment publishes them.

``<data set>-<split>.tfrecord-00000-of-00032`` holds a tf.train.Example per episode: a list of JPEG or PNG files, one a
step, and the instruction once, or once a step. TensorFlow is not needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from ...errors import ClipError, InputError
from ..media import Span, TFRecordPictures
from ..media.base import is_black
from ..media.companions import visible
from ..media.pictures import decode_picture
from ..media.tfrecord import parse_example, parse_lists, record_rows
from .base import Source, check_folder
from .faults import entries_of_rows
from .record import Entry, Fault, LeftOut, Record
from .tables import read_json

_Row = tuple[int, int, bytes]
_SHARD = re.compile(r"(.+)-([^-]+)\.tfrecord-(\d{5,9})-of-(\d{5,9})")
_FEATURES = "features.json"
_SPLITS = {"val": "validation"}
_METADATA, _HAS = "episode_metadata", "has_"


class RldsSource(Source):
    """Episodes of sharded TFRecord files, in the order of the shards.

    Where the instruction changes within an episode, every stretch of steps under one instruction is a record.
    """

    noun: ClassVar[str] = "episodes"

    kind: Literal["rlds"] = Field(description="RLDS episodes in TFRecord files")
    path: Path = Field(description="folder of the *.tfrecord-00000-of-00032, or one of them")
    image: str = Field("steps/observation/image_0", description="feature of the pictures")
    instruction: str = Field("steps/language_instruction", description="feature of the instruction")
    file_path: str | None = Field("episode_metadata/file_path", description="feature that messages quote; null: none")
    empty: Literal["refuse", "drop"] = Field("refuse", description="episodes, or stretches, without an instruction")
    incomplete: bool = Field(False, description="go on where shards are missing")
    split: str | None = Field(None, description="shards of this split alone; null: all")
    fps: float | None = Field(None, gt=0, description="steps per second, 5 for BridgeData; null: not known")
    licence: str = Field("", description="whose terms hold, in a few words")

    @property
    def place(self) -> Path:
        """The folder, or the file."""
        return self.path

    def entries(self) -> Iterator[Entry]:
        shards = self._shards()
        self._check_names(shards[0][0].with_name(_FEATURES))
        self._check_first(shards[0][0])
        for path, split in shards:
            rows = ((f"{path}, record {number}", row) for number, row in enumerate(_numbered(path)))
            yield from entries_of_rows(rows, partial(self._entries, path, split), partial(_name, path))

    def _entries(self, path: Path, split: str | None, place: str, row: _Row) -> Iterator[Entry]:
        _, offset, payload = row
        features, numbers = parse_lists(path, offset, payload)
        source = features.get(self.file_path or "", ())
        of = f" (of {_text(source[0])[:200]!r})" if source else ""
        origin = f"{place}{of}"
        pictures = self._feature(origin, features, "image")
        sentences = [_text(sentence, origin) for sentence in self._feature(origin, features, "instruction")]
        name = _name(path, row)
        if self._is_absent(path / name, pictures, numbers):
            yield LeftOut(name, f"without {self._camera} ({_HAS}{self._camera} = 0)")
            return
        for part, (sentence, span) in enumerate(_stretches(origin, sentences, len(pictures))):
            stretch = name if part == 0 else f"{name}#{part + 1}"
            if not sentence and self.empty == "drop":
                yield LeftOut(stretch, "without an instruction")
                continue
            if not sentence:
                yield Fault(stretch, f"{origin}: there is no instruction: set empty=drop to leave it out.")
                continue
            yield Record(
                id=stretch,
                media=TFRecordPictures(path, offset, len(payload), self.image, self.fps),
                instruction=sentence,
                span=span,
                split=split,
                licence=self.licence,
                origin=origin,
            )

    @property
    def _camera(self) -> str:
        return self.image.rpartition("/")[2]

    def _is_absent(self, path: Path, pictures: Sequence[bytes], numbers: Mapping[str, Sequence[int]]) -> bool:
        """Whether an episode was not filmed by the camera, and its pictures are the format's black ones.

        ``has_image_0`` and its like say so, where anybody has filled them in: data sets exist in which none is set.
        """
        flag = f"{_METADATA}/{_HAS}{self._camera}"
        if any(numbers.get(flag, (1,))):
            return False
        others = flag.rstrip("0123456789")
        if any(any(values) for name, values in numbers.items() if name.rstrip("0123456789") == others):
            return True
        return all(is_black(decode_picture(picture, path)) for picture in pictures)

    def _check_first(self, path: Path) -> None:
        """Refuse features that no episode has, before all of them are said to lack it."""
        row = next(_numbered(path), None)
        if row is None or isinstance(row, InputError):
            return
        _, offset, payload = row
        try:
            features = parse_example(path, offset, payload)
        except ClipError:
            # A fault of this record, which is reported with its name.
            return
        for field in ("image", "instruction"):
            self._check_name(f"{path}, record 0", features, field)

    def _check_name(self, origin: str, features: Mapping[str, Sequence[bytes]], field: str) -> None:
        name = getattr(self, field)
        if name not in features:
            raise InputError(f"{origin}: it has no feature {name!r}: set {field} to one of {_listing(features)}.")

    def _feature(self, origin: str, features: Mapping[str, Sequence[bytes]], field: str) -> Sequence[bytes]:
        self._check_name(origin, features, field)
        name = getattr(self, field)
        if not features[name]:
            raise InputError(
                f"{origin}: the feature {name!r} is empty: set {field} to another, or leave the episode out."
            )
        return features[name]

    def _shards(self) -> Sequence[tuple[Path, str | None]]:
        """Files with their splits.

        Raises:
            InputError: none, some missing, or none of the wanted split.
        """
        if self.path.is_file():
            match = _SHARD.fullmatch(self.path.name)
            return self._wanted([(self.path, _split(match) if match else None)])
        check_folder(self.path, "TFRecord files")
        found: dict[tuple[str, str, int], dict[int, Path]] = {}
        matches: dict[Path, re.Match[str]] = {}
        for path in visible(self.path):
            if match := _SHARD.fullmatch(path.name):
                matches[path] = match
                found.setdefault((match[1], match[2], int(match[4])), {})[int(match[3])] = path
        if not found:
            raise InputError(f"{self.path} has no files *.tfrecord-00000-of-00001: give the folder that has them.")
        for (name, split, total), shards in found.items():
            lost = next((number for number in range(total) if number not in shards), None)
            if lost is not None and not self.incomplete:
                raise InputError(
                    f"{self.path} lacks {name}-{split}.tfrecord-{lost:05}-of-{total:05} ({len(shards)} of {total} "
                    "shards are there): fetch it, or set incomplete=true to go on with those."
                )
        ordered = [shards[number] for _, shards in sorted(found.items()) for number in sorted(shards)]
        return self._wanted([(path, _split(matches[path])) for path in ordered])

    def _wanted(self, shards: Sequence[tuple[Path, str | None]]) -> Sequence[tuple[Path, str | None]]:
        if self.split is None:
            return shards
        wanted = [(path, split) for path, split in shards if split == _SPLITS.get(self.split, self.split)]
        if not wanted:
            splits = ", ".join(sorted({split or "unknown" for _, split in shards}))
            raise InputError(f"{self.path} has no split {self.split!r}: it has {splits}.")
        return wanted

    def _check_names(self, path: Path) -> None:
        """Compare the names with TFDS's ``features.json``, where it lies beside the shards."""
        if not path.is_file():
            return
        names = _feature_names(path)
        for field, kind in (("image", "image"), ("instruction", "text")):
            name = getattr(self, field)
            if name not in names:
                alike = sorted(each for each, kinds in names.items() if kind in kinds) or sorted(names)
                raise InputError(f"{path} lists no feature {name!r}: set {field} to one of {_listing(alike)}.")


def _numbered(path: Path) -> Iterator[_Row | InputError]:
    """``(number, offset, payload)`` of every record, or what is wrong with it."""
    for number, (offset, payload) in enumerate(record_rows(path)):
        yield payload if isinstance(payload, InputError) else (number, offset, payload)


def _name(path: Path, row: _Row) -> str:
    return f"{path.name}/{row[0]}"


def _stretches(origin: str, sentences: Sequence[str], steps: int) -> Iterator[tuple[str, Span | None]]:
    """Instructions with the steps that each holds for; None: all."""
    if len(sentences) not in (1, steps):
        raise InputError(f"{origin}: {len(sentences)} instructions for {steps} pictures: choose other features.")
    if len(set(sentences)) == 1:
        yield sentences[0], None
        return
    start = 0
    for sentence, group in groupby(sentences):
        stop = start + len(list(group))
        yield sentence, Span(start, stop, "frames")
        start = stop


def _feature_names(path: Path) -> dict[str, set[str]]:
    """Features by the names that Examples have for them, with the keys of their descriptions."""
    strange = InputError(f"{path} is not as TensorFlow Datasets writes it: fetch it again, or delete it.")
    names: dict[str, set[str]] = {}
    left: list[tuple[str, Any]] = [("", read_json(path))]
    while left:
        name, node = left.pop()
        if not isinstance(node, dict):
            raise strange
        if "sequence" in node:
            inner = node["sequence"]
            left.append((name, inner.get("feature") if isinstance(inner, dict) else None))
        elif "featuresDict" in node:
            inner = node["featuresDict"]
            children = inner.get("features") if isinstance(inner, dict) else None
            if not isinstance(children, dict):
                raise strange
            left += [(f"{name}/{child}".lstrip("/"), below) for child, below in children.items()]
        elif name:
            names[name] = set(node)
        else:
            raise strange
    return names


def _split(match: re.Match[str]) -> str:
    return _SPLITS.get(match[2], match[2])


def _text(value: bytes, origin: str | None = None) -> str:
    try:
        return value.decode().strip()
    except UnicodeDecodeError as error:
        if origin is None:
            return repr(value)
        raise InputError(f"{origin}: the instruction is not UTF-8 text: choose another feature.") from error


def _listing(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))[:500] or "none"
