"""Which frames of a clip are taken: the policies of the field, by name.

A policy turns a clip of N frames into T: each is a weighted sum of a few, mostly of one. Written so, blending is no
special case, and every policy is a pure function of the clip's length, its rate and the sample's seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    import torch

FIRST_FRAMES = 2
LAST_FRAMES = 3
_IVG_FPS = 8.0

# Those that give T frames.
ClipPolicy = Literal[
    "evenly_spaced",
    "evenly_spaced_floor",
    "consecutive",
    "random_start",
    "random_stride",
    "last_at_8_fps",
    "seer_blend",
]
Policy = Literal[ClipPolicy, "first_last_pair"]


@dataclass(frozen=True)
class Sample:
    """T frames as sums of a clip's own.

    indices: int (T, K) frames of the clip. weights: float32 (T, K), of sum 1; of sum 0 where a frame is mid-grey.
    stride: frames of the clip from one to the next, at least 1.
    """

    indices: np.ndarray
    weights: np.ndarray
    stride: float

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def main(self) -> np.ndarray:
        """(T,) the frame that weighs most in each."""
        return self.indices[np.arange(len(self)), self.weights.argmax(1)]

    @property
    def needed(self) -> np.ndarray:
        """The frames that must be decoded, sorted, each once."""
        return np.unique(self.indices[self.weights > 0])

    def mix(self, frames: np.ndarray) -> np.ndarray:
        """Frames that were asked for with ``needed``, uint8 (n, H, W, 3) -> the sample's, uint8 (T, H, W, 3)."""
        places = np.searchsorted(self.needed, self.indices).clip(max=max(len(frames) - 1, 0))
        if (self.weights[:, 0] == 1).all():
            return frames[places[:, 0]]
        grey = 127.5 * (1 - self.weights.sum(1))
        mixed = [
            sum((w * frames[p].astype(np.float32) for p, w in zip(row, weights, strict=True)), start=np.float32(rest))
            for row, weights, rest in zip(places, self.weights, grey, strict=True)
        ]
        return np.rint(np.stack(mixed)).astype(np.uint8)


def draw_sample(
    policy: Policy,
    available: int,
    wanted: int,
    fps: float | None,
    generator: torch.Generator,
    times: np.ndarray | None = None,
) -> Sample:
    """The frames that a policy takes.

    Args:
        policy: its name.

            - ``evenly_spaced``: the nearest to even places, first and last included;
            - ``evenly_spaced_floor``: the last before these places, as ShowMe's released inference, which cuts off what
              lies behind the point;
            - ``consecutive``: one after the other, from a random start, as StyleGAN-V's metrics;
            - ``random_start``: the stride that covers the clip, from a random start, as ShowMe's training;
            - ``random_stride``: a random stride that fits, from a random start, as DynamiCrafter's training;
            - ``last_at_8_fps``: the last frames of the clip at 8 per second, as IVG's released data set, by the frames'
              times where these are given: of a variable rate, what is shown at even times;
            - ``seer_blend``: Seer's trilinear resampling of the whole clip, which blends two neighbours;
            - ``first_last_pair``: of T evenly spaced ones, one of the first two and one of the last three: ShowMe's
              stage 1. T is ``wanted``, two frames are given.
        available: N, at least 1.
        wanted: T.
        fps: the clip's frames per second; None where nobody knows.
        generator: everything random comes from it.
        times: when each frame is shown, float (N,), rising, in seconds; None where nobody knows.

    All but ``last_at_8_fps`` go by frames' numbers, as the papers do. A clip that is too short repeats frames; under
    ``seer_blend`` it ends in grey, as Seer pads it.

    Raises:
        ValueError: no frames, no such policy, or a policy that needs a rate without one.
    """
    if available < 1 or wanted < 1:
        raise ValueError(f"{wanted} of {available} frames cannot be taken")
    if policy not in POLICIES:
        raise ValueError(f"there is no sampling {policy!r}: choose {', '.join(POLICIES)}")
    if policy == "last_at_8_fps":
        return _last_at_8_fps(available, wanted, fps, generator, times)
    return POLICIES[policy](available, wanted, fps, generator)


def is_uneven(sample: Sample, times: np.ndarray) -> bool:
    """Whether a sample's frames lie more than half a stride from even places in time.

    times: when each frame of the clip is shown, float (N,), in seconds.
    """
    shown = times[sample.main]
    even = np.linspace(shown[0], shown[-1], len(shown))
    stride = (shown[-1] - shown[0]) / max(len(shown) - 1, 1)
    # Clips that are too short repeat frames: that is no matter of their rate.
    return len(np.unique(sample.main)) == len(sample) and bool((np.abs(shown - even) > stride / 2).any())


def is_random(policy: Policy) -> bool:
    """Whether a policy takes other frames with another seed."""
    return policy in ("consecutive", "random_start", "random_stride", "first_last_pair")


