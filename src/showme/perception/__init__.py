"""Frozen eyes: what the methods need to know about pictures."""

from .choose import depth_eye, edge_eye, flow_eye

__all__ = ["depth_eye", "edge_eye", "flow_eye"]
