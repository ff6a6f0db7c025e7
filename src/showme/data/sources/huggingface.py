"""Data sets in the formats of Hugging Face's ``datasets``: saved ones, Parquet, CSV, JSON lines, folders, or the hub's.

What a row keeps is read as it is stored, never decoded by ``datasets``, and code of a data set is never run. Whatever
``datasets`` prepares goes to its cache, where HF_HOME says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from ...errors import InputError
from ...optional import needed
from ..media import ArrowPictures, ArrowVideo, Media, PictureFiles, Video
from ..media.base import one_line
from ..media.companions import is_companion
from ..media.huggingface import is_list, is_sound, open_arrow
from ..media.parquet import MAX_BYTES as MAX_COLUMN
from ..media.pictures import SUFFIXES as PICTURES
from .base import Source, check_folder, inside
from .faults import entries_of_rows, field_id
from .record import Entry, Record
from .tables import cell, read_json

_VIDEOS = (".mp4", ".webm", ".avi", ".mkv", ".mov")
_ROWS = 1024
_TEXT, _BYTES = ("string", "large_string"), ("binary", "large_binary")
_SUFFIXES = {
    **{"videofolder": _VIDEOS, "imagefolder": PICTURES},
    **{"parquet": (".parquet",), "csv": (".csv",), "json": (".jsonl",)},
}
# What says that a folder's files are its rows.
_LISTED = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


class HuggingFaceSource(Source):
    """Rows of one split. Give ``path``, or ``name`` and ``revision`` of a data set of the hub.

    The video column keeps video files, as ``{bytes, path}``, bytes or a path in the data set's folder, or lists of
    such pictures.
    """

    kind: Literal["huggingface"] = Field(description="a data set of Hugging Face's datasets")
    path: Path | None = Field(None, description="folder of save_to_disk, of Parquet, CSV or JSON lines, or of files")
    name: str | None = Field(None, description="<owner>/<name> on the hub")
    revision: str | None = Field(None, description="commit or tag of the hub's data set")
    config: str | None = Field(None, description="configuration of the hub's data set; null: its only one")
    format: Literal["saved", "parquet", "csv", "json", "imagefolder", "videofolder"] | None = Field(
        None, description="how the folder keeps its rows; null: by what lies in it"
    )
    split: str | None = Field(None, description="which split; null: the only one")
    id_column: str | None = Field(None, description="column of the clips' names; null: the split and the row's number")
    instruction_column: str = Field("instruction", description="column of what happens in the clips")
    video_column: str = Field("video", description="column of videos, or of lists of pictures")
    files: Path | None = Field(None, description="folder of the files that rows name; null: the data set's own")
    fps: float | None = Field(None, gt=0, description="rate of clips that are pictures; null: not known")
    licence: str = Field("", description="whose terms hold, in a few words")

    @model_validator(mode="after")
    def _one_place(self) -> HuggingFaceSource:
        if (self.path is None) == (self.name is None):
            raise ValueError("give path or name, one of them")
        if self.name is not None and (self.revision is None or not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", self.name)):
            raise ValueError("name is <owner>/<name>, and needs the revision, a commit or tag")
        if self.name is None and (self.revision is not None or self.config is not None):
            raise ValueError("revision and config are for a name on the hub: leave them out")
        if self.video_column in (self.instruction_column, self.id_column):
            raise ValueError("video_column is a column of its own: name another")
        return self

    @property
    def place(self) -> Path:
        """The folder, or the name on the hub."""
        return self.path or Path(self.name or "")

    def entries(self) -> Iterator[Entry]:
        if self.path is not None and check_folder(self.path, "data set") and self._format() == "saved":
            split, arrows = self._saved(self.path)
        else:
            split, arrows = self._prepared()
        root = self.files or self.path or _cache()
        number = 0
        for path in arrows:
            row = 0
            for batch in _batches(path, self._columns()):
                pixels = _Column(batch.column(self.video_column))
                values = batch.select(self._columns()[:-1]).to_pylist()
                cells = [
                    _Row(number + index + 1, each_row, pixels, index, path, row + index)
                    for index, each_row in enumerate(values)
                ]
                rows = ((f"{self.place}, {split} row {each_row.number}", each_row) for each_row in cells)
                yield from entries_of_rows(rows, partial(self._record, split, root), partial(self._name, split))
                number, row = number + len(values), row + len(values)

    def _name(self, split: str, row: _Row) -> str | None:
        return field_id(row.values, self.id_column) if self.id_column else f"{split}/{row.number}"

    def _record(self, split: str, root: Path, origin: str, row: _Row) -> Iterator[Record]:
        yield Record(
            id=cell(origin, row.values, self.id_column) if self.id_column else f"{split}/{row.number}",
            media=self._media(origin, row.pixels, row.index, row.path, row.place, root),
            instruction=cell(origin, row.values, self.instruction_column),
            split=split,
            licence=self.licence,
            origin=origin,
        )

    def _columns(self) -> list[str]:
        """Names of the columns; the pixels' is the last."""
        named = [self.id_column] if self.id_column else []
        return list(dict.fromkeys([*named, self.instruction_column, self.video_column]))

    def _media(self, origin: str, pixels: _Column, index: int, path: Path, row: int, root: Path) -> Media:
        kept, names = pixels.at(index)
        if kept:
            return (ArrowPictures(path, self.video_column, row, self.fps) if pixels.is_list
                    else ArrowVideo(path, self.video_column, row))  # fmt: skip
        if not names or not all(names):
            raise InputError(f"{origin}: the field {self.video_column!r} keeps no file and names none: fill it in.")
        relative = [_relative(root, str(name)) for name in names]
        paths = [inside(root, name, origin) for name in relative]
        return PictureFiles(root, fps=self.fps, names=tuple(relative)) if pixels.is_list else Video(paths[0])

    def _format(self) -> str:
        assert self.path is not None
        if self.format is not None:
            return self.format
        if (self.path / "dataset_dict.json").is_file() or (self.path / "state.json").is_file():
            return "saved"
        suffixes, listed = set(), False
        for path in self.path.rglob("*"):
            if is_companion(path.relative_to(self.path).as_posix()):
                continue
            suffixes.add(path.suffix.lower())
            listed = listed or path.name in _LISTED
        for name, own in _SUFFIXES.items():
            if suffixes.intersection(own) and (listed or not name.endswith("folder")):
                return name
        raise InputError(f"{self.path} holds no data set of a known format: give the one that it has as format.")

    def _saved(self, folder: Path) -> tuple[str, list[Path]]:
        """Split and Arrow files of what save_to_disk wrote; reading them is no work for ``datasets``."""
        index = folder / "dataset_dict.json"
        split = self.split
        if index.is_file():
            value = read_json(index)
            splits = value.get("splits") if isinstance(value, dict) else None
            if not isinstance(splits, list) or not all(isinstance(each, str) for each in splits):
                raise InputError(f"{index} lists no splits: save the data set again.")
            split = _chosen(folder, split, splits)
            folder = inside(folder, split, str(index))
        place = folder / "state.json"
        state = read_json(place)
        files = state.get("_data_files") if isinstance(state, dict) else None
        if not isinstance(files, list) or not all(isinstance(each, dict) for each in files):
            raise InputError(f"{place} lists no files: save the data set again.")
        if state.get("_indices_data_files"):
            raise InputError(f"{place} reorders its rows: save the data set again, after flatten_indices().")
        split = _chosen(folder, split, [str(state.get("_split") or split or "train")])
        return split, [inside(folder, cell(str(place), each, "filename"), str(place)) for each in files]

    def _prepared(self) -> tuple[str, list[Path]]:
        """Split and Arrow files of what ``datasets`` keeps in its cache, and brings there if need be."""
        with needed("datasets", "datasets", "data", "Reading this data set"):
            import datasets
        try:
            if self.path is not None:
                name = self._format()
                if name == "parquet":
                    _check_parquet(self.path, self._columns())
                splits = datasets.load_dataset(name, data_dir=str(self.path), keep_in_memory=False)
            else:
                if Path(self.name or "").exists():
                    raise InputError(f"There is a folder {self.name} here: give it as path, or work elsewhere.")
                splits = datasets.load_dataset(self.name, self.config, revision=self.revision, keep_in_memory=False)
        except InputError:
            raise
        except Exception as error:
            # It raises whatever its parsers and its network do.
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            remedy = "correct it" if self.path else "check name, revision and network, or fetch it and give path"
            raise InputError(f"{self.place} cannot be read as a data set ({reason}): {remedy}.") from error
        split = _chosen(self.place, self.split, [str(each) for each in splits])
        return split, [Path(each["filename"]) for each in splits[split].cache_files]


