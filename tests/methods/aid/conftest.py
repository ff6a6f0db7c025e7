"""Settings of short runs of AID."""

from __future__ import annotations

import pytest

from showme.config import OptimizerConfig
from showme.methods.aid.config import AIDConfig
from showme.methods.recipes import parse_recipe


@pytest.fixture
def settings(tiny_bundle, clips, tmp_path):
    """settings(**changes) -> AIDConfig of a short run into tmp_path / aid."""

    def make(training=None, **changes) -> AIDConfig:
        trainer = {"steps": 3, "batch_size": 2, "precision": "fp32", "tensorboard": False} | (training or {})
        trainer.setdefault("optimizer", OptimizerConfig(learning_rate=0.01).model_dump())
        tree = {
            "method": "aid", "model": str(tiny_bundle), "out": str(tmp_path / "aid"), "validation": {"scenes": 0},
            "dqformer": {"channels": 16, "heads": 2}, "adapters": {"head_dim": 8},
            "cross_attention": {"train": "lora", "rank": 2},
            "data": {"source": str(clips), "cache": str(tmp_path / "cache"), "frames": 4}, "training": trainer,
        }  # fmt: skip
        return parse_recipe(tree | changes, [], "test.yaml")

    return make