def evenly_spaced(available: int, wanted: int) -> list[int]:
    """Indices of ``wanted`` among ``available`` frames, first and last included; a short clip repeats its own.

    The released ShowMe code passes over clips of no more than ``wanted`` frames.
    """
    return np.linspace(0, available - 1, wanted).round().astype(int).tolist()


def covering_stride(available: int, wanted: int) -> int:
    """The largest whole stride with which ``wanted`` frames fit, at least 1."""
    return max((available - 1) // max(wanted - 1, 1), 1)


def state_image_pair(frames: int, generator: torch.Generator | None) -> tuple[int, int]:
    """Indices of ShowMe's stage-1 pair in a clip of ``frames``: one of the first two and one of the last three."""
    start = _draw(0, min(FIRST_FRAMES, frames), generator)
    end = _draw(max(frames - LAST_FRAMES, 0), frames, generator)
    return start, end


def _draw(low: int, high: int, generator: torch.Generator | None) -> int:
    """A whole number of [low, high)."""
    # Imported here: settings that name a policy are checked without torch.
    import torch

    return int(torch.randint(low, high, (), generator=generator))


def _plain(indices, stride: float) -> Sample:
    indices = np.asarray(indices, dtype=np.int64)[:, None]
    return Sample(indices, np.ones(indices.shape, np.float32), float(stride))


def _evenly_spaced(available: int, wanted: int, fps: float | None, generator: torch.Generator) -> Sample:
    return _plain(evenly_spaced(available, wanted), covering_stride(available, wanted))


def _evenly_spaced_floor(available: int, wanted: int, fps: float | None, generator: torch.Generator) -> Sample:
    indices = np.linspace(0, available - 1, wanted).astype(np.int64)
    return _plain(indices, covering_stride(available, wanted))


def _consecutive(available: int, wanted: int, fps: float | None, generator: torch.Generator) -> Sample:
    return _strided(available, wanted, 1, generator)


def _strided(available: int, wanted: int, stride: int, generator: torch.Generator) -> Sample:
    span = stride * (wanted - 1) + 1
    if span > available:
        return _plain(evenly_spaced(available, wanted), 1)
    start = _draw(0, available - span + 1, generator)
    return _plain(start + stride * np.arange(wanted), stride)


def _random_start(available: int, wanted: int, fps: float | None, generator: torch.Generator) -> Sample:
    return _strided(available, wanted, covering_stride(available, wanted), generator)


def _random_stride(available: int, wanted: int, fps: float | None, generator: torch.Generator) -> Sample:
    return _strided(available, wanted, _draw(1, covering_stride(available, wanted) + 1, generator), generator)


def _last_at_8_fps(
    available: int, wanted: int, fps: float | None, generator: torch.Generator, times: np.ndarray | None = None
) -> Sample:
    if fps is None:
        raise ValueError("last_at_8_fps needs the clip's frames per second")
    step = max(round(fps / _IVG_FPS), 1)
    kept = np.arange(0, available, step) if times is None or available < 2 else _shown_every(step / fps, times)
    if len(kept) < wanted:
        return _evenly_spaced(available, wanted, fps, generator)
    return _plain(kept[-wanted:], step)


def _shown_every(period: float, times: np.ndarray) -> np.ndarray:
    """The frames that are shown after every ``period`` seconds, from the first on."""
    # Containers round times: half a frame early is in time.
    grace = min(float(np.median(np.diff(times))), period) / 2
    moments = np.arange(times[0], times[-1] + grace, period)
    return np.searchsorted(times, moments + grace, side="right") - 1


def _seer_blend(available: int, wanted: int, fps: float | None, generator: torch.Generator) -> Sample:
    if available <= wanted:
        indices = np.minimum(np.arange(wanted), available - 1)[:, None]
        return Sample(indices, (np.arange(wanted) < available).astype(np.float32)[:, None], 1.0)
    # torch's linear interpolation with align_corners=False: middles of T equal bins, clamped at the first frame.
    middles = np.maximum((np.arange(wanted) + 0.5) * available / wanted - 0.5, 0)
    lower = np.floor(middles).astype(np.int64)
    upper = np.minimum(lower + 1, available - 1)
    share = (middles - lower).astype(np.float32)
    return Sample(np.stack([lower, upper], 1), np.stack([1 - share, share], 1), available / wanted)


def _first_last_pair(available: int, wanted: int, fps: float | None, generator: torch.Generator) -> Sample:
    frames = evenly_spaced(available, wanted)
    start, end = state_image_pair(wanted, generator)
    return _plain([frames[start], frames[end]], max(frames[end] - frames[start], 1))


POLICIES: dict[str, Callable[[int, int, float | None, torch.Generator], Sample]] = {
    "evenly_spaced": _evenly_spaced,
    "evenly_spaced_floor": _evenly_spaced_floor,
    "consecutive": _consecutive,
    "random_start": _random_start,
    "random_stride": _random_stride,
    "last_at_8_fps": _last_at_8_fps,
    "seer_blend": _seer_blend,
    "first_last_pair": _first_last_pair,
}
assert set(POLICIES) == set(get_args(Policy))
