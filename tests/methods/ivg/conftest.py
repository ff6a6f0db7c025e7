"""Settings of short runs of IVG's stages."""

from __future__ import annotations

import pytest

from showme.config import OptimizerConfig
from showme.methods.ivg.config import IVGConfig
from showme.methods.recipes import parse_recipe


@pytest.fixture
def settings(tiny_bundle, clips, tmp_path):
    """settings(stage, **changes) -> IVGConfig of a short run into tmp_path / stage."""

    def make(stage: str, training=None, **changes) -> IVGConfig:
        trainer = {"steps": 3, "batch_size": 2, "precision": "fp32", "tensorboard": False} | (training or {})
        trainer.setdefault("optimizer", OptimizerConfig(learning_rate=0.01).model_dump())
        tree = {
            "method": "ivg", "stage": stage, "model": str(tiny_bundle), "out": str(tmp_path / stage),
            "validation": {"scenes": 0}, "adapter": {"rank": 2}, "estimators": {"hands": "rendered"},
            "data": {"source": str(clips), "cache": str(tmp_path / "cache"), "frames": 4}, "training": trainer,
        }  # fmt: skip
        return parse_recipe(tree | changes, [], "test.yaml")

    return make
