"""The two shapes of a metric: one value per clip, and one value of two sets of clips."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torchmetrics import Metric

from ...errors import InputError


@dataclass(frozen=True)
class Pairs:
    """A batch of generated clips beside the true ones.

    generated: (B, T, 3, H, W), RGB in [0, 1]. reference: the same of the true clips; T, H and W are equal.
    instructions: B sentences. pictures: (B, 3, H, W) in [0, 1], the pictures of the result that were generated beside
    the clips; None where there are none. ids: B names of the clips. first: (B, 3, H, W) in [0, 1], the true clips' very
    first frames, whether they are compared or not; None where nobody knows them.
    """

    generated: Tensor
    reference: Tensor
    instructions: Sequence[str]
    ids: Sequence[str]
    pictures: Tensor | None = None
    first: Tensor | None = None

    def to(self, device: torch.device | str) -> Pairs:
        """The same on a device."""
        pictures, first = (None if each is None else each.to(device) for each in (self.pictures, self.first))
        clips = self.generated.to(device), self.reference.to(device)
        return Pairs(*clips, self.instructions, self.ids, pictures, first)


class TextReader(Protocol):
    """What looks at instructions for a metric, such as CLIP."""

    def cuts(self, sentences: Sequence[str], /) -> str | None:
        """What should be known of sentences that it reads without their ends; None where it reads all."""


class ClipMetric(Metric):
    """One number per clip, and their mean.

    A clip for which it says nothing, such as one without hands, gets NaN: the mean is over the others, and
    :attr:`coverage` says what share of the clips they are.

    Attributes:
        better: whether ``higher`` or ``lower`` values are better.
        unit: of the number, for tables; empty where it has none.
        values: (N,) of the clips so far, over all processes after ``compute``.
    """

    better: Literal["higher", "lower"]
    unit: str = ""
    is_differentiable = False
    full_state_update = False
    values: list[Tensor] | Tensor

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.add_state("values", default=[], dist_reduce_fx="cat")

    @abstractmethod
    def score(self, pairs: Pairs) -> Tensor:
        """(B,) float: the value of each clip, NaN where there is none."""

    @property
    def fingerprint(self) -> dict[str, Any]:
        """All that decides the values beside the clips and the code, as JSON: settings and digests of weights."""
        return {}

    @property
    def text_reader(self) -> TextReader | None:
        """What reads the instructions and may cut them; None: nothing does."""
        return None

    def update(self, pairs: Pairs | Tensor) -> None:
        """Add the clips of a batch; or their values (B,), which :meth:`score` gave before."""
        values = self.score(pairs) if isinstance(pairs, Pairs) else pairs
        assert isinstance(self.values, list)
        self.values.append(values.detach().double().to(self.device))

    def _sync_dist(self, *args: Any, **kwargs: Any) -> None:
        # A process that got no clips takes part in what the others gather, who would else wait for it.
        self.values = self.values or [torch.zeros(0, dtype=torch.float64, device=self.device)]
        super()._sync_dist(*args, **kwargs)

    def compute(self) -> Tensor:
        """The mean over clips that have a value, float64; NaN where none has one."""
        return self._all.nanmean()

    @property
    def coverage(self) -> float:
        """The share of clips that have a value."""
        return float((~self._all.isnan()).double().mean())

    @property
    def _all(self) -> Tensor:
        if isinstance(self.values, Tensor):
            return self.values
        return torch.cat([torch.zeros(0, dtype=torch.float64, device=self.device), *self.values])


class SetMetric(Metric):
    """A distance between the features of two sets of clips.

    Attributes:
        better: as in :class:`ClipMetric`; distances are better when lower.
        unit: as in :class:`ClipMetric`.
    """

    better: Literal["higher", "lower"] = "lower"
    unit: str = ""
    is_differentiable = False
    full_state_update = False

    @abstractmethod
    def features(self, clips: Tensor) -> Tensor:
        """(B, T, 3, H, W), RGB in [0, 1] -> features (B, D), or (B, T, D) where every frame counts."""

    @property
    def fingerprint(self) -> dict[str, Any]:
        """All that decides the features beside the clips and the code, as JSON: settings and digests of weights."""
        return {}

    @abstractmethod
    def update(self, features: Tensor, real: bool) -> None:
        """Add features of :meth:`features`, of true clips (``real``) or of generated ones."""

    @abstractmethod
    def compute(self) -> Tensor:
        """The distance, a float64 scalar."""


def check_side(pairs: Pairs, least: int, title: str) -> None:
    """Refuse frames that are too small for a metric.

    Raises:
        InputError: they have fewer than ``least`` pixels on a side.
    """
    height, width = pairs.generated.shape[-2:]
    if min(height, width) < least:
        raise InputError(
            f"The frames of {pairs.ids[0]} are {width}x{height} pixels and {title} needs {least} on a side: compare "
            f"larger ones, or leave {title} out."
        )
