"""Sets of clips to judge: whoever made them, in whatever files, by the ids that pair them with the true ones."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..data.media import Media, Npz, PictureFiles, Pictures, Rendered, Video
from ..data.media.animation import SUFFIXES as ANIMATED
from ..data.media.animation import is_animation
from ..data.media.companions import visible
from ..data.media.npz import SUFFIX as NPZ
from ..data.media.pictures import SUFFIXES as PICTURES
from ..data.media.pictures import UNREAD
from ..data.media.rendered import SUFFIX as ARRAYS
from ..data.sources.base import inside
from ..data.sources.folder import INDEX
from ..data.sources.record import Record
from ..data.sources.tables import cell, read_jsonl
from ..errors import InputError, ShowMeWarning

VIDEOS = (".mp4", ".gif", ".webm", ".avi", ".mov", ".mkv", ".m4v", ".apng")
# What `showme generate` writes into the folder of one answer.
ACTION, RESULT = "action.mp4", "result.png"
_FORMS = f"videos ({', '.join(VIDEOS)}), {NPZ} or {ARRAYS} arrays, pictures, or folders of pictures"
_NAMED = 3


@dataclass(frozen=True)
class ClipSet:
    """Clips by id.

    place: the folder or list, for messages. clips: where the pixels of each are. pictures: of the result, of those that
    have one.
    """

    place: Path
    clips: Mapping[str, Media]
    pictures: Mapping[str, Path]


def open_clip_set(place: Path) -> ClipSet:
    """A folder of clips, one file or folder of pictures each, or a list of them.

    In a folder the name of a file without its ending is the clip's id. A list, ``.jsonl``, has ``id`` and ``file`` in
    each line, and ``picture`` where a picture of the result belongs to the clip; a folder that holds such a list as
    ``index.jsonl`` is read by it. A subfolder with ``action.mp4`` and ``result.png``, as ``showme generate`` writes
    them, is a clip with its picture.

    Raises:
        InputError: no such place, nothing in it, an id twice, or folders of folders.
    """
    if place.is_file():
        return _listed(place)
    if not place.is_dir():
        raise InputError(f"There is no {place}: give a folder of clips, or a list of them (.jsonl).")
    if (place / INDEX[0]).is_file():
        return _listed(place / INDEX[0])
    clips: dict[str, Media] = {}
    pictures: dict[str, Path] = {}
    passed = []
    for path in sorted(visible(place)):
        media = _media(path)
        if media is None:
            passed.append(path.name)
            continue
        name = path.name if path.is_dir() else path.stem
        if name in clips:
            raise InputError(f"{place} has two clips {name!r}, {clips[name].path.name} and {path.name}: remove one.")
        clips[name] = media
        if path.is_dir() and (path / RESULT).is_file():
            pictures[name] = path / RESULT
    if not clips:
        raise InputError(f"{place} holds no clips: give a folder with {_FORMS}.")
    if passed:
        warnings.warn(f"{place} holds other files too, such as {passed[0]}: {len(passed)} were passed over.",
                      ShowMeWarning, stacklevel=2)  # fmt: skip
    return ClipSet(place, clips, pictures)


def _listed(index: Path) -> ClipSet:
    if index.suffix.lower() != ".jsonl":
        raise InputError(f"{index} is no list of clips: give a .jsonl with id and file in each line, or a folder.")
    clips: dict[str, Media] = {}
    pictures: dict[str, Path] = {}
    for origin, row in read_jsonl(index):
        name = cell(origin, row, "id")
        path = inside(index.parent, str(row.get("file") or f"{name}.mp4"), origin)
        media = _media(path)
        if media is None:
            raise InputError(f"{origin}: {path} is there neither as a clip nor as pictures: give {_FORMS}.")
        if name in clips:
            raise InputError(f"{origin}: the id {name!r} was given before: ids must differ.")
        clips[name] = media
        if row.get("picture"):
            pictures[name] = inside(index.parent, str(row["picture"]), origin)
    if not clips:
        raise InputError(f"{index} lists no clips.")
    return ClipSet(index, clips, pictures)


def _media(path: Path) -> Media | None:
    """What a path holds; None: nothing that is a clip."""
    suffix = path.suffix.lower()
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        return None
    if suffix in VIDEOS:
        return Video(path)
    if suffix == NPZ:
        return Npz(path)
    if suffix == ARRAYS:
        return Rendered(path)
    if suffix not in (*PICTURES, *ANIMATED):
        return None
    with path.open("rb") as file:
        animated = is_animation(file)
    if suffix in ANIMATED and not animated:
        return None
    return Video(path) if animated else PictureFiles(path.parent, names=(path.name,))


def _folder(path: Path) -> Media | None:
    if (path / ACTION).is_file():
        return Video(path / ACTION)
    inner = list(visible(path))
    # Those that are not read are refused by name.
    if any(each.suffix.lower() in (*PICTURES, *UNREAD) and each.is_file() for each in inner):
        return Pictures(path)
    if any(each.is_dir() or each.suffix.lower() in (*VIDEOS, NPZ, ARRAYS) for each in inner):
        raise InputError(
            f"{path} is a folder of other folders or clips: give the folder right above the clips, or a list (.jsonl)."
        )
    return None


def paired(generated: ClipSet, references: Mapping[str, Record], known: Mapping[str, Record]) -> list[str]:
    """The ids of both, in the order of the references.

    Args:
        generated: the clips that are judged.
        references: the true clips that count.
        known: all true clips: where a protocol takes a part of them, others may have been generated too.

    Raises:
        InputError: a clip of one that the other has not; every one is a number's silent change.
    """
    lonely = [name for name in generated.clips if name not in known]
    missing = [name for name in references if name not in generated.clips]
    if lonely and missing:
        raise InputError(
            f"{generated.place} has {_counted(lonely)} without a true clip, and lacks {_counted(missing)} that the "
            "reference has: give both the same ids."
        )
    if lonely:
        raise InputError(
            f"{generated.place} has {_counted(lonely)} without a true clip: remove {_them(lonely)}, or give the data "
            "set that they were made from."
        )
    if missing:
        raise InputError(
            f"{generated.place} lacks {_counted(missing)} that the reference has: generate {_them(missing)}, or give a "
            "reference without."
        )
    return list(references)


def _counted(names: list[str]) -> str:
    shown = ", ".join(repr(name[:80]) for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} clip{'s' if len(names) > 1 else ''}, {shown}{more},"


def _them(names: list[str]) -> str:
    return "them" if len(names) > 1 else "it"
