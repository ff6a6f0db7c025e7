"""Recipes on the tiny model, and looks at them that several tests share."""

from __future__ import annotations

from typing import Any

import pytest

from showme.forecast.run import Looker
from showme.forecast.shapes import read_model
from showme.methods.recipes import parse_recipe
from showme.run_config import RunConfig
from tests.conftest import TINY_FRAMES


def recipe(model: object, *words: str, **fields: Any) -> RunConfig:
    """Settings of a run of ShowMe's second stage, or as ``fields`` say, on clips that are nowhere."""
    tree = {
        "stage": "state_video", "model": str(model), "out": "nowhere", "fresh": True,
        "data": {"source": "nowhere", "frames": TINY_FRAMES}, "validation": {"scenes": 0},
        "training": {"steps": 1, "batch_size": 4},
    }  # fmt: skip
    return parse_recipe(tree | fields, words, "a recipe")


@pytest.fixture(scope="session")
def looker(tiny_bundle) -> Looker:
    return Looker(read_model(str(tiny_bundle)))
