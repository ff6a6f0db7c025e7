"""What never changes about a clip, computed once: latents, tokens, labels, reward targets."""

from .build import build_parts, missing_shards
from .fingerprint import code_digest, weights_digest
from .parts import Part, PartReader

__all__ = ["Part", "PartReader", "build_parts", "code_digest", "missing_shards", "weights_digest"]
