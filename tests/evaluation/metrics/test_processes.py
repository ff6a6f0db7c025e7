"""Metrics of clips that several processes share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed
import torch.multiprocessing

from showme.evaluation.metrics.psnr import PeakSignalToNoiseRatio

VALUES = [[10.0, 20.0, 40.0], []]


def _judge(rank: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=len(VALUES))
    metric = PeakSignalToNoiseRatio()
    for value in VALUES[rank]:
        metric.update(torch.tensor([value]))
    torch.save(metric.compute(), Path(folder) / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_a_process_without_clips_has_the_mean_of_all(tmp_path):
    torch.multiprocessing.spawn(_judge, (str(tmp_path),), nprocs=len(VALUES))
    means = [float(torch.load(tmp_path / f"{rank}.pt", weights_only=True)) for rank in range(len(VALUES))]
    assert means == [pytest.approx(70 / 3)] * 2


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_without_clips_there_is_no_value():
    assert PeakSignalToNoiseRatio().compute().isnan()
