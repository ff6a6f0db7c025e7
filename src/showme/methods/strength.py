"""How far trained adapters move the network's prediction, by level: an adapter that does nothing is seen at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from ..data.stream import to_device
from .objective import BackboneObjective

# Shares of the levels that training draws, from the least noisy to the noisiest.
_SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
_SAMPLES = 4
# Below it nothing can be seen in a picture.
NOTHING = 1e-4


@dataclass(frozen=True)
class Strength:
    """How far the adapters move the prediction at one level of noise.

    Attributes:
        log_snr: of the level, ln(signal power / noise power).
        moved: || e_with - e_without || / || e_without ||, mean over samples.
    """

    log_snr: float
    moved: float


@torch.no_grad()
def adapter_strength(objective: BackboneObjective, samples: Dataset, narrow: bool = False) -> list[Strength]:
    """The strength of what is trained on the first samples, at five levels; none where no adapter is trained.

    Args:
        objective: in evaluation mode.
        samples: position -> dict of tensors, one by one.
        narrow: whether the network is run under bf16 autocast.
    """
    if not objective.adapts:
        return []
    path, device = objective.backbone.path, objective.backbone.device
    batches = [to_device(default_collate([samples[position]]), device) for position in range(_SAMPLES)]
    strengths = []
    for share in _SHARES:
        level = path.draw(torch.tensor([share], dtype=torch.float64)).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=narrow):
            moved = [_moved(objective, {**batch, "level": level}) for batch in batches]
        strengths.append(Strength(float(path.log_snr(level)), sum(moved) / len(moved)))
    return strengths


def _moved(objective: BackboneObjective, batch: dict[str, Tensor]) -> float:
    with_them = objective.step(batch).prediction.float()
    with objective.unadapted():
        without = objective.step(batch).prediction.float()
    return float((with_them - without).norm() / without.norm().clamp_min(1e-12))
