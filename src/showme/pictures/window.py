"""What of a picture is kept, and at which size: the same for pixels, masks and joints, so that they stay aligned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Window:
    """A box of a picture that becomes a picture of another size.

    left, top, right, bottom: the box in pixels of the source, fractions included. height, width: pixels wanted.
    """

    left: float
    top: float
    right: float
    bottom: float
    height: int
    width: int

    @classmethod
    def crop(cls, source_height: int, source_width: int, height: int, width: int) -> Window:
        """The largest box in the middle that has the wanted shape: short side scaled, long side cut."""
        scale = max(width / source_width, height / source_height)
        kept_width, kept_height = min(width / scale, source_width), min(height / scale, source_height)
        left, top = (source_width - kept_width) / 2, (source_height - kept_height) / 2
        return cls(left, top, left + kept_width, top + kept_height, height, width)

    @classmethod
    def squash(cls, source_height: int, source_width: int, height: int, width: int) -> Window:
        """All of the picture, squashed to the wanted shape, as LEGO prepares its pairs (ECCV 2024)."""
        return cls(0, 0, source_width, source_height, height, width)

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels wanted per pixel of the source, across and down."""
        return self.width / (self.right - self.left), self.height / (self.bottom - self.top)

    def picture(self, image: Image.Image) -> Image.Image:
        """A picture through the window, resampled once with Lanczos' filter."""
        size = (self.width, self.height)
        if image.size == size and self.scale == (1, 1):
            return image
        # One resampling of the box alone: a banner of 50,000x16 never becomes a larger banner first.
        box = (self.left, self.top, self.right, self.bottom)
        return image.resize(size, Image.Resampling.LANCZOS, box=box)

    def pixels(self, frame: np.ndarray) -> np.ndarray:
        """uint8 (H, W, 3) -> uint8 (height, width, 3)."""
        return np.asarray(self.picture(Image.fromarray(frame)))

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """bool (H, W) -> bool (height, width): what is covered by half or more."""
        box = (self.left, self.top, self.right, self.bottom)
        grey = Image.fromarray(mask.astype(np.uint8) * 255).resize(
            (self.width, self.height), Image.Resampling.BOX, box=box
        )
        return np.asarray(grey) >= 128

    def points(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) x, y of the source, in pixels whose middles lie at 0, 1, 2, ... -> x, y of the picture wanted."""
        scale = np.array(self.scale)
        return ((points + 0.5 - [self.left, self.top]) * scale - 0.5).astype(points.dtype)


WINDOWS = {"crop": Window.crop, "squash": Window.squash}