class _Column:
    """What a batch's rows keep of pixels. is_list: whether each is a list of pictures."""

    def __init__(self, array: Any):
        self.array, self.is_list = array, is_list(array)

    def at(self, index: int) -> tuple[bool, list[Any]]:
        """Whether a row keeps its files itself, and the names that it gives them."""
        cell = self.array[index]
        if not cell.is_valid:
            return False, []
        cells = list(cell.values) if self.is_list else [cell]
        kept = bool(cells) and all(_part(each, "bytes", _BYTES) is not None for each in cells)
        names = [_part(each, "path", _TEXT) for each in cells]
        return kept, [None if name is None else name.as_py() for name in names]


@dataclass(frozen=True)
class _Row:
    """A row. number: in the split, from 1. values: of its columns but the pixels'. pixels, index: of its batch, and
    where it is there. path, place: of its Arrow file, and where it is there."""

    number: int
    values: dict[str, Any]
    pixels: _Column
    index: int
    path: Path
    place: int


def _part(cell: Any, name: str, types: tuple[str, ...]) -> Any:
    """A cell, or the field of it where it is a struct; None where it is empty or of another type."""
    if hasattr(cell, "keys"):
        cell = cell.get(name)
    return cell if cell is not None and cell.is_valid and str(cell.type) in types else None


