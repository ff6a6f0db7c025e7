"""Settings of a run: what they may be, and how they are read from a YAML file and from ``field=value`` on the line.

Every settings class forbids fields that it does not know and is frozen; a wrong one is refused in one sentence that
names the file, the field and the remedy. The settings of a method stand beside it, in ``methods/<name>/config.py``.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .errors import InputError


class Settings(BaseModel):
    """Base of all settings.

    Attributes:
        alternatives: fields of which one is given; on the command line it takes the place of the file's.
        renamed: names that fields had in earlier versions -> their names now, which a refusal says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    alternatives: ClassVar[tuple[str, ...]] = ()
    renamed: ClassVar[dict[str, str]] = {}


Moment = Annotated[float, Field(ge=0, lt=1)]


class OptimizerConfig(Settings):
    """How weights are stepped."""

    name: Literal["adamw", "muon"] = Field("adamw", description="muon: Muon for matrices and kernels, AdamW for others")
    learning_rate: float = Field(1e-4, gt=0, description="AdamW's step")
    muon_rate: float = Field(0.02, gt=0, description="Muon's step, with name: muon")
    betas: tuple[Moment, Moment] = Field((0.9, 0.999), description="AdamW's moments, two numbers in a list")
    weight_decay: float = Field(0.01, ge=0, description="decoupled, times the step")
    clip_norm: float | None = Field(0.5, gt=0, description="largest norm of the gradient; null: any")


class TrainingConfig(Settings):
    """What the trainer does, whatever the method."""

    alternatives = ("steps", "minutes")

    steps: int | None = Field(None, ge=1, description="bound in optimiser steps; either this or minutes")
    minutes: float | None = Field(None, gt=0, description="bound in minutes of training, over all resumptions")
    batch_size: int = Field(64, ge=1, description="samples per optimiser step, over all processes and accumulation")
    accumulation: int = Field(1, ge=1, description="parts that each process takes its share of a batch in")
    optimizer: OptimizerConfig = OptimizerConfig()
    warmup: int = Field(0, ge=0, description="steps over which the rate rises to its peak")
    schedule: Literal["constant", "linear", "cosine"] = Field("constant", description="the rate after that")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="bf16: autocast; fp32: none; auto: bf16 on a GPU, and on a CPU what is faster there"
    )
    gradient_checkpointing: bool = Field(False, description="recompute layers in the backward pass: less memory")
    ema: float | None = Field(None, gt=0, lt=1, description="decay of averaged weights; null: none")
    seed: int = Field(20230211, ge=0, lt=2**32, description="of the order of clips and of everything drawn at random")
    workers: int = Field(0, ge=0, description="processes that read samples; 0: the training one")
    checkpoint_seconds: float = Field(600, gt=0, description="training time between checkpoints")
    checkpoint_steps: int | None = Field(None, ge=1, description="steps between checkpoints, beside the seconds")
    keep_checkpoints: int = Field(2, ge=1, description="how many of the newest stay")
    validate_steps: int | None = Field(None, ge=1, description="steps between validations; null: at the end alone")
    tensorboard: bool = Field(True, description="write a tensorboard log beside log.jsonl where it is installed")

    @model_validator(mode="after")
    def _one_bound(self) -> TrainingConfig:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give steps or minutes, one of them, and null for the other")
        if self.batch_size % self.accumulation:
            raise ValueError(
                f"batch_size {self.batch_size} does not divide into {self.accumulation} accumulation parts: change one"
            )
        return self


# What messages call settings that were given there.
COMMAND_LINE = "the command line"
# Where a mapping keeps the short form that it was written in, such as a source's path.
NAMED = ""

SettingsT = TypeVar("SettingsT", bound=Settings)


def load_config(path: str | Path, settings: type[SettingsT], overrides: Sequence[str] = ()) -> SettingsT:
    """Read a YAML file, change single fields, and check the whole.

    Args:
        path: of the YAML file.
        settings: the class that it describes.
        overrides: ``field.of.field=value`` each; the value is read as YAML.

    Raises:
        InputError: no such file, no YAML, an unknown field, or a value that it cannot have.
    """
    return parse_config(read_yaml(path), settings, overrides, str(path))


def parse_config(tree: dict[str, Any], settings: type[SettingsT], overrides: Sequence[str], name: str) -> SettingsT:
    """Change single fields of a tree of values, and check the whole.

    Args:
        tree: is changed.
        settings, overrides: of :func:`load_config`.
        name: what messages call the tree.

    Raises:
        InputError: an unknown field, or a value that it cannot have.
    """
    given = {override.partition("=")[0] for override in overrides}
    for override in overrides:
        _override(tree, override, settings, given)
    try:
        return settings.model_validate(tree)
    except ValidationError as error:
        raise InputError(_sentence(name, given, settings, error)) from error


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        InputError: no such file, or no mapping in it.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder: give the YAML of a run in it.")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a regular file: give the YAML of a run.")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}: give the YAML of a run, such as those in configs.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: give the YAML of a run, saved as UTF-8.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{path}{line}: this is not YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: it holds characters that text does not.") from error
    except RecursionError as error:
        raise InputError(f"{path} is nested deeper than any settings: give the YAML of a run.") from error
    except ValueError as error:
        raise InputError(f"{path} holds a value that is none ({error}): correct it.") from error
    if not isinstance(tree, dict):
        raise InputError(f"{path} holds no settings: write `field: value` lines, as the files in configs/ do.")
    return tree


def dump_config(settings: Settings, path: Path) -> None:
    """Write settings, defaults included, as :func:`load_config` reads them."""
    path.write_text(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False), encoding="utf-8")


