"""Settings of a study: rows, each a chain of trainings or a finished model, times seeds, judged under a protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ...config import Settings
from ...data.media.base import UNPRINTABLE
from ..request import Region, Weights

_LONGEST_NAME = 100
# What a study sets itself, so that the cells of a row differ in the seed alone.
_OWN_TRAINING = ("out", "model", "training.seed")
_OWN_PROTOCOL = ("seed",)


def _fields(values: list[str]) -> list[str]:
    for value in values:
        name, equals, _ = value.partition("=")
        if not name.strip() or not equals:
            raise ValueError(f"{value!r}: write field=value")
    return values


Fields = Annotated[list[str], AfterValidator(_fields)]


class TrainingStep(Settings):
    """One training of a row."""

    recipe: Path = Field(description="YAML of `showme train`, relative to the study's file")
    fields: Fields = Field([], description="field=value each, to change in it")
    model: str | None = Field(
        None, min_length=1, description="what it starts from; null: the training before it, or what the recipe says"
    )

    @model_validator(mode="after")
    def _leaves_the_studys_own(self) -> TrainingStep:
        _refuse_own("fields", self.fields, _OWN_TRAINING)
        return self


class RowConfig(Settings):
    """One row of the table, for every seed."""

    name: str = Field(description="in the table")
    trainings: list[TrainingStep] = Field([], description="recipes in their order; the last one's model is judged")
    model: str | None = Field(None, min_length=1, description="in place of trainings: embedded, a folder, or a hub id")
    stack: list[str] = Field(
        [], description="in place of trainings: rows before this one, whose thin models are laid over one another"
    )
    protocol: str | None = Field(None, min_length=1, description="another than the study's, with fields of its own")
    protocol_fields: Fields = Field([], description="field=value each, such as motion_intensive=0.1")
    reference: str | None = Field(None, min_length=1, description="other true clips than the study's")
    reference_fields: Fields = Field([], description="field=value each, of this reference")
    region: Region = Field("own", description="given to models that take one: own: none, truth: the true clip's, white")
    instructions: Literal["own", "wrong"] = Field("own", description="wrong: each scene is asked for something else")

    @model_validator(mode="after")
    def _says_what_is_judged(self) -> RowConfig:
        if not self.name.strip() or len(self.name) > _LONGEST_NAME or UNPRINTABLE.search(self.name):
            raise ValueError(f"name {self.name[:_LONGEST_NAME]!r}: write 1 to {_LONGEST_NAME} characters on one line")
        if [bool(self.trainings), self.model is not None, bool(self.stack)].count(True) != 1:
            raise ValueError(f"the row {self.name!r} needs trainings, a model or a stack, one of them")
        if self.reference_fields and self.reference is None:
            raise ValueError(f"the row {self.name!r} has reference_fields: name its reference too")
        _refuse_own("protocol_fields", self.protocol_fields, _OWN_PROTOCOL)
        return self


class StudyConfig(Settings):
    """A table: rows x seeds."""

    title: str = Field("Study", min_length=1, description="of the page")
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field(
        description="of training and of generation: clip n is made with seed + n"
    )
    reference: str = Field(min_length=1, description="true clips: a folder, a list, a YAML of a source, or its kind")
    reference_fields: Fields = Field([], description="field=value each, of the reference")
    protocol: str = Field("embedded", min_length=1, description="a published protocol, or a YAML file of one's own")
    protocol_fields: Fields = Field([], description="field=value each, to change in it")
    fields: Fields = Field([], description="field=value each, to change in every training, before its own")
    weights: Weights = Field(Weights(), description="where pretrained networks of metrics are")
    codec: str | None = Field(None, description="model whose autoencoder is the upper bound; null: each row's own")
    training_clips: str | None = Field(None, description="clips of the training: the nearest is a baseline")
    largest_batch: bool = Field(True, description="on CUDA: look for the largest batch within 90% of the memory")
    rows: list[RowConfig] = Field(description="of the table; differences are to the first")

    @model_validator(mode="after")
    def _has_cells(self) -> StudyConfig:
        if not self.rows:
            raise ValueError("rows: a table needs one at least: write `- name: ...` with trainings or a model")
        if not self.seeds:
            raise ValueError("seeds: give one at least, such as [0, 1000, 2000]")
        names = [row.name for row in self.rows]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"rows: two are named {twice!r}: give each a name of its own")
        for number, row in enumerate(self.rows):
            before = [each.name for each in self.rows[:number] if each.trainings]
            unknown = next((name for name in row.stack if name not in before), None)
            if unknown is not None or len(row.stack) == 1:
                what = "two rows at least" if unknown is None else f"rows with trainings before it, not {unknown!r}"
                raise ValueError(f"the stack of the row {row.name!r} names {what}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: name each once")
        _refuse_own("fields", self.fields, _OWN_TRAINING)
        _refuse_own("protocol_fields", self.protocol_fields, _OWN_PROTOCOL)
        return self


def _refuse_own(place: str, fields: list[str], own: tuple[str, ...]) -> None:
    for field in fields:
        name = field.partition("=")[0]
        if name in own:
            remedy = "write model beside recipe" if name == "model" else "leave it out"
            raise ValueError(f"{place}: {name} is the study's own to set: {remedy}")
