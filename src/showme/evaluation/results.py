"""What an evaluation found, as JSON that says how it was found.

A result holds nothing that a second run of the same command would not give again: no times, no paths of this machine.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import InputError
from ..staged_files import staged

FORMAT = 3
FILE = "result.json"
_EQUAL = 1e-6


@dataclass(frozen=True)
class Figure:
    """One number.

    name: of the metric, as protocols list it. title: as tables say it. value: NaN where no clip has one. low, high: its
    95% interval, by bootstrap over clips; None where there is none. count: clips that it is of. coverage: the share of
    clips that have a value. better: which direction is. unit: such as ``dB``; empty where it has none. note: what a
    reader must know, such as a quirk of the protocol that it follows. fingerprint: settings and digests of weights that
    decide it, so that figures of other networks are never compared with it.
    """

    name: str
    title: str
    value: float
    low: float | None
    high: float | None
    count: int
    coverage: float
    better: Literal["higher", "lower"]
    unit: str = ""
    note: str = ""
    fingerprint: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """Figures of one set of clips: a model's, or a baseline's.

    name: of the model or baseline. figures: by metric. clips: metric -> the value of every clip, in the order of the
    result's ids, None where it has none; metrics with one value per clip alone.
    """

    name: str
    figures: dict[str, Figure]
    clips: dict[str, list[float | None]]


@dataclass(frozen=True)
class Result:
    """An evaluation.

    protocol: all fields of the protocol. ids: of the clips, in their order. model: the clips that are judged.
    baselines: what needs no training, under the same protocol. without_quirks: the model and the baselines under the
    protocol without its quirks, in the same order; empty where it has none. record: the rest that decides the numbers:
    dtype, versions, kinds of files.
    """

    protocol: dict[str, Any]
    ids: list[str]
    model: Column
    baselines: list[Column]
    without_quirks: list[Column]
    record: dict[str, Any]


def equal_figures(a: Column, b: Column) -> bool:
    """Whether two columns say the same where both say something, to what the arithmetic of a device may change."""
    pairs = [(a.figures[name].value, b.figures[name].value) for name in a.figures if name in b.figures]
    return all(math.isclose(x, y, rel_tol=_EQUAL) or (math.isnan(x) and math.isnan(y)) for x, y in pairs)


def write_result(path: Path, result: Result) -> None:
    """Write a result in one step.

    Raises:
        InputError: it cannot be written.
    """
    text = json.dumps({"format": FORMAT} | _plain(asdict(result)), indent=1, allow_nan=False, ensure_ascii=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with staged(path) as neighbour:
            neighbour.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): choose another --out.") from error


def read_result(path: Path) -> Result:
    """A result that :func:`write_result` wrote.

    Raises:
        InputError: no such file, or another.
    """
    remedy = f"give the {FILE} that `showme evaluate` wrote"
    if path.is_dir():
        path = path / FILE
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"There is no {path}: {remedy}.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): {remedy}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON: {remedy}.") from error
    try:
        if (written := tree.pop("format")) not in (2, FORMAT):
            raise InputError(f"{path} was written by another version: run the evaluation again.")
        ids = [str(each) for each in tree["ids"]]
        return Result(
            protocol=dict(tree["protocol"]),
            ids=ids,
            model=_column(tree["model"], len(ids), written),
            baselines=[_column(each, len(ids), written) for each in tree["baselines"]],
            without_quirks=[_column(each, len(ids), written) for each in tree["without_quirks"]],
            record=dict(tree["record"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no result of an evaluation: {remedy}.") from error


def _column(tree: dict[str, Any], count: int, written: int) -> Column:
    figures = {name: _figure(fields, written) for name, fields in tree["figures"].items()}
    clips = {name: [_number(value) for value in values] for name, values in tree["clips"].items()}
    if any(len(values) != count for values in clips.values()):
        raise ValueError("values of other clips")
    return Column(str(tree["name"]), figures, clips)


def _figure(fields: dict[str, Any], written: int) -> Figure:
    if written == 2:
        # The one difference between the formats is this field's name.
        fields = {"fingerprint": fields["made_of"]} | {name: each for name, each in fields.items() if name != "made_of"}
    value = _number(fields["value"])
    if fields["better"] not in ("higher", "lower"):
        raise ValueError("no direction")
    checked = {
        "value": math.nan if value is None else value,
        "low": _number(fields["low"]),
        "high": _number(fields["high"]),
        "count": int(fields["count"]),
        "coverage": float(fields["coverage"]),
        "fingerprint": dict(fields["fingerprint"]),
    }
    return Figure(**(fields | checked | {name: str(fields[name]) for name in ("name", "title", "unit", "note")}))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _plain(value: Any) -> Any:
    """JSON has no NaN: null says that there is no number."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
