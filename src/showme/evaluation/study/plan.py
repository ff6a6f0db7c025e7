"""From a study's settings to its cells: what is trained, what is judged, and folders named by what decides them.

A row that is changed gets other folders, and what the change leaves alone is not computed again; rows that begin with
the same trainings share them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...bundle import open_bundle
from ...errors import InputError, ShowMeWarning
from ...experiment import check_clips
from ...fingerprint import digest_of
from ...methods import find_method
from ...methods.recipes import load_recipe
from ...run_clips import CLIPS
from ...run_config import RunConfig
from ...run_folder import MODEL
from ..choose import make_measures
from ..pairs import ReferenceRows, check_reference
from ..protocol import Protocol, load_protocol
from ..request import Request, check_request, records_of
from ..subset import drawn
from .config import RowConfig, StudyConfig, TrainingStep
from .instructions import wrongly_asked

TRAININGS, CELLS, FEATURES = "trainings", "cells", "features"
_SHOWN = 12
# What the trained weights do not depend on.
_FREE = {"workers", "checkpoint_seconds", "checkpoint_steps", "keep_checkpoints", "validate_steps", "tensorboard"}


@dataclass(frozen=True)
class Training:
    """One training of a row, with one seed.

    config: its settings; ``config.out`` is its folder. recipe: where most of them come from. fingerprint: of all that
    decides its model. kind: the same without the seed.
    """

    config: RunConfig
    recipe: Path
    fingerprint: str
    kind: str

    @property
    def model(self) -> Path:
        """Where its model is, at its end."""
        return self.config.out / MODEL


@dataclass(frozen=True)
class Cell:
    """A row with one seed.

    trainings: in their order; empty where a finished model is judged. request: what is evaluated; ``request.out`` is
    the cell's folder. reference: fingerprint of the true clips.
    """

    row: RowConfig
    seed: int
    trainings: tuple[Training, ...]
    request: Request
    reference: str


def plan(study: StudyConfig, file: Path, out: Path) -> list[Cell]:
    """The cells, seed after seed, rows in their order. Nothing is computed or written.

    Args:
        study: settings.
        file: that they come from; recipes lie relative to it.
        out: folder of the study.

    Raises:
        InputError: a recipe, protocol, model or reference that is not there or wrong, naming the row.
    """
    planner = _Planner(study, file, out)
    return [planner.cell(row, seed) for seed in study.seeds for row in study.rows]


def check(study: StudyConfig, file: Path, cells: list[Cell]) -> None:
    """Look at all that would only be missed after hours of training: clips of both kinds, and networks of metrics.

    Raises:
        InputError: the first that is missing or does not fit, naming the row; or trainings that were begun with other
            clips or instructions.
    """
    seen: set[str] = set()
    for cell in cells:
        request, asked = cell.request, cell.row.instructions
        known = digest_of([request.protocol.model_dump(exclude={"seed"}), cell.reference, asked])
        sources = [each.config.data.model_dump_json(include={"source", "clips"}) for each in cell.trainings]
        with _naming(file, cell.row):
            _check_region(cell)
            if known not in seen:
                _check_clips(request, asked == "wrong")
            for training, source in zip(cell.trainings, sources, strict=True):
                if source not in seen:
                    training.config.data.source.records(training.config.data.clips)
            for training in cell.trainings:
                if training.fingerprint not in seen and (training.config.out / CLIPS).is_file():
                    check_clips(training.config)
                if not training.model.is_dir():
                    # What comes after it starts from a model that is still to be made.
                    break
        seen |= {known, *sources, *(training.fingerprint for training in cell.trainings)}
    _warn_of_unrecorded({each.config.out for cell in cells for each in cell.trainings if each.model.is_dir()})


def _check_region(cell: Cell) -> None:
    """Refuse a region for what takes none.

    Raises:
        InputError: it does not.
    """
    if cell.row.region == "own":
        return
    if not cell.trainings:
        files = open_bundle(str(cell.request.model))
        find_method(files.info.method).check_region(files)
    elif not find_method(cell.trainings[-1].config.method).regions:
        name = cell.trainings[-1].config.method
        raise InputError(f"region is {cell.row.region}, and models of the method {name} take none: leave it out.")


def _warn_of_unrecorded(finished: set[Path]) -> None:
    unrecorded = sorted(out for out in finished if not (out / CLIPS).is_file())
    if unrecorded:
        warnings.warn(
            f"{len(unrecorded)} finished trainings, such as {unrecorded[0]}, kept no record of their clips: whether "
            "these are the same cannot be told.",
            ShowMeWarning,
            stacklevel=3,
        )


def _check_clips(request: Request, wrong: bool) -> None:
    check_request(request)
    records = {record.id: record for record in records_of(request.reference, request.reference_fields)}
    if request.protocol.motion_intensive is None:
        # Which clips move most is only known once all were looked at.
        records = drawn(records, request.protocol)
    chosen = list(records.values())
    for record in chosen:
        check_reference(record, request.protocol)
    if wrong:
        chosen = wrongly_asked(chosen, request.protocol.seed)
    make_measures(request.protocol, request.weights, ReferenceRows(chosen, request.protocol))
    if request.training is not None:
        records_of(request.training)


class _Planner:
    """Cells of one study; what several share is read once."""

    def __init__(self, study: StudyConfig, file: Path, out: Path):
        self.study, self.file, self.out = study, file, out
        self._hash = cache(lambda model: open_bundle(model).hash)
        self._references: dict[tuple[str, ...], str] = {}

    def cell(self, row: RowConfig, seed: int) -> Cell:
        """The cell of a row and a seed."""
        with _naming(self.file, row):
            parts = [self._trainings(each, seed) for each in (self._rows(row.stack) if row.stack else [row])]
            trainings = tuple({each.fingerprint: each for part in parts for each in part}.values())
            protocol = self._protocol(row).model_copy(update={"seed": seed})
            place, fields = self._reference(row)
            reference = self._identity(place, fields, protocol)
            last = [part[-1] for part in parts if part]
            model = "+".join(str(each.model) for each in last) or str(row.model)
            weights = "+".join(each.fingerprint for each in last) or self._hash(row.model)
            request = Request(
                reference=place,
                protocol=protocol,
                out=self.out / CELLS / f"seed{seed}-{self._fingerprint(row, protocol, reference, weights)[:_SHOWN]}",
                model=model,
                reference_fields=fields,
                codec=self.study.codec,
                training=self.study.training_clips,
                name=row.name,
                weights=self.study.weights,
                cache=self.out / FEATURES,
                region=row.region,
            )
            return Cell(row, seed, trainings, request, reference)

    def _rows(self, names: list[str]) -> list[RowConfig]:
        return [next(row for row in self.study.rows if row.name == name) for name in names]

    def _trainings(self, row: RowConfig, seed: int) -> tuple[Training, ...]:
        done: tuple[Training, ...] = ()
        for number, step in enumerate(row.trainings, 1):
            done += (self._training(step, number, done, seed),)
        return done

    def _training(self, step: TrainingStep, number: int, before: tuple[Training, ...], seed: int) -> Training:
        recipe = self.file.parent / step.recipe
        config = _recipe(recipe, [*self.study.fields, *step.fields], number)
        chained = bool(before) and step.model is None
        model = str(before[-1].model) if chained else step.model or config.model
        started = (before[-1].fingerprint, before[-1].kind) if chained else (self._hash(model), self._hash(model))
        tree = config.model_dump(mode="json", exclude={"out", "model", "validation", "bundle"})
        if tree["data"]["long_instructions"] is None:
            # What was trained before there was a choice is still what it was.
            del tree["data"]["long_instructions"]
        if tree.get("rewards", {}).get("levels") == "all":
            del tree["rewards"]["levels"]
        tree["training"] = {name: value for name, value in tree["training"].items() if name not in {*_FREE, "seed"}}
        kind = digest_of([tree, started[1]])
        fingerprint = digest_of([tree, started[0], seed])
        folder = self.out / TRAININGS / f"{config.label}-seed{seed}-{fingerprint[:_SHOWN]}"
        training = config.training.model_copy(update={"seed": seed})
        config = config.model_copy(update={"out": folder, "model": model, "training": training})
        return Training(config, recipe, fingerprint, kind)

    def _protocol(self, row: RowConfig) -> Protocol:
        shared = self.study.protocol_fields if row.protocol is None else []
        with _own_words("protocol_fields"):
            return load_protocol(row.protocol or self.study.protocol, [*shared, *row.protocol_fields])

    def _reference(self, row: RowConfig) -> tuple[str, list[str]]:
        if row.reference is None:
            return self.study.reference, self.study.reference_fields
        return row.reference, row.reference_fields

    def _identity(self, place: str, fields: list[str], protocol: Protocol) -> str:
        """Changes with the pixels and the instructions of the true clips, whatever the protocol."""
        key = (place, *fields)
        if key not in self._references:
            with _own_words("reference_fields"):
                records = records_of(place, fields)
            self._references[key] = digest_of(ReferenceRows(records, protocol).identities)
        return self._references[key]

    def _fingerprint(self, row: RowConfig, protocol: Protocol, reference: str, weights: str) -> str:
        study = self.study
        codec = None if study.codec is None else self._hash(study.codec)
        settings = [protocol.model_dump(mode="json"), study.weights.model_dump(mode="json")]
        training = None if study.training_clips is None else self._identity(study.training_clips, [], protocol)
        # Rows that were judged before there was a choice are still what they were.
        region = [] if row.region == "own" else [row.region]
        return digest_of([*settings, reference, weights, codec, training, row.instructions, *region])


def _recipe(path: Path, fields: list[str], number: int) -> RunConfig:
    try:
        with _own_words("its fields"):
            return load_recipe(path, fields)
    except InputError as error:
        raise InputError(f"training {number}: {error}") from error


@contextmanager
def _own_words(place: str) -> Iterator[None]:
    """While open, fields that a file gives are not said to stand on the command line."""
    try:
        yield
    except InputError as error:
        message = str(error).replace(" on the command line", f" in {place}").replace("the command line", place)
        raise InputError(message) from error


@contextmanager
def _naming(file: Path, row: RowConfig) -> Iterator[None]:
    """While open, errors say which row they are of."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{file}, row {row.name!r}: {error}") from error
