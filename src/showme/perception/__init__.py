"""Frozen eyes: what the methods need to know about pictures."""

from .choose import captioner, clip_eye, depth_eye, dino_eye, edge_eye, flow_eye, hand_eye

__all__ = ["captioner", "clip_eye", "depth_eye", "dino_eye", "edge_eye", "flow_eye", "hand_eye"]
