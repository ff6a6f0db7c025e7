"""Frozen eyes: what the methods need to know about pictures."""

from .choose import captioner, depth_eye, edge_eye, flow_eye, hand_eye

__all__ = ["captioner", "depth_eye", "edge_eye", "flow_eye", "hand_eye"]
