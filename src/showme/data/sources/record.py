"""What every source yields."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Record:
    """One clip.

    id: its name in the data set. path: a video file, a folder of pictures, or a rendered clip (.safetensors).
    instruction: what happens in it, one sentence.
    """

    id: str
    path: Path
    instruction: str
