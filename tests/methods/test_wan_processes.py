"""Every method on Wan, in both forms, by one process and by two: replicas and shards train what one does."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from showme.experiment import train
from showme.run_folder import MODEL
from tests.blob_clips import clips
from tests.conversion.test_wan_folder import thin_model
from tests.methods.aid.test_wan import recipe as aid
from tests.methods.ivg.test_wan import recipe as ivg
from tests.methods.showme.test_fast import recipe as fast
from tests.methods.showme.test_wan import FRAMES
from tests.methods.showme.test_wan import recipe as showme
from tests.training_processes import last_weights, train_together

__all__ = ["clips"]
# Dropout draws in every process by itself.
_LORA = {"rank": 2, "dropout": 0.0}
# Name -> (model, clips, out, training) -> settings.
RUNS: dict[str, Callable] = {
    "state_image": lambda *given: showme("state_image", *given),
    "state_video": lambda *given: showme("state_video", *given),
    "fast": lambda *given: fast(*given, frames=FRAMES, bundle="thin"),
    "region": lambda *given: ivg("region", *given, adapter=_LORA),
    "video": lambda *given: ivg("video", *given, adapter=_LORA, region="truth"),
    "aid": lambda *given: aid(*given),
}
SOON = {("state_video", "in place"), ("region", "2.2"), ("aid", "2.1")}
ALL = [
    pytest.param(run, form, marks=() if (run, form) in SOON else pytest.mark.long)
    for run in RUNS
    for form in ("in place", "2.1", "2.2", "A14B")
    if (run, form) != ("aid", "A14B")
]


@pytest.mark.parametrize("how", ["replicas", "shards"])
@pytest.mark.parametrize(("run", "form"), ALL)
def test_two_processes_train_what_one_does(clips, tmp_path, run, form, how):
    base, training = thin_model(form, tmp_path / "wan", FRAMES), {"steps": 3, "batch_size": 4}
    # At higher rates AdamW makes whole steps of gradients that are rounding alone.
    training["optimizer"] = {"learning_rate": 1e-3}
    one, two = (RUNS[run](base, clips, tmp_path / name, training) for name in ("one", "two"))
    train(one)
    train_together(two, how)
    logs = [[json.loads(line) for line in (each.out / "log.jsonl").read_text().splitlines()] for each in (one, two)]
    for row, other in zip(*logs, strict=True):
        assert [other[term] for term in terms(row)] == pytest.approx([row[term] for term in terms(row)], abs=1e-4)
    ours, theirs = last_weights(two.out), last_weights(one.out)
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        # Of single ones AdamW's first steps have the sign of what rounding left.
        assert float((ours[key] - value).abs().mean()) < 2e-4, key
    assert (two.out / MODEL / "manifest.json").exists()


def terms(row: dict) -> list[str]:
    """Names of the losses in a line of a log."""
    return [name for name in ("noise", "consistency", "mask") if name in row]
