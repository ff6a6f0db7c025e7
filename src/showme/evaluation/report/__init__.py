"""The report: ``index.html`` with the clips that it shows, a folder that opens in any browser without a network."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...errors import InputError
from ...staged_files import STALE_SECONDS, is_alive, owner, staged, sweep
from ..results import Result
from .choice import choose
from .clips import Flow, ReportClip, write_clip, write_wheel
from .page import WHEEL, Shown, render_report

__all__ = ["PAGE", "ReportClip", "write_report"]

PAGE, CLIPS = "index.html", "clips"
# It says that a folder of clips is a report's, which the next one may replace; others are never touched.
_MARK = ".report"
_OLD = f"{CLIPS}-before"


def write_report(
    folder: Path, result: Result, words: Sequence[str], look: Callable[[str], ReportClip], flow: Flow | None
) -> Path:
    """Write ``index.html`` and the clips that it shows, in ``clips``; those of an earlier report are replaced.

    Everything is written beside its place first: what fails leaves the earlier report as it was.

    Args:
        folder: where it goes; made where there is none.
        result: of the evaluation.
        words: the protocol in sentences.
        look: id -> the clip; called once for each that is shown, at most twelve.
        flow: clips (B, T, 3, H, W), RGB in [0, 1], to optical flow (B, T - 1, 2, H, W) in pixels; None: no
            pictures of it.

    Returns:
        The page.

    Raises:
        InputError: the folder cannot be written, or its ``clips`` are not a report's.
    """
    groups = choose(result)
    pictures = result.protocol.get("task") == "image"
    with _staged_clips(folder) as fresh:
        shown = {}
        for number, name in enumerate((name for group in groups for name in group.ids), 1):
            clip = look(name)
            with _write_errors(folder):
                shown[name] = Shown(clip.instruction, write_clip(fresh, number, clip, pictures, flow))
        page = render_report(result, words, groups, shown, CLIPS)
        with _write_errors(folder):
            if any(each.files.flows for each in shown.values()):
                write_wheel(fresh / WHEEL)
            with staged(folder / PAGE) as neighbour:
                # What UTF-8 cannot say, such as half a surrogate pair, becomes a question mark.
                neighbour.write_bytes(page.encode("utf-8", errors="replace"))
                _replace(folder, fresh)
    return folder / PAGE


@contextmanager
def _staged_clips(folder: Path) -> Iterator[Path]:
    """An empty folder beside that of the clips, gone at the end where it has not taken its place."""
    clips = folder / CLIPS
    if clips.is_symlink() or (clips.exists() and not (clips / _MARK).is_file()):
        raise InputError(f"{clips} is there and no report wrote it: move it away, or choose another --out.")
    fresh = folder / f"{CLIPS}.{owner()}.partial"
    try:
        with _write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            _sweep(folder)
            fresh.mkdir()
            (fresh / _MARK).write_text("Written by showme evaluate; the next report replaces this folder.\n")
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _replace(folder: Path, fresh: Path) -> None:
    clips, before = folder / CLIPS, folder / f"{_OLD}.{owner()}.partial"
    if clips.exists():
        clips.rename(before)
    fresh.rename(clips)
    shutil.rmtree(before, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left."""
    sweep(folder)
    for path in [*folder.glob(f"{CLIPS}.*.partial"), *folder.glob(f"{_OLD}.*.partial")]:
        name = path.name.removesuffix(".partial").partition(".")[2]
        mine = name == owner() or not is_alive(name) or time.time() - path.stat().st_mtime > STALE_SECONDS
        if mine and not path.is_symlink() and (path / _MARK).is_file():
            shutil.rmtree(path)


@contextmanager
def _write_errors(folder: Path) -> Iterator[None]:
    """Failures to write, as one sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"The report cannot be written to {folder} ({reason}): choose another --out.") from error
