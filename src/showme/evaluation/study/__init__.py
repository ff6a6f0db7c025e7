"""Studies: the tables of a paper from one YAML, rows x seeds, trained, judged and set side by side.

:func:`showme.evaluation.study.run.run_study` runs one; settings are read without what that needs.
"""

from .config import RowConfig, StudyConfig, TrainingStep

__all__ = ["RowConfig", "StudyConfig", "TrainingStep"]
