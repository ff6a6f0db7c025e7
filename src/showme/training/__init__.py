"""Training machinery that knows no paper."""

from .trainer import CHECKPOINTS, Trainer

__all__ = ["CHECKPOINTS", "Trainer"]
