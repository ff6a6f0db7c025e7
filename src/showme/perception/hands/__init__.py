"""Hands: where they are and where their joints are, by MediaPipe's networks (arXiv 2006.10214), in PyTorch or its own.

``TorchHands`` runs the official TensorFlow Lite files in PyTorch; ``HandLandmarks`` inside it has a gradient with
respect to pixels. ``MediapipeHands`` asks MediaPipe itself.
"""

from .detector import Hand, TorchHands
from .landmarks import HandLandmarks
from .mediapipe_tasks import MediapipeHands
from .model_file import hand_model_file
from .palms import PalmDetector

__all__ = ["Hand", "HandLandmarks", "MediapipeHands", "PalmDetector", "TorchHands", "hand_model_file"]
