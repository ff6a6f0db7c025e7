"""Photos are told apart from a rendered world by their statistics."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from showme.generation.familiarity import fit_familiarity, image_features, is_unfamiliar, unfamiliarity
from showme.pictures.fit import fit_photo

ROOT = Path(__file__).parents[2]
PHOTOS = Path(os.environ.get("SHOWME_DATA_DIR", ROOT.parent / "shared" / "data")) / "bridge_v2_teaser"


def rendered(seed: int) -> Image.Image:
    """A smooth table with shaded shapes, as a renderer draws them."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(-1, 1, 128), np.linspace(-1, 1, 128))
    table = rng.uniform(0.4, 0.8, 3)[None, None] * (1 + 0.1 * rng.normal() * x + 0.1 * rng.normal() * y)[..., None]
    image = Image.fromarray((np.clip(table, 0, 1) * 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(2, 6)):
        left, top = rng.uniform(5, 90, 2)
        box = (left, top, left + rng.uniform(12, 35), top + rng.uniform(12, 35))
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape(box, fill=tuple(rng.integers(20, 255, 3).tolist()))
    return image


@pytest.fixture(scope="module")
def stats():
    return fit_familiarity(np.array([image_features(rendered(seed)) for seed in range(400)]))


def test_statistics_survive_json_and_new_pictures_of_the_world_are_familiar(stats):
    stats = json.loads(json.dumps(stats))
    strange = [is_unfamiliar(rendered(seed), stats) for seed in range(1000, 1200)]
    assert np.mean(strange) < 0.04


def test_noise_is_unfamiliar(stats):
    assert is_unfamiliar(Image.effect_noise((128, 128), 60).convert("RGB"), stats)


def test_real_photos_are_unfamiliar(stats):
    videos = sorted(PHOTOS.glob("*.mp4"))
    if not videos:
        pytest.skip(f"no photos in {PHOTOS} (set SHOWME_DATA_DIR)")
    import av

    for video in videos:
        with av.open(str(video)) as container:
            frame = next(container.decode(video=0)).to_image()
        assert is_unfamiliar(fit_photo(frame, 128, 128)[0], stats), video.name


def test_a_model_without_statistics_knows_any_photo():
    assert not is_unfamiliar(Image.new("RGB", (64, 64)), None)


def test_the_distance_is_mahalanobis():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(3, 3)) + 2 * np.eye(3)
    stats = fit_familiarity(rng.normal(size=(4000, 3)) @ mixing + 5)
    # A point two standard deviations out along one latent axis lies two away.
    assert unfamiliarity(np.array([2.0, 0, 0]) @ mixing + 5, stats) == pytest.approx(2, rel=0.1)


def test_too_few_pictures_are_refused():
    with pytest.raises(ValueError, match="too few"):
        fit_familiarity(np.zeros((5, 10)))
