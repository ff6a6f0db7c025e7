"""The files of an evaluation beside its JSON: tables, and the page to look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..perception import flow_estimator
from ..staged_files import staged
from .explain import explain
from .report import ReportClip, write_report
from .results import FILE, Result
from .runner import Evaluation
from .tables import as_csv, as_latex, as_text

CSV, LATEX = "result.csv", "result.tex"


@dataclass(frozen=True)
class Outputs:
    """Where they are. table: the figures as text."""

    json: Path
    csv: Path
    latex: Path
    page: Path
    table: str


def write_outputs(evaluation: Evaluation, result: Result) -> Outputs:
    """Write tables and page into the folder of an evaluation.

    Raises:
        InputError: the folder cannot be written to, or a clip that the page shows cannot be read.
    """
    folder = evaluation.request.out
    for name, text in ((CSV, as_csv(result)), (LATEX, as_latex(result))):
        try:
            with staged(folder / name) as path:
                path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(f"{folder / name} cannot be written ({error.strerror}): choose another --out.") from error
    page = write_report(folder, result, explain(evaluation.protocol), _Looker(evaluation), _flow())
    return Outputs(folder / FILE, folder / CSV, folder / LATEX, page, as_text(result))


class _Looker:
    """Id -> what the page shows of a clip."""

    def __init__(self, evaluation: Evaluation):
        self.evaluation = evaluation
        self.numbers = {record.id: number for number, record in enumerate(evaluation.records)}
        self.baselines = list(evaluation.baselines())

    def __call__(self, name: str) -> ReportClip:
        number, reference = self.numbers[name], self.evaluation.reference
        truth = reference.frames(number)
        return ReportClip(
            instruction=reference.records[number].instruction,
            generated=self._frames(self.evaluation.candidate, number, truth),
            reference=reference.compared(number),
            picture=self.evaluation.candidate.picture(number),
            baselines={each.name: self._frames(each, number, truth) for each in self.baselines},
        )

    def _frames(self, candidate, number: int, truth: np.ndarray) -> np.ndarray:
        from .pairs import shown

        return shown(candidate.frames(number, truth), truth, self.evaluation.protocol)


def _flow():
    """What draws the flow of a clip; None without OpenCV."""
    try:
        return flow_estimator("dis")
    except InputError:
        return None
