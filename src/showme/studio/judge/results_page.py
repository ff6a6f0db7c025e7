"""The page of a study's owner: figures of every question, as HTML text without scripts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from ...evaluation.report_style import render_page
from ...judging.results import QuestionResult, StudyResult, sentence
from ...judging.statistics import Preference

_WIDTH, _HEIGHT, _MIDDLE = 220, 30, 11
_HOW = (
    "A share counts ties as half. Its 95% interval is Wilson's, for so many answers as would spread as the clips do, "
    "because answers about one clip are not independent; each interval is 95% for itself. The p-value is the two-sided "
    "sign test's, which leaves ties out and takes every answer as independent: where clips are judged several times, "
    "go by the interval. Strengths are Bradley-Terry's, as log10 odds: 1 apart means ten to one. Agreement is "
    "Krippendorff's alpha: 1 for judges of one mind, 0 for chance. How many more answers are needed supposes that the "
    "share stays as it is."
)


def results_page(result: StudyResult, links: Mapping[str, str]) -> str:
    """The page as HTML text.

    Args:
        result: what the study has found.
        links: label -> address of the same as files; both are escaped here.
    """
    shown = " · ".join(f'<a href="{escape(address)}">{escape(label)}</a>' for label, address in links.items())
    body = f"""<p>{escape(_so_far(result))}</p>
<p class="under">{shown}</p>
{"".join(_question(each) for each in result.questions)}
<h2>How to read this</h2>
<p class="soft">{escape(_HOW)}</p>"""
    return render_page(result.title, body)


def _so_far(result: StudyResult) -> str:
    judges = "1 judge has" if result.judges == 1 else f"{result.judges} judges have"
    if not result.judgements:
        return f"Nobody has judged yet. There are {result.pairs} pairs."
    return (
        f"{judges} judged {result.judgements} times; {result.judged} of {result.pairs} pairs were judged at least "
        "once. Load the page again for what has come since."
    )


def _question(result: QuestionResult) -> str:
    if not result.preferences:
        return f"<h2>{escape(result.question.text)}</h2>\n<p>No answers yet.</p>\n"
    said = [f'<bdi class="words">{escape(sentence(each))}</bdi>' for each in result.preferences]
    words = f"<ul>{''.join(f'<li>{each}</li>' for each in said)}</ul>" if len(said) > 1 else f"<p>{said[0]}</p>"
    rows = "".join(_row(each) for each in result.preferences)
    alpha = "not known: no pair was judged twice, or all answers are one"
    if result.agreement is not None:
        alpha = f"{result.agreement:.2f}"
    return f"""<h2>{escape(result.question.text)}</h2>
{words}
<div class="card clip">
<p class="swipe soft">Swipe the table sideways for all columns.</p>
<div class="scroll" role="region" tabindex="0" aria-label="Figures: {escape(result.question.text)}">
<table class="figures">
<thead><tr><th>first and second</th><th class="number">for the first</th><th class="number">for the second</th>
<th class="number">ties</th><th>share of the first</th><th class="number">95% interval</th>
<th class="number">p, sign test</th><th class="number">more answers needed</th></tr></thead>
<tbody>{rows}</tbody></table></div>
<p class="soft under">{_strengths(result.strengths)}Agreement between judges: {alpha}.</p>
</div>
"""


def _row(each: Preference) -> str:
    more = "no number" if each.more is None else "none" if each.more == 0 else f"{each.more:,}"
    numbers = (
        f'<td class="number">{each.wins}</td><td class="number">{each.losses}</td><td class="number">{each.ties}</td>'
    )
    names = f"<bdi>{escape(each.first)}</bdi> and <bdi>{escape(each.second)}</bdi>"
    return (
        f"<tr><th>{names}</th>{numbers}<td>{_bar(each)}</td>"
        f'<td class="number">{each.low:.1%} to {each.high:.1%}</td>'
        f'<td class="number">{_p(each.p_value)}</td><td class="number">{more}</td></tr>'
    )


def _bar(each: Preference) -> str:
    """The share as a dot on a line from 0 to 1, its interval as a band, and a half as a dashed line."""
    words = f"{each.share:.1%}, 95% interval {each.low:.1%} to {each.high:.1%}"
    low, high, at, half = (f"{6 + (_WIDTH - 12) * value:.1f}" for value in (each.low, each.high, each.share, 0.5))
    return f"""<svg class="plot" style="min-width:170px;max-width:{_WIDTH}px;margin:0" viewBox="0 0 {_WIDTH} {_HEIGHT}"
role="img" aria-label="{words}"><line class="axis" x1="6" x2="{_WIDTH - 6}" y1="{_MIDDLE}" y2="{_MIDDLE}"/>
<rect class="band" x="{low}" y="{_MIDDLE - 6}" width="{float(high) - float(low):.1f}" height="12" rx="3"/>
<line class="mean" x1="{half}" x2="{half}" y1="1" y2="{2 * _MIDDLE - 1}"/>
<circle class="dot" cx="{at}" cy="{_MIDDLE}" r="4.5"/>
<text x="{at}" y="{_HEIGHT - 1}" text-anchor="{_anchor(each.share)}">{each.share:.1%}</text></svg>"""


def _anchor(share: float) -> str:
    return "start" if share < 0.1 else "end" if share > 0.9 else "middle"


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def _strengths(strengths: Mapping[str, float] | None) -> str:
    if strengths is None:
        return "Strengths have no bound yet: some candidate has won or lost everything, or was not compared. "
    best = sorted(strengths.items(), key=lambda item: -item[1])
    return f"Strengths: {', '.join(f'<bdi>{escape(name)}</bdi> {value:+.2f}' for name, value in best)}. "