def _batches(path: Path, columns: list[str]) -> Iterator[Any]:
    """Batches of the rows of an Arrow file, checked.

    Raises:
        InputError: no such file, a column that is missing or no text, or damage.
    """
    table = open_arrow(path, _broken)
    for name in columns:
        if table.column_names.count(name) > 1:
            raise _broken(path, f"it has the column {name!r} more than once")
        if name not in table.column_names:
            raise InputError(f"{path} has no column {name!r}: it has {', '.join(table.column_names)[:500] or 'none'}.")
    if str(table.schema.field(columns[-2]).type) not in _TEXT:
        raise InputError(f"{path}: the column {columns[-2]!r} is no text: name the one of the instructions.")
    for batch in table.select(columns).to_batches(max_chunksize=_ROWS):
        if not is_sound(batch):
            raise _broken(path, "its rows are damaged")
        yield batch


def _broken(path: Path, reason: str) -> InputError:
    return InputError(f"{path} cannot be read ({reason}): save or fetch the data set again.")


def _chosen(place: Path, split: str | None, splits: list[str]) -> str:
    if split is None and len(splits) == 1:
        return splits[0]
    if split not in splits:
        said = "says no split" if split is None else f"has no split {split!r}"
        raise InputError(f"The source of {place} {said}: choose {', '.join(splits)[:500] or 'another data set'}.")
    assert split is not None
    return split


def _relative(root: Path, name: str) -> str:
    """A file's name in ``root``; as it is where it is not absolute, or lies elsewhere."""
    for base in (root.absolute(), root.resolve()):
        if Path(name).is_relative_to(base):
            return Path(name).relative_to(base).as_posix()
    return name


def _cache() -> Path:
    from datasets import config

    return Path(config.HF_CACHE_HOME)


def _check_parquet(folder: Path, columns: list[str]) -> None:
    """Refuse files that lack a column, or unpack to more than memory should hold, before any is unpacked."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    for path in sorted(folder.rglob("*.parquet")):
        if is_companion(path.relative_to(folder).as_posix()):
            continue
        try:
            with ParquetFile(path) as file:
                names = file.schema_arrow.names
                groups = [file.metadata.row_group(index) for index in range(file.num_row_groups)]
                # Of all columns: asking for one of damaged metadata would end the process.
                sizes = [group.total_byte_size for group in groups]
        except (ArrowException, OSError, ValueError) as error:
            raise _broken(path, (str(error).strip().splitlines() or ["damaged"])[0].rstrip(".")) from error
        for name in columns:
            if name not in names:
                raise InputError(f"{path} has no column {name!r}: it has {one_line(', '.join(names)[:500]) or 'none'}.")
        if max(sizes, default=0) > MAX_COLUMN:
            raise _broken(path, f"it unpacks to more than {MAX_COLUMN} bytes in one row group")
