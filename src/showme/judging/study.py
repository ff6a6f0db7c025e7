"""A study: which clips of which models are compared, what is asked, and what a judge is shown next.

Judged as AID's was (arXiv 2406.06465, figures 7 and 12): two clips beside what was asked for, three questions. Which
model is on which side is drawn for every showing, and no judge is told.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..data.sources.folder import INDEX
from ..errors import InputError, absent, first_line
from ..evaluation.clip_sets import ClipSet, open_clip_set
from ..staged_files import staged

STUDY, ANSWERS = "study.json", "answers.sqlite"
_NAMED = 3


class Question(BaseModel):
    """What is asked of every pair."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = Field(min_length=1, max_length=40, pattern=r"^[a-z][a-z0-9_]*$", description="its column in tables")
    text: str = Field(min_length=1, max_length=400, description="as judges read it")


QUESTIONS = (
    Question(key="quality", text="Which video has the higher quality?"),
    Question(key="instruction", text="Which video follows the instruction better?"),
    Question(key="consistency", text="In which video do the frames go together better?"),
)


class Candidate(BaseModel):
    """A model's clips. name: as tables say it, never shown to judges. place: their folder or list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100)
    place: Path


class Study(BaseModel):
    """All that decides what judges see."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(min_length=1, max_length=200)
    candidates: tuple[Candidate, ...] = Field(min_length=2)
    questions: tuple[Question, ...] = Field(QUESTIONS, min_length=1)
    ties: bool = Field(True, description="whether judges may say that both are alike")
    instructions: dict[str, str] = Field({}, description="clip -> what was asked for, where it is known")
    clips: tuple[str, ...] = Field(min_length=1, description="ids that all candidates have")
    seed: int = Field(0, ge=0, description="of sides and orders")
    token: str = Field(min_length=16, description="that a judge's link holds")

    @model_validator(mode="after")
    def _tells_apart(self) -> Study:
        for what, names in (
            ("candidates", [each.name for each in self.candidates]),
            ("questions", [each.key for each in self.questions]),
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"two {what} have one name, give each its own")
        return self

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Names of candidates that are compared, every two once."""
        return list(itertools.combinations([each.name for each in self.candidates], 2))

    @property
    def items(self) -> list[Item]:
        """Every clip with every two candidates."""
        return [Item(clip, first, second) for clip in self.clips for first, second in self.pairs]


@dataclass(frozen=True)
class Item:
    """One clip of two candidates."""

    clip: str
    first: str
    second: str


@dataclass(frozen=True)
class Showing:
    """What a judge sees: one clip of the candidates on the two sides.

    left, right: names of candidates. instruction: what was asked for; empty where it is not known. left_over: showings
    that this judge has not answered, this one among them.
    """

    item: Item
    left: str
    right: str
    instruction: str
    left_over: int


def make_study(
    folder: Path,
    places: Sequence[Path],
    names: Sequence[str] | None = None,
    title: str = "Which is better?",
    questions: Sequence[Question] = QUESTIONS,
    ties: bool = True,
    instructions: dict[str, str] | None = None,
    seed: int = 0,
) -> Study:
    """Begin a study, or open the one of the same clips and questions that ``folder`` holds.

    Args:
        folder: of the study and its answers.
        places: folders or lists of clips, as ``showme evaluate`` takes them, with the same ids.
        names: of the candidates; None: those of the folders.
        title: on the page.
        questions: asked of every pair.
        ties: whether both may be alike.
        instructions: clip -> what was asked for.
        seed: of sides and orders.

    Raises:
        InputError: fewer than two places, clips that do not pair, or a folder that holds another study.
    """
    if len(places) < 2:
        raise InputError("A study compares two folders of clips at least: name them one after the other.")
    sets = [open_clip_set(place) for place in places]
    names = list(names or _names(places))
    if len(names) != len(places):
        raise InputError(f"{len(names)} names were given for {len(places)} folders of clips: give one for each.")
    try:
        study = Study(
            title=title,
            candidates=tuple(Candidate(name=name, place=each.place) for name, each in zip(names, sets, strict=True)),
            questions=tuple(questions),
            ties=ties,
            instructions=instructions or {},
            clips=tuple(_shared(sets)),
            seed=seed,
            token=secrets.token_urlsafe(16),
        )
    except ValidationError as error:
        raise InputError(f"The study cannot be: {_reason(error)}.") from error
    return _kept(folder, study)


def _reason(error: ValidationError) -> str:
    """The first fault, behind the field that has it."""
    fault = error.errors()[0]
    field = ".".join(map(str, fault["loc"]))
    return f"{field}: {fault['msg']}" if field else fault["msg"].removeprefix("Value error, ")


def _names(places: Sequence[Path]) -> list[str]:
    """Of the folders; with those of the folders above them where two are alike."""
    found = [_named_by(place.resolve()) for place in places]
    names = [path.name for path in found]
    if len(set(names)) == len(names):
        return names
    return ["/".join(path.parts[-2:]) for path in found]


def _named_by(place: Path) -> Path:
    """A list in the folder that it is of is called by the folder, any other by its name without the ending."""
    if not place.is_file():
        return place
    return place.parent if place.name == INDEX[0] else place.with_suffix("")


def _shared(sets: Sequence[ClipSet]) -> list[str]:
    """Ids of clips that all sets have.

    Raises:
        InputError: one lacks clips that another has; names the first.
    """
    everywhere = set.intersection(*(set(each.clips) for each in sets))
    for each in sets:
        lone = sorted(set(each.clips) - everywhere)
        if lone:
            shown = ", ".join(map(repr, lone[:_NAMED]))
            raise InputError(
                f"{each.place} has {len(lone)} clips that another folder lacks ({shown} first): compare folders of the "
                "same clips."
            )
    return sorted(everywhere)


def _kept(folder: Path, study: Study) -> Study:
    """The study as the folder has it: an old one goes on, its link stays."""
    file = folder / STUDY
    if file.exists():
        old = open_study(folder)
        if old.model_copy(update={"token": study.token}) != study:
            raise InputError(f"{folder} holds another study, {old.title!r}: choose another --out.")
        return old
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with staged(file) as path:
            path.write_text(study.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder} cannot be written to ({error.strerror}): choose another --out.") from error
    return study


def open_study(folder: Path) -> Study:
    """The study that a folder holds.

    Raises:
        InputError: there is none, or it is damaged.
    """
    file = folder / STUDY
    if not file.is_file():
        raise InputError(f"{absent(file, 'study')}: begin one with `showme evaluate prefer A B --out {folder}`.")
    try:
        return Study.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is no study ({first_line(error)}): begin it anew in another folder.") from error


def next_showing(study: Study, judge: str, answered: set[Item], counts: dict[Item, int]) -> Showing | None:
    """What a judge is shown next; None: they have seen everything.

    Items that few have answered come first, in an order of the judge's own.

    Args:
        study: of which.
        judge: who.
        answered: items that the judge has answered.
        counts: how many judges have answered each.
    """
    waiting = [item for item in study.items if item not in answered]
    if not waiting:
        return None
    order = random.Random(_digest(study, judge, "order"))
    places = {item: order.random() for item in study.items}
    item = min(waiting, key=lambda each: (counts.get(each, 0), places[each]))
    left, right = sides(study, judge, item)
    return Showing(
        item=item, left=left, right=right, instruction=study.instructions.get(item.clip, ""), left_over=len(waiting)
    )


def sides(study: Study, judge: str, item: Item) -> tuple[str, str]:
    """Who is left and who right: drawn, and the same whenever the judge comes back."""
    swap = random.Random(_digest(study, judge, item.clip, item.first, item.second)).random() < 0.5
    return (item.second, item.first) if swap else (item.first, item.second)


def _digest(study: Study, *words: str) -> str:
    return hashlib.sha256("\n".join([str(study.seed), study.token, *words]).encode()).hexdigest()


def places_of(study: Study, clip: str) -> Iterator[tuple[str, ClipSet]]:
    """Candidate's name and its set of clips."""
    for each in study.candidates:
        yield each.name, open_clip_set(each.place)
