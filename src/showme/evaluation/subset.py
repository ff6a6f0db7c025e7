"""Which of the true clips count, where a protocol takes a part of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..data.cache.build import Progress
from ..data.sources import open_source
from ..data.sources.record import Record
from ..errors import InputError
from .protocol import Protocol
from .request import Request

FOLDER = "motion-intensive"


def choose_clips(
    records: Mapping[str, Record], request: Request, progress: Progress | None = None
) -> dict[str, Record]:
    """The clips of a protocol: those with the largest regions of motion, and of these so many at random.

    Raises:
        InputError: there are too few.
    """
    return drawn(_motion_intensive(records, request, progress), request.protocol)


def drawn(records: Mapping[str, Record], protocol: Protocol) -> dict[str, Record]:
    """The protocol's number of clips, drawn at random by its seed; all where it has none.

    The draw depends on the ids alone, not on their order.

    Raises:
        InputError: there are fewer.
    """
    if protocol.samples is None:
        return dict(records)
    if len(records) < protocol.samples:
        raise InputError(
            f"The protocol {protocol.name} asks for {protocol.samples:,} clips and the reference has {len(records):,}: "
            "give more, or set samples (figures of other numbers of clips do not compare)."
        )
    names = sorted(records)
    chosen = np.random.default_rng(protocol.samples_seed).permutation(len(names))[: protocol.samples]
    kept = {names[number] for number in chosen.tolist()}
    return {name: record for name, record in records.items() if name in kept}


def _motion_intensive(records: Mapping[str, Record], request: Request, progress: Progress | None) -> dict[str, Record]:
    """IVG's subset (arXiv 2412.04189, section 4.4), by the rule of curation; its page stands in the results' folder."""
    protocol = request.protocol
    if protocol.motion_intensive is None:
        return dict(records)
    from ..preparation.config import CurateConfig
    from ..preparation.curate import curate

    hands = "torch" if request.weights.hands is None else f"torch:{request.weights.hands}"
    settings: dict[str, Any] = {
        "source": open_source(request.reference, request.reference_fields),
        "out": (request.cache or request.out) / FOLDER,
        "rule": {"kind": "motion_intensive", "share": protocol.motion_intensive},
        "look": protocol.model_dump(include={"height", "width", "frames", "sampling", "fit"}),
        "estimators": {"hands": hands, "hand_confidence": protocol.hand_confidence},
    }
    verdicts = curate(CurateConfig(**settings), progress).verdicts
    return {name: record for name, record in records.items() if verdicts[name].kept}
