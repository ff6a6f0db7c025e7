"""The paper's table: several models side by side, where they may be, with differences inside the noise marked."""

from .comparison import Cell, Comparison, Row, compare
from .writers import comparison_csv, comparison_html, comparison_latex, comparison_text

__all__ = [
    "Cell",
    "Comparison",
    "Row",
    "compare",
    "comparison_csv",
    "comparison_html",
    "comparison_latex",
    "comparison_text",
]
