"""Regions of motion as masks: read from pictures, cleaned of specks, brought to the latents' size."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ...arguments import a_kind
from ...errors import InputError
from ...optional import needed
from ...pictures.fit import fit_photo

# A latent place is in the region if at least half of it is (the released code's threshold).
_HALF = 0.5


@dataclass(frozen=True)
class CleanUp:
    """From decoded mask frames to one region.

    Attributes:
        threshold: of the mean of the channels, above which a pixel is in the mask.
        least_area: connected components below this share of the picture are removed, in every frame.
        closing: radius in shares of the short side; gaps narrower than twice that are filled.
        margin: radius by which the union over the frames is widened, in shares of the short side.
    """

    threshold: float = 0.5
    least_area: float = 0.002
    closing: float = 0.02
    margin: float = 0.0

    def __call__(self, frames: Tensor) -> np.ndarray:
        """Mask frames (T, H, W) in [0, 1] -> bool (H, W); all of it False where nothing is left."""
        with needed("cv2", "opencv-python-headless", "perception", "Cleaning a region"):
            import cv2
        masks = (frames > self.threshold).byte().cpu().numpy()
        height, width = masks.shape[1:]
        union = np.zeros((height, width), np.uint8)
        for mask in masks:
            union |= self._without_specks(mask)
        short = min(height, width)
        for operation, radius in ((cv2.MORPH_CLOSE, self.closing), (cv2.MORPH_DILATE, self.margin)):
            if pixels := round(radius * short):
                disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
                union = cv2.morphologyEx(union, operation, disc)  # type: ignore[assignment]
        return union.astype(bool)

    def _without_specks(self, mask: np.ndarray) -> np.ndarray:
        import cv2

        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        large = [n for n in range(1, count) if stats[n, cv2.CC_STAT_AREA] >= self.least_area * mask.size]
        return np.isin(labels, large).astype(np.uint8)


def mask_of(decoded: Tensor) -> Tensor:
    """Decoded pictures (..., 3, H, W), about [0, 1] -> masks (..., H, W) in [0, 1]: the mean of the channels, clamped;
    the gradient passes the clamp as if it were not there."""
    mean = decoded.float().mean(dim=-3)
    return mean + (mean.clamp(0, 1) - mean).detach()


def as_picture(mask: np.ndarray) -> Image.Image:
    """Bool (H, W) -> a picture of mode L, white inside."""
    return Image.fromarray(mask.astype(np.uint8) * 255)


def packed(file: Path) -> str:
    """A PNG of a mask as text, such as the settings of a pipeline can hold."""
    return base64.b64encode(file.read_bytes()).decode("ascii")


def unpacked(text: str) -> Image.Image:
    """The mask that :func:`packed` made a text of.

    Raises:
        InputError: another text.
    """
    try:
        return Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"])
    except (ValueError, OSError) as error:
        raise InputError("The model's region_prior is no picture: train its stage video anew.") from error


def at_latents(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks (B, H, W) in [0, 1] -> (B, 1, 1, h, w) in {0, 1}: 1 where at least half of a latent place is covered."""
    small = F.interpolate(mask.float()[:, None], size, mode="area")
    return (small >= _HALF).float()[:, :, None]


def read_region(region: Any, height: int, width: int) -> Tensor:
    """What a call was given as ``region`` -> (1, H, W), bool.

    Args:
        region: ``white``: everything; a PIL image of any size, fitted as photos are, brighter than half being inside;
            an array or tensor (H, W) or (1, H, W) of the picture's own size, bool or floats in [0, 1].
        height, width: of the picture.

    Raises:
        InputError: another kind or shape, values out of range, or an empty region.
    """
    if isinstance(region, str):
        if region != "white":
            raise InputError(f"region {region!r}: give a picture of the region, or white for no restriction.")
        return torch.ones(1, height, width, dtype=torch.bool)
    if isinstance(region, Image.Image):
        grey = fit_photo(region.convert("RGB"), height, width)[0].convert("L")
        mask = torch.from_numpy(np.asarray(grey).copy())[None] / 255
    elif isinstance(region, np.ndarray | Tensor):
        mask = _plain_mask(torch.as_tensor(np.asarray(region)), height, width)
    else:
        raise InputError(f"region is {a_kind(region)}: give a PIL image, an array (H, W), a tensor, or white.")
    inside = mask > _HALF
    if not inside.any():
        raise InputError("The region is empty: nothing could move. Paint white where the action happens.")
    return inside


def _plain_mask(mask: Tensor, height: int, width: int) -> Tensor:
    shape = tuple(mask.shape)
    if shape not in ((height, width), (1, height, width)):
        raise InputError(f"region has the shape {shape}: give ({height}, {width}), as the picture, or a PIL image.")
    mask = mask.reshape(1, height, width)
    if mask.dtype == torch.uint8:
        mask = mask / 255
    mask = mask.float()
    if not (torch.isfinite(mask).all() and mask.min() >= 0 and mask.max() <= 1):
        raise InputError("region has values outside of 0 to 1: give bool, uint8 of 0 to 255, or floats of 0 to 1.")
    return mask
