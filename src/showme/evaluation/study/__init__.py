"""Studies: the tables of a paper from one YAML, rows x seeds, trained, judged and set side by side."""

from .config import RowConfig, StudyConfig, TrainingStep
from .run import run_study
from .writers import Written

__all__ = ["RowConfig", "StudyConfig", "TrainingStep", "Written", "run_study"]
