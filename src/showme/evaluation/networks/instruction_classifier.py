"""The action that a clip of the tabletop world shows, by a small network that sees changes alone."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data.sampling import evenly_spaced
from ...errors import InputError
from ...perception.packaged import read_packaged, write_packaged
from ...worlds.tabletop.vocabulary import ACTIONS

TABLETOP_WEIGHTS = Path(__file__).parents[2] / "assets" / "instruction_classifier" / "tabletop.safetensors"

# What a clip shows in which nothing is done.
NOTHING = "nothing"
CLASSES = (*ACTIONS, NOTHING)

_SIDE = 64
_CLIPS_TOGETHER = 4
_MOST_FRAMES = 64
_GROUPS = 8
# Pixels around a change that are seen, and differences up to which there is none.
_NEAR = 4
_FAINT = 0.08


class InstructionClassifier(nn.Module):
    """Clips -> which action of the tabletop world they show.

    The first frame of a scene gives much away: a knife lies ready, a case stands open. So the network is given what
    differs from the first frame and from the frame before, at 64x64, and of the frames themselves no more than the
    neighbourhood of what differs from the first: the bowl that something is put into, once it is. A clip that stands
    still is all zeros, whatever it shows. Convolutions halve each step's picture four times, and a recurrent network
    reads what they leave, at 4x4 places, in both directions of time.

    Args:
        frames: taken from a clip, evenly spaced, first and last included.
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the size, multiples of 8.
        hidden: channels of each direction of the recurrent network.

    Attributes:
        accuracy: share of true renders, of scenes that it was not trained on, whose action it names; None if unknown.
    """

    def __init__(self, frames: int = 8, widths: tuple[int, int, int, int] = (16, 32, 48, 64), hidden: int = 64):
        super().__init__()
        if not 2 <= frames <= _MOST_FRAMES:
            raise ValueError(f"an action is seen in 2 to {_MOST_FRAMES} frames, not {frames}")
        self.config = {"frames": frames, "widths": list(widths), "hidden": hidden}
        self.frames = frames
        self.accuracy: float | None = None
        # Half the size in four times the channels, which costs less than a convolution of full size.
        layers: list[nn.Module] = [nn.PixelUnshuffle(2)]
        for before, width, stride in zip((36, *widths[:-1]), widths, (1, 2, 2, 2), strict=True):
            layers += [nn.Conv2d(before, width, 3, stride, 1), nn.GroupNorm(_GROUPS, width), nn.SiLU()]
        self.see = nn.Sequential(*layers)
        self.gather = nn.Linear(widths[-1] * (_SIDE // 16) ** 2, hidden)
        self.read = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.decide = nn.Linear(2 * hidden, len(CLASSES))

    def forward(self, clips: Tensor) -> Tensor:
        """(B, T, 3, H, W), RGB in [0, 1] -> logits (B, 14) of ``CLASSES``.

        Raises:
            InputError: clips of one frame.
        """
        if clips.shape[1] < 2:
            raise InputError("An action is seen in clips of at least two frames, and these have one.")
        return self.classify(shrunken(clips[:, evenly_spaced(clips.shape[1], self.frames)]))

    def classify(self, frames: Tensor) -> Tensor:
        """Logits of frames (B, ``frames``, 3, 64, 64) as :func:`shrunken` makes them."""
        since_first = frames - frames[:, :1]
        steps = F.pad(since_first.diff(dim=1), (0, 0) * 3 + (1, 0))
        changes = torch.cat([since_first, steps, (frames - 0.5) * near_changes(since_first)], dim=2)
        seen = self.see(changes.flatten(0, 1)).flatten(1).unflatten(0, frames.shape[:2])
        read, _ = self.read(F.silu(self.gather(seen)))
        return self.decide(read.amax(1))

    @torch.no_grad()
    def actions(self, clips: Tensor) -> list[str]:
        """The likeliest of ``CLASSES`` for each clip (B, T, 3, H, W) in [0, 1].

        Raises:
            InputError: clips of one frame.
        """
        device = self.decide.weight.device
        rows = torch.cat([self(part.to(device, torch.float32)).argmax(1) for part in clips.split(_CLIPS_TOGETHER)])
        return [CLASSES[row] for row in rows.tolist()]

    @classmethod
    def from_assets(cls, path: str | Path = TABLETOP_WEIGHTS) -> InstructionClassifier:
        """The packaged weights, or another training's, in fp32 and frozen.

        Raises:
            InputError: no such file, or not what ``to_file`` writes.
        """
        what, script = "instruction classifier", "train_instruction_classifier.py"
        network, notes = read_packaged(cls, path, what, script, classes=list(CLASSES))
        try:
            network.accuracy = float(notes["accuracy"])
        except (KeyError, ValueError) as error:
            raise InputError(f"{path} does not hold its accuracy: make it with scripts/{script}.") from error
        return network

    def to_file(self, path: str | Path, accuracy: float, **notes: str) -> None:
        """Write fp16 weights, with the settings, the accuracy on true renders and the ``notes`` in the header."""
        write_packaged(self, path, classes=json.dumps(CLASSES), accuracy=repr(accuracy), **notes)


def near_changes(since_first: Tensor) -> Tensor:
    """Differences (B, T, 3, H, W) -> (B, T, 1, H, W): 1 within four pixels of a clear one, else 0."""
    size = F.avg_pool2d(since_first.flatten(0, 1), 3, 1, 1).abs().amax(1, keepdim=True)
    near = F.max_pool2d(size, 2 * _NEAR + 1, 1, _NEAR)
    return ((near - _FAINT) / _FAINT).clamp(0, 1).unflatten(0, since_first.shape[:2])


def shrunken(clips: Tensor) -> Tensor:
    """(B, T, 3, H, W) -> (B, T, 3, 64, 64): areas averaged where pictures are larger, else bilinear."""
    flat = clips.flatten(0, 1)
    small = F.interpolate(flat, (_SIDE, _SIDE), mode="bilinear", antialias=True, align_corners=False)
    return small.unflatten(0, clips.shape[:2])
