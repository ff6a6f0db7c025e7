"""Which settings make a run fit: one of them, or as few as it takes, found by forecasts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from ..backbones.base import Facts
from ..errors import InputError
from ..methods.recipes import parse_recipe
from ..run_config import RunConfig
from .run import Looker
from .tally import Forecast, filling, forecast, showing_scenes

# Of narrower frozen weights the ones that change least are tried first.
_NARROWER = ("fp32", "bf16", "int8", "int4")
# Fewer slots than these are no video.
_LEAST_SLOTS = 2
Change = tuple[str, Any]


@dataclass(frozen=True)
class Verdict:
    """Whether a run fits. limit: bytes of the accelerator. words: ``field=value`` each, with which it does, none where
    it does as it is; None: nothing that was tried makes it fit. total: bytes that it then takes, or takes at least."""

    limit: int
    words: list[str] | None
    total: int


def judge(config: RunConfig, looker: Looker, limit: int, sharded: bool = False) -> Verdict:
    """The fewest settings with which a run takes at most ``limit`` bytes of an accelerator, in a fixed order.

    Raises:
        InputError: as :func:`forecast`.
    """
    now = forecast(config, looker, sharded)
    if now.largest.total <= limit:
        return Verdict(limit, [], now.largest.total)
    changes = _changes(config, looker, looker.cached(config).facts)
    least = _with(config, looker, _strongest(changes), sharded)
    if least is None or least.largest.total > limit:
        return Verdict(limit, None, (least or now).largest.total)
    for count in range(1, len(changes) + 1):
        for chosen in combinations(changes, count):
            if len({field for field, _ in chosen}) == count:
                then = _with(config, looker, chosen, sharded, limit)
                if then is not None and then.largest.total <= limit:
                    return Verdict(limit, _words(chosen), then.largest.total)
    return Verdict(limit, None, least.largest.total)


def _changes(config: RunConfig, looker: Looker, facts: Facts) -> list[Change]:
    """Fields with other values that take less, in the order in which they are tried."""
    training, memory = config.training, config.memory
    found: list[Change] = []
    if not training.gradient_checkpointing:
        found.append(("training.gradient_checkpointing", "true"))
    if training.accumulation < (most := training.batch_size // looker.processes):
        found.append(("training.accumulation", most))
    # fp8 takes what int8 does.
    here = _NARROWER.index(memory.base) if memory.base in _NARROWER else _NARROWER.index("int8")
    # What is narrow computes in bf16, and blocks of int4 cannot wait.
    narrower = () if training.precision == "fp32" else _NARROWER[here + 1 :]
    found += [("memory.base", base) for base in narrower if not (base == "int4" and memory.offload)]
    if looker.cached(config).waits and not memory.offload and memory.base != "int4":
        found.append(("memory.offload", "true"))
    if config.validation.scenes:
        found.append(("validation.scenes", 0))
    return found + [("data.frames", frames) for frames in _fewer(config.data.frames, facts)]


def _fewer(frames: int, facts: Facts) -> Iterator[int]:
    """Half the slots, and half of these, and so on."""
    slots = facts.slots(frames)
    while slots > _LEAST_SLOTS:
        slots = -(-slots // 2)
        yield facts.frames(slots)


def _strongest(changes: list[Change]) -> list[Change]:
    """Of every field the last value, which takes least; blocks that wait take less than int4, whose blocks cannot."""
    strongest = dict(changes)
    if "memory.offload" in strongest and strongest.get("memory.base") == "int4":
        strongest["memory.base"] = "int8"
    return list(strongest.items())


def _with(config: RunConfig, looker: Looker, chosen: Any, sharded: bool, limit: int | None = None) -> Forecast | None:
    """The forecast with some changes; None where they do not go together, or take more than the limit without a step of
    training."""
    try:
        changed = parse_recipe(config.model_dump(mode="json"), _words(chosen), "the recipe")
        if limit is not None and _is_too_much(changed, looker, limit):
            return None
        return forecast(changed, looker, sharded)
    except InputError:
        return None


def _is_too_much(config: RunConfig, looker: Looker, limit: int) -> bool:
    """Whether that is seen without a step of training, which takes longest to go through."""
    if filling(config, looker).total > limit:
        return True
    showing = showing_scenes(config, looker, {})
    return showing is not None and showing.total > limit


def _words(chosen: Any) -> list[str]:
    return [f"{field}={value}" for field, value in chosen]
