"""What never changes about a clip, computed once: latents, tokens, labels, reward targets."""

from .build import build_parts, missing_shards
from .parts import Part, PartReader

__all__ = ["Part", "PartReader", "build_parts", "missing_shards"]
