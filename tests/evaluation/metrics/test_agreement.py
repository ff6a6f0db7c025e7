"""Agreement of picture and video, against scikit-learn's mean squared error."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from showme.evaluation.metrics.agreement import PictureVideoAgreement
from showme.evaluation.metrics.base import Pairs


def pairs_of(clips: torch.Tensor, pictures: torch.Tensor | None) -> Pairs:
    names = [str(index) for index in range(len(clips))]
    return Pairs(clips, torch.zeros_like(clips), names, names, pictures)


def random_levels(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape).float() / 255


def test_psnr_of_the_last_frame_alone():
    from sklearn.metrics import mean_squared_error

    torch.manual_seed(0)
    clips, pictures = random_levels(64, 3, 3, 8, 8), random_levels(64, 3, 8, 8)
    last, levels = ((255 * each.double().numpy()).round() for each in (clips[:, -1], pictures))
    errors = np.array([mean_squared_error(a.ravel(), b.ravel()) for a, b in zip(last, levels, strict=True)])
    values = PictureVideoAgreement().score(pairs_of(clips, pictures))
    np.testing.assert_allclose(values.numpy(), 20 * np.log10(255) - 10 * np.log10(errors), rtol=1e-12)


def test_equal_pictures_agree_to_100_db_and_no_pictures_to_nothing():
    clips = random_levels(2, 3, 3, 8, 8)
    assert PictureVideoAgreement().score(pairs_of(clips, clips[:, -1])).tolist() == [100.0, 100.0]
    metric = PictureVideoAgreement()
    metric.update(pairs_of(clips, None))
    assert metric.compute().isnan()
    assert metric.coverage == 0


def test_pictures_of_another_size_are_refused():
    clips = random_levels(2, 3, 3, 8, 8)
    with pytest.raises(ValueError, match="pictures"):
        PictureVideoAgreement().score(pairs_of(clips, random_levels(2, 3, 4, 8)))


def test_merged_is_all_at_once_in_any_order():
    torch.manual_seed(0)
    batches = [pairs_of(random_levels(2, 2, 3, 8, 8), random_levels(2, 3, 8, 8)) for _ in range(3)]
    whole, first, second = (PictureVideoAgreement() for _ in range(3))
    for index, batch in enumerate(batches):
        whole.update(batch)
        (first if index else second).update(batch)
    first.merge_state(second)
    torch.testing.assert_close(first.compute(), whole.compute(), rtol=1e-12, atol=0)