def _override(tree: dict[str, Any], override: str, settings: type[BaseModel], given: set[str]) -> None:
    name, equals, value = override.partition("=")
    if not equals or not name:
        raise InputError(f"{override!r} on the command line: write field=value, such as training.steps=100.")
    *branches, leaf = name.split(".")
    for depth, branch in enumerate(branches):
        below = tree.get(branch)
        if not isinstance(below, dict):
            # What stands for one of several classes by its name keeps the name beside its fields.
            several = len(_classes_of(_class_at(settings, branches[:depth]), branch)) > 1
            below = tree[branch] = {NAMED: below} if several and isinstance(below, str) else {}
        tree = below
    try:
        tree[leaf] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError(f"{override!r} on the command line: {value!r} is no YAML value.") from error
    alternatives = getattr(_class_at(settings, branches), "alternatives", ())
    for other in set(alternatives) - {leaf} if leaf in alternatives and tree[leaf] is not None else ():
        if ".".join([*branches, other]) not in given:
            tree.pop(other, None)


def _sentence(file: str, given: set[str], settings: type[BaseModel], error: ValidationError) -> str:
    """What is wrong with the first wrong field, where it stands, and what it may be."""
    # A field that is not known is the likelier mistake than the one that is then missing.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    place, above = _located(settings, [str(part) for part in first["loc"]])
    field = ".".join(place)
    source = COMMAND_LINE if any(f"{field}.".startswith(f"{name}.") for name in given) else file
    if first["type"] == "extra_forbidden":
        if any(name.startswith(f"{field}.") for name in given):
            source = COMMAND_LINE
        if now := getattr(above, "renamed", {}).get(place[-1]):
            return f"{source}: the field {field} is called {'.'.join([*place[:-1], now])} now: write that instead."
        meant = _meant(above, place[-1])
        return f"{source}: there is no field {field}: {meant}choose {', '.join(above.model_fields)}."
    if first["type"] == "missing" and place[-1] in above.model_fields:
        return f"{file}: the field {field} is missing: {_meaning(above, place[-1])}."
    if first["type"] == "union_tag_invalid":
        context = first["ctx"]
        kinds = context["expected_tags"].replace("'", "")
        return f"{source}: {field}: there is no kind {context['tag']!r}: choose {kinds}."
    if first["type"] == "union_tag_not_found":
        meaning = _meaning(above, place[-1])
        return f"{source}: {field}: its kind is missing: write {field}=KIND before its fields: {meaning}."
    value = first["input"]
    if first["type"] == "value_error":
        return f"{source}: {f'{field}: ' if field else ''}{first['msg'].removeprefix('Value error, ')}."
    while len(place) > 1 and place[-1] not in above.model_fields:
        # One of a list's items, or one of the kinds that the value might have had.
        value, place = value if place[-1].isdigit() else "", place[:-1]
        above = _class_at(settings, place[:-1])
    field, meaning = ".".join(place), _meaning(above, place[-1])
    if value is None:
        return f"{source}: {field} must not be null: {meaning}."
    shown = "" if isinstance(value, dict) or value == "" else f" {_as_written(value)}"
    said = f"{first['msg'][0].lower()}{first['msg'][1:]}" if shown and first["type"] not in _CLUMSY else "wrong value"
    return f"{source}: {field}{shown}: {said}: {meaning}."


def _as_written(value: object) -> str:
    """A value as YAML has it."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


# Errors whose words speak of Python's types instead of what to write.
_CLUMSY = {"missing", "path_type", "model_type", "model_attributes_type", "tuple_type", "string_type"}


def _meant(settings: type[BaseModel], name: str) -> str:
    """A question whether a field of nearly this name was meant, or the one of this name that lies deeper."""
    near = difflib.get_close_matches(name, settings.model_fields, n=1)
    near += [
        f"{field}.{name}"
        for field in settings.model_fields
        if any(name in below.model_fields for below in _classes_of(settings, field))
    ]
    return f"did you mean {near[0]}? " if near else ""


def _meaning(settings: type[BaseModel], field: str) -> str:
    """What a field holds, for one who must write it."""
    below = _classes_of(settings, field)
    if len(below) == 1:
        return f"fields of its own: {', '.join(below[0].model_fields)}"
    described = settings.model_fields[field].description if field in settings.model_fields else None
    return described or "a value"


def _class_at(settings: type[BaseModel], place: Sequence[str]) -> type[BaseModel]:
    """The settings class that stands at a path of field names."""
    for name in place:
        below = _classes_of(settings, name)
        if not below:
            break
        settings = below[0]
    return settings


def _located(settings: type[BaseModel], place: Sequence[str]) -> tuple[list[str], type[BaseModel]]:
    """An error's path without the words by which pydantic says which of several classes it took, and its class."""
    kept: list[str] = []
    owner, choices = settings, [settings]
    for name in place:
        chosen = next((each for each in choices if len(choices) > 1 and name in _tags_of(each)), None)
        if chosen is not None:
            choices = [chosen]
            continue
        kept.append(name)
        owner = next((each for each in choices if name in each.model_fields), choices[0] if choices else owner)
        choices = _classes_of(owner, name)
    return kept, owner


def _tags_of(settings: type[BaseModel]) -> tuple[str, ...]:
    """The values of ``kind`` that stand for a class."""
    field = settings.model_fields.get("kind")
    return getattr(field.annotation, "__args__", ()) if field else ()


def _classes_of(settings: type[BaseModel], name: str) -> list[type[BaseModel]]:
    """The settings classes that a field may hold."""
    field = settings.model_fields.get(name)
    return list(dict.fromkeys(_classes_in(field.annotation))) if field else []


def _classes_in(annotation: Any) -> list[type[BaseModel]]:
    """The settings classes that a type speaks of, however deep: an optional union of annotated ones, say."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [each for below in getattr(annotation, "__args__", ()) for each in _classes_in(below)]
