"""Beginning a study: its questions, its clips as judges see them, and nothing left of one that cannot be."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError, ShowMeWarning
from ...evaluation.clip_sets import open_clip_set
from ...judging import Question, Study, make_study
from ...judging.instructions import known_instructions, read_instructions, usual_questions
from ...judging.study import ANSWERS, STUDY
from .clips import CLIPS, is_clip_name, write_clips
from .secret import SECRET, load_secret

_NO_INSTRUCTIONS = (
    "No instructions are known, and judges are not asked which video follows them: give them by --instructions."
)


@dataclass(frozen=True)
class StudyRequest:
    """What a study is begun with.

    Attributes:
        places: folders or lists of clips, two at least.
        names: of the candidates; None: those of the folders.
        title: on the page.
        questions: asked of every pair; None: AID's.
        ties: whether both may be alike.
        instructions: a list of them; None: what lies beside the clips.
        seed: of sides and orders.
    """

    places: Sequence[Path]
    names: Sequence[str] | None = None
    title: str = "Which is better?"
    questions: Sequence[Question] | None = None
    ties: bool = True
    instructions: Path | None = None
    seed: int = 0


def begin_study(folder: Path, request: StudyRequest, report: Callable[[int, int], None] | None = None) -> Study:
    """Begin a study so that judges may come, or go on with the one of the same request that the folder holds.

    Args:
        folder: of the study; made where there is none.
        request: what is compared and asked.
        report: called with the numbers of clips that are encoded and that there are.

    Raises:
        InputError: clips that do not pair or cannot be read, a folder that holds another study or cannot be written
            to, or instructions that do not fit; of a study that was not there before nothing stays.
    """
    if len(request.places) < 2:
        raise InputError("A study compares two folders of clips at least: name them one after the other.")
    for place in request.places:
        if folder.resolve().is_relative_to(place.resolve()):
            raise InputError(f"--out {folder} lies in {place}, whose clips are compared: choose a folder of its own.")
    instructions = (
        read_instructions(request.instructions) if request.instructions else known_instructions(request.places)
    )
    with warnings.catch_warnings():
        # Said when the study opens the same folder.
        warnings.simplefilter("ignore", ShowMeWarning)
        clips = sorted(open_clip_set(request.places[0]).clips)
    questions = request.questions or usual_questions(clips, instructions)
    own = [folder, *(folder / name for name in (CLIPS, STUDY, SECRET, ANSWERS))]
    fresh = [path for path in own if not path.exists()]
    try:
        study = make_study(
            folder,
            request.places,
            names=request.names,
            title=request.title,
            questions=questions,
            ties=request.ties,
            instructions={clip: instructions[clip] for clip in clips if clip in instructions},
            seed=request.seed,
        )
        if not instructions and request.questions is None:
            warnings.warn(_NO_INSTRUCTIONS, ShowMeWarning, stacklevel=2)
        write_clips(folder, study, load_secret(folder), report)
    except InputError:
        if folder / STUDY in fresh:
            _discard(folder, fresh)
        raise
    return study


def _discard(folder: Path, fresh: Sequence[Path]) -> None:
    """Remove what was begun: the files of a study, and of ``fresh`` paths those that were not there before."""
    for path in (folder / CLIPS).glob("*.mp4"):
        if is_clip_name(path.name):
            path.unlink()
    for path in reversed(fresh):
        with suppress(OSError):
            # Folders that are somebody's are not empty.
            path.rmdir() if path.is_dir() else path.unlink()
