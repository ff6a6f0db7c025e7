"""Curation: scores of clips, rules that keep or drop them, and a page to look at what the rules did."""

from .rules import RULES, Measure, Rule, Verdict, apply
from .scores import (
    FRAME_NUMBERS,
    ChangeScores,
    GoalScores,
    HandScores,
    MotionScores,
    Scorer,
    Scores,
    frame_numbers,
)
from .sheet import Sheet, SheetClip, render_sheet, write_sheet

__all__ = [
    "FRAME_NUMBERS",
    "RULES",
    "ChangeScores",
    "GoalScores",
    "HandScores",
    "Measure",
    "MotionScores",
    "Rule",
    "Scorer",
    "Scores",
    "Sheet",
    "SheetClip",
    "Verdict",
    "apply",
    "frame_numbers",
    "render_sheet",
    "write_sheet",
]
