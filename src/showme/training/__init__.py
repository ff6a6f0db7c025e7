"""Training machinery that knows no paper."""

from .loop import Stage, run_stage

__all__ = ["Stage", "run_stage"]
