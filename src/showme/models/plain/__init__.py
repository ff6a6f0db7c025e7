"""What a bundle needs of diffusers and transformers to make a picture, in torch alone.

Those libraries take more seconds to import than torch and the model together take to run. Here stand the few classes
of theirs that the embedded model uses, for inference: the same parameter names, the same operations in the same order
and so the same bits (tests/models/plain compares them on random weights).
"""

from .autoencoder import PlainAutoencoder
from .clip import PlainTextEncoder, PlainVisionEncoder
from .ddim import DDIMScheduler

__all__ = ["DDIMScheduler", "PlainAutoencoder", "PlainTextEncoder", "PlainVisionEncoder"]
