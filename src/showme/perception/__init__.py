"""Frozen estimators: what the methods need to know about pictures."""

from .choose import (
    captioner,
    clip_similarity,
    depth_estimator,
    dino_similarity,
    edge_estimator,
    flow_estimator,
    hand_estimator,
    hand_landmarks,
)

__all__ = [
    "captioner",
    "clip_similarity",
    "depth_estimator",
    "dino_similarity",
    "edge_estimator",
    "flow_estimator",
    "hand_estimator",
    "hand_landmarks",
]
