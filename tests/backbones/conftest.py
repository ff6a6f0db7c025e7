"""Clips of blobs in a hand, for short runs of any method."""

from tests.blob_clips import clips

__all__ = ["clips"]
