"""Clips of a report as files: one video of all panels, so that they play in step without scripts; pictures; flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...generation.outputs import VIEW_SIDE, write_png, write_video
from .choice import spread

# (B, T, 3, H, W), RGB in [0, 1] -> (B, T - 1, 2, H, W) pixels, such as showme.perception.flow_estimator gives.
Flow = Callable[[Tensor], Tensor]

FPS = 8
FLOW_PAIRS = 4
_GAP = 2
_FLOW_HEIGHT = 160
_FLOW_QUALITY = 88
# Full colour is for the speed that so many pixels stay below: one wild vector must not make the rest pale. Below one
# pixel there is noise alone, and it must not shine.
_FULL_QUANTILE, _LEAST_FULL = 0.99, 1.0
WHEEL_SIDE = 112


@dataclass(frozen=True)
class ReportClip:
    """A clip to look at.

    instruction: in any script. generated, reference: uint8 (T, H, W, 3), RGB, what came out and the truth; with
    pictures instead of videos their T may differ. picture: uint8 (H, W, 3), the picture of the result that was
    generated beside the video; None where there is none. baselines: name -> uint8 (T, H, W, 3).
    """

    instruction: str
    generated: np.ndarray
    reference: np.ndarray
    picture: np.ndarray | None = None
    baselines: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def panels(self) -> dict[str, np.ndarray]:
        """What stands side by side, by its label."""
        return {"generated": self.generated, "truth": self.reference, **self.baselines}


@dataclass(frozen=True)
class ClipFiles:
    """Names of a clip's files.

    labels: of the panels, from left to right. size: (width, height) of the video, or of each picture. own_size: of one
    generated frame. video: all panels in one; None for pictures. pictures: for each panel its pictures, where there is
    no video. result: of the picture beside the video. flows: for generated and true frames, each with its optical flow
    beneath. flow_size: of each of these. pairs: the frames that flow is shown between, counted from 1. full: pixels per
    frame that have full colour.
    """

    labels: list[str]
    size: tuple[int, int]
    own_size: tuple[int, int]
    video: str | None = None
    pictures: list[list[str]] = field(default_factory=list)
    result: str | None = None
    flows: dict[str, str] = field(default_factory=dict)
    flow_size: tuple[int, int] = (0, 0)
    pairs: list[tuple[int, int]] = field(default_factory=list)
    full: float = 0.0


def write_clip(folder: Path, number: int, clip: ReportClip, pictures: bool, flow: Flow | None) -> ClipFiles:
    """Write a clip's files; their names are numbers, so that no id can break them.

    Args:
        folder: where they go.
        number: of the clip in this report.
        clip: what is written.
        pictures: whether it is pictures of the result, and no video.
        flow: for pictures of optical flow; None: without them.
    """
    stem, panels = f"{number:02d}", clip.panels
    height, width = clip.generated.shape[1:3]
    own_size, result = (width, height), None
    if clip.picture is not None:
        result = f"{stem}_result.png"
        write_png(Image.fromarray(clip.picture), folder / result)
    if pictures or len(clip.generated) == 1:
        files = [_write_pictures(folder, f"{stem}_{place}", frames) for place, frames in enumerate(panels.values())]
        return ClipFiles(list(panels), own_size, own_size, pictures=files, result=result)
    video = f"{stem}.mp4"
    frames = [Image.fromarray(frame) for frame in _side_by_side(list(panels.values()))]
    factor = write_video(frames, folder / video, FPS)
    size = (frames[0].width * factor, frames[0].height * factor)
    if flow is None:
        return ClipFiles(list(panels), size, own_size, video, result=result)
    starts = spread(len(clip.generated) - 1, FLOW_PAIRS)
    strips, full = _flow_strips({"generated": clip.generated, "truth": clip.reference}, starts, flow)
    flows = {}
    for place, (label, strip) in enumerate(strips.items()):
        flows[label] = f"{stem}_flow_{place}.webp"
        strip.save(folder / flows[label], quality=_FLOW_QUALITY, method=4)
    flow_size = next(iter(strips.values())).size
    pairs = [(t + 1, t + 2) for t in starts]
    return ClipFiles(list(panels), size, own_size, video, [], result, flows, flow_size, pairs, full)


def write_wheel(path: Path) -> None:
    """Which colour is which direction: a disc of vectors that point away from its middle."""
    y, x = np.mgrid[:WHEEL_SIDE, :WHEEL_SIDE] / (WHEEL_SIDE - 1) * 2 - 1
    disc = np.stack([x, y]).astype(np.float32)
    radius = np.hypot(x, y)
    colours = _colours(np.where(radius <= 1, disc, 0)[None], 1.0)[0]
    alpha = np.where(radius <= 1, 255, 0).astype(np.uint8)
    Image.fromarray(np.dstack([colours, alpha])).save(path)


def _write_pictures(folder: Path, stem: str, frames: np.ndarray) -> list[str]:
    names = []
    for place, frame in enumerate(frames):
        # One picture that is compared with several true frames comes as often as these.
        if place and (frame == frames[0]).all():
            continue
        names.append(f"{stem}_{place}.png")
        write_png(Image.fromarray(frame), folder / names[-1])
    return names


def _side_by_side(panels: list[np.ndarray]) -> np.ndarray:
    """(T, H, W, 3) each -> one clip, with black between them, of a height that is not enlarged further.

    All sides are even, as H.264 needs them.
    """
    height, width = panels[0].shape[1:3]
    size = (2 * max(round(width * VIEW_SIDE / height / 2), 1), VIEW_SIDE)
    panels = [np.stack([_resized(frame, size) for frame in frames]) for frames in panels]
    gap = np.zeros((*panels[0].shape[:2], _GAP, 3), np.uint8)
    parts = [part for frames in panels for part in (gap, frames)][1:]
    return np.concatenate(parts, axis=2)


def _flow_strips(
    clips: Mapping[str, np.ndarray], starts: list[int], flow: Flow
) -> tuple[dict[str, Image.Image], float]:
    """Frames in a row with the flow to the next frame beneath, in one scale of colours, and what has full colour."""
    flows = {}
    for label, frames in clips.items():
        pairs = torch.from_numpy(np.stack([frames[[t, t + 1]] for t in starts])).permute(0, 1, 4, 2, 3).float() / 255
        flows[label] = np.nan_to_num(flow(pairs)[:, 0].float().cpu().numpy())
    speeds = np.concatenate([np.hypot(each[:, 0], each[:, 1]).ravel() for each in flows.values()])
    full = max(float(np.quantile(speeds, _FULL_QUANTILE)), _LEAST_FULL)
    return {label: _strip(clips[label][starts], _colours(flows[label], full)) for label in clips}, full


def _strip(frames: np.ndarray, colours: np.ndarray) -> Image.Image:
    height, width = frames.shape[1:3]
    size = (max(round(width * _FLOW_HEIGHT / height), 1), _FLOW_HEIGHT)
    strip = Image.new("RGBA", (len(frames) * (size[0] + _GAP) - _GAP, 2 * size[1] + _GAP))
    for column, pair in enumerate(zip(frames, colours, strict=True)):
        for row, picture in enumerate(pair):
            strip.paste(Image.fromarray(_resized(picture, size)), (column * (size[0] + _GAP), row * (size[1] + _GAP)))
    return strip


def _colours(flow: np.ndarray, full: float) -> np.ndarray:
    """(N, 2, H, W) pixels -> uint8 (N, H, W, 3): hue by direction, white where nothing moves (torchvision's wheel)."""
    from torchvision.utils import flow_to_image

    speed = np.hypot(flow[:, 0], flow[:, 1])[:, None]
    bounded = torch.from_numpy(flow * (full / np.maximum(speed, full))).float()
    # flow_to_image divides by the largest speed: a corner that has it keeps the scale, and is cut off again.
    padded = torch.nn.functional.pad(bounded, (0, 1))
    padded[..., -1] = torch.tensor([full, 0.0])[:, None]
    return flow_to_image(padded)[..., :-1].permute(0, 2, 3, 1).numpy()


def _resized(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))
