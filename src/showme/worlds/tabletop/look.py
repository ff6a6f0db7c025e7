"""Sampling what a scene looks like: table, light, skin, sleeve, camera."""

import numpy as np

from showme.worlds.tabletop.geometry import unit
from showme.worlds.tabletop.scene import Look, Triple

# Muted, so that the saturated objects stand out on every table.
_TABLES = (
    (0.70, 0.56, 0.42),
    (0.52, 0.40, 0.31),
    (0.78, 0.70, 0.60),
    (0.45, 0.48, 0.52),
    (0.62, 0.66, 0.66),
    (0.50, 0.55, 0.47),
    (0.36, 0.34, 0.36),
    (0.60, 0.52, 0.54),
)
_BACKGROUNDS = (
    (0.80, 0.82, 0.84),
    (0.58, 0.62, 0.66),
    (0.86, 0.82, 0.76),
    (0.42, 0.46, 0.50),
    (0.70, 0.74, 0.68),
    (0.66, 0.58, 0.54),
)
_SKINS = (
    (0.96, 0.79, 0.67),
    (0.90, 0.69, 0.55),
    (0.79, 0.57, 0.42),
    (0.62, 0.42, 0.30),
    (0.45, 0.29, 0.20),
)
_SLEEVES = (
    (0.18, 0.20, 0.24),
    (0.22, 0.28, 0.42),
    (0.25, 0.36, 0.30),
    (0.46, 0.20, 0.24),
    (0.44, 0.46, 0.48),
    (0.56, 0.50, 0.40),
    (0.36, 0.30, 0.42),
)


def sample_look(rng: np.random.Generator) -> Look:
    """A random appearance."""
    table = np.array(_TABLES[rng.integers(len(_TABLES))]) + rng.uniform(-0.03, 0.03)
    stripes = int(rng.choice([0, 0, 2, 3]))
    stripe = np.clip(table + rng.choice([-0.05, 0.05]), 0, 1)
    angle = rng.uniform(0.15 * np.pi, 0.85 * np.pi)
    slant = rng.uniform(0.35, 0.6)
    light = unit([-slant * np.cos(angle), -slant * np.sin(angle), -1.0])
    return Look(
        table=_triple(table),
        stripe=_triple(stripe),
        stripes=stripes,
        background=_BACKGROUNDS[rng.integers(len(_BACKGROUNDS))],
        skin=_SKINS[rng.integers(len(_SKINS))],
        sleeve=_SLEEVES[rng.integers(len(_SLEEVES))],
        light=_triple(light),
        camera_shift=_triple(rng.uniform(-1, 1, 3) * (0.025, 0.02, 0.02)),
        camera_aim=(round(rng.uniform(-0.012, 0.012), 4), round(rng.uniform(0.025, 0.045), 4)),
    )


def _triple(values) -> Triple:
    x, y, z = (round(float(value), 4) for value in values)
    return x, y, z
