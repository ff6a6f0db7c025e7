"""The clips of a study as judges see them: all encoded alike, under names that say nothing about whose they are."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from PIL import Image

from ...data.media import Frames
from ...errors import ClipError, InputError
from ...evaluation.clip_sets import ClipSet, open_clip_set
from ...generation.outputs import write_video
from ...judging import Study
from ...staged_files import staged, sweep
from ...threads import usable_cores
from .secret import Secret

CLIPS = "clips"
_NAME = re.compile(r"[0-9a-f]{32}\.mp4")
# Frames per second of clips that do not say their own, and the fewest that a video is written with.
_FPS, _SLOWEST = 8.0, 0.1


def clip_name(secret: Secret, candidate: str, clip: str) -> str:
    """The name of a candidate's clip in the study's folder and on the page."""
    return f"{secret.digest('clip', candidate, clip)}.mp4"


def is_clip_name(name: str) -> bool:
    """Whether it may be one of :func:`clip_name`'s."""
    return _NAME.fullmatch(name) is not None


def write_clips(folder: Path, study: Study, secret: Secret, report: Callable[[int, int], None] | None = None) -> None:
    """Encode every clip of a study that is not encoded yet, before any judge comes.

    All at once: a clip that cannot be read is found before a link is sent, and no judge waits for an encoder.

    Args:
        folder: of the study.
        study: whose clips.
        secret: of the study.
        report: called with the numbers of clips that are done and that there are.

    Raises:
        ClipError: a clip cannot be read.
        InputError: a candidate's folder or one of its clips is gone, or the study's folder cannot be written to.
    """
    place = folder / CLIPS
    every = [(each, clip) for each in study.candidates for clip in study.clips]
    names = {clip_name(secret, each.name, clip): (each.place, clip) for each, clip in every}
    try:
        place.mkdir(parents=True, exist_ok=True)
        sweep(place)
        missing = [name for name in sorted(names) if not (place / name).exists()]
        sets = {origin: open_clip_set(origin) for origin in {names[name][0] for name in missing}}
        work = [(place / name, sets[names[name][0]], names[name][1]) for name in missing]
        for done in _in_parallel(work, len(names) - len(missing)):
            if report is not None:
                report(done, len(names))
    except OSError as error:
        raise InputError(f"{place} cannot be written to ({error.strerror}): make room there.") from error


def _in_parallel(work: Sequence[tuple[Path, ClipSet, str]], done: int) -> Iterator[int]:
    """Encodes clips, one on each core; yields how many are done."""
    yield done
    with ThreadPoolExecutor(usable_cores()) as pool:
        jobs = [pool.submit(_write, *each) for each in work]
        try:
            for job in as_completed(jobs):
                job.result()
                done += 1
                yield done
        finally:
            pool.shutdown(cancel_futures=True)


def _write(path: Path, clips: ClipSet, clip: str) -> None:
    media = clips.clips.get(clip)
    if media is None:
        raise InputError(f"{clips.place} no longer has the clip {clip!r}: put it back, or begin another study.")
    with media.open() as frames, staged(path) as draft:
        write_video(_pictures(frames), draft, max(frames.fps or _FPS, _SLOWEST))
        # When it was written would say whose it is.
        os.utime(draft, (0, 0))


def _pictures(frames: Frames) -> Iterator[Image.Image]:
    try:
        yield from map(Image.fromarray, frames.read(range(len(frames))))
    except OSError as error:
        # Of the clip, not of the place that it is written to.
        raise ClipError(frames.path, error.strerror or str(error)) from error
