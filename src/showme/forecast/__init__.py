"""What a training will take before anything is downloaded: memory and disk, from shapes alone.

The model is built without values from its ``config.json`` files (:mod:`.shapes`, :mod:`.networks`), its method's stage
is prepared, and the phases of a run go over clips that show nothing (:mod:`.run`, :mod:`.phases`, :mod:`.blank`), while
:mod:`.tracking` counts what is alive. :mod:`.tally` adds it up, :mod:`.fitting` looks for settings that make it fit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..run_config import RunConfig
from .fitting import Verdict, judge
from .run import Looker
from .shapes import published_names, read_model, read_published
from .tally import GB, Forecast, forecast

__all__ = ["CARDS", "GB", "Forecast", "Report", "Verdict", "forecast_run", "published_names"]

# Memory of common cards; GB are 10^9 bytes, of which cards of these names have a little more.
CARDS = (24, 48, 80)


@dataclass(frozen=True)
class Report:
    """A run's forecast, and whether it fits: accelerator -> verdict."""

    forecast: Forecast
    verdicts: dict[str, Verdict]

    def as_json(self) -> dict[str, Any]:
        """Everything, bytes in whole numbers."""
        seen = asdict(self.forecast)
        seen["phases"] = {each.name: each.parts | {"total": each.total} for each in self.forecast.phases}
        seen["main"] = self.forecast.main.parts | {"total": self.forecast.main.total}
        return seen | {
            "cache": self.forecast.cache,
            "fits": {name: asdict(each) for name, each in self.verdicts.items()},
        }


def forecast_run(
    config: RunConfig,
    accelerators: dict[str, int],
    shapes: str | None = None,
    size: tuple[int, int] | None = None,
    processes: int = 1,
    sharded: bool = False,
) -> Report:
    """Forecast a run, and say what makes it fit.

    Args:
        config: of the run.
        accelerators: this machine's: name -> bytes of memory.
        shapes: name of a published model; None: the recipe's own is looked at.
        size: (height, width) of the pictures; None: the model's.
        processes: that share a batch.
        sharded: whether they hold shards (FSDP2).

    Raises:
        InputError: no such model, or settings that do not go together.
    """
    looker = Looker(read_model(config.model, size) if shapes is None else read_published(shapes, size), processes)
    found = forecast(config, looker, sharded)
    limits = accelerators | {f"{card} GB": card * GB for card in CARDS}
    return Report(found, {name: judge(config, looker, limit, sharded) for name, limit in limits.items()})
