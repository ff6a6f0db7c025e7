"""Is a photo from the world that a model was trained on? Judged from cheap statistics of its pixels.

A small model trained on one world answers any photo, but only photos of that world well. Thirty-odd numbers per picture
(colour, contrast, the spectrum of its gradients, edges, coarse layout) and their Mahalanobis distance from the training
pictures tell a rendered table from a kitchen with no network at all.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image

QUANTILE = 0.995
_SIDE = 128
_OCTAVES = 5
_RIDGE = 1e-2
# Where all training pictures agree (a rendered sky has no noise), a hair's breadth is still no evidence.
_SMALLEST_SPREAD = 0.03


def image_features(image: Image.Image) -> np.ndarray:
    """Statistics (D,) of a picture at the model's size; the same photo at another size gives nearly the same.

    Args:
        image: RGB, as the model will see it.
    """
    if image.size != (_SIDE, _SIDE):
        image = image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    rgb = np.asarray(image.convert("RGB"), dtype=np.float64) / 255
    luma = rgb @ (0.299, 0.587, 0.114)
    chroma = np.stack([rgb[..., 0] - rgb[..., 1], (rgb[..., 0] + rgb[..., 1]) / 2 - rgb[..., 2]], axis=-1)
    colours = [_moments(channel) for channel in (luma, chroma[..., 0], chroma[..., 1])]
    return np.concatenate([*colours, _octaves(luma), _edges(luma), _layout(luma)])


def fit_familiarity(features: np.ndarray) -> dict[str, Any]:
    """Statistics of training pictures, as JSON-ready numbers.

    Args:
        features: (N, D) rows of :func:`image_features`, N > D.

    Returns:
        ``mean`` and ``scale`` (D), ``precision`` (D, D) of the standardised features, and ``threshold``, the 99.5%
        quantile of the training pictures' own distances.

    Raises:
        ValueError: fewer pictures than features.
    """
    features = np.asarray(features, dtype=np.float64)
    count, dim = features.shape
    if count <= dim:
        raise ValueError(f"{count} pictures are too few for {dim} statistics: take ten times as many.")
    mean, scale = features.mean(0), np.maximum(features.std(0), _SMALLEST_SPREAD)
    covariance = np.cov((features - mean) / scale, rowvar=False) + _RIDGE * np.eye(dim)
    stats: dict[str, Any] = {
        "mean": _rounded(mean),
        "scale": _rounded(scale),
        "precision": _rounded(np.linalg.inv(covariance)),
    }
    distances = [unfamiliarity(row, stats) for row in features]
    return {**stats, "threshold": float(np.quantile(distances, QUANTILE))}


def unfamiliarity(features: np.ndarray, stats: dict[str, Any]) -> float:
    """Mahalanobis distance of one picture's features (D,) from the training pictures."""
    z = (np.asarray(features) - np.asarray(stats["mean"])) / np.asarray(stats["scale"])
    return float(np.sqrt(max(z @ np.asarray(stats["precision"]) @ z, 0.0)))


def is_unfamiliar(image: Image.Image, stats: dict[str, Any] | None) -> bool:
    """Whether a picture lies farther out than 99.5% of the training pictures; never for a model without statistics."""
    return stats is not None and unfamiliarity(image_features(image), stats) > stats["threshold"]


def _rounded(values: np.ndarray) -> list:
    """Six digits are plenty, and keep the bundle's description short."""
    return np.vectorize(lambda value: float(f"{value:.6g}"))(values).tolist()


def _moments(channel: np.ndarray) -> np.ndarray:
    """Mean, spread, and the 5% and 95% quantiles of one channel."""
    return np.array([channel.mean(), channel.std(), *np.quantile(channel, (0.05, 0.95))])


def _octaves(luma: np.ndarray) -> np.ndarray:
    """Log energy of the detail in each octave, from pixel to pixel up to blocks of 2**(octaves - 1)."""
    energies = []
    for _ in range(_OCTAVES):
        across, down = np.diff(luma, axis=1), np.diff(luma, axis=0)
        energies.append((across**2).mean() + (down**2).mean())
        luma = (luma[::2, ::2] + luma[1::2, ::2] + luma[::2, 1::2] + luma[1::2, 1::2]) / 4
    return np.log(np.array(energies) + 1e-7)


def _edges(luma: np.ndarray) -> np.ndarray:
    """Share of pixels on weak, middling and strong edges, as logs."""
    size = np.hypot(np.diff(luma, axis=1)[:-1], np.diff(luma, axis=0)[:, :-1])
    return np.log(np.array([(size > limit).mean() for limit in (0.02, 0.06, 0.18)]) + 1e-3)


def _layout(luma: np.ndarray) -> np.ndarray:
    """Mean brightness and roughness of a 3x3 grid of fields."""
    edges = np.linspace(0, luma.shape[0], 4).astype(int)
    fields = [luma[top:bottom, left:right] for top, bottom in pairwise(edges) for left, right in pairwise(edges)]
    rough = [np.log(np.abs(np.diff(field, axis=1)).mean() + 1e-3) for field in fields]
    return np.array([field.mean() for field in fields] + rough)
