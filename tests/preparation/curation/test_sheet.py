"""The curation's page: read back by a parser, its counts against numpy's, its pictures against what went in."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from showme.preparation.curation import RULES, Measure, Sheet, SheetClip, Verdict, apply, render_sheet, write_sheet

from ...pages import Page


def _clip(instruction: str = "open the jar", size: tuple[int, int] = (40, 60)) -> SheetClip:
    frames = np.stack([np.full((*size, 3), 20 * t, np.uint8) for t in range(12)])
    return SheetClip(instruction, frames, list(range(0, 24, 2)))


def _motion_sheet(motions, minimum: int = 50) -> Sheet:
    rule = RULES["handi_motion"](minimum=minimum)
    clips = {f"clip-{number}": {"motion": np.float32(motion)} for number, motion in enumerate(motions)}
    return Sheet("motion of all clips", {"kind": "handi_motion"}, apply(rule, clips), rule.measures([*clips.values()]))


def test_clips_are_counted_by_cause():
    verdicts = {"a": ("goal seen", True), "b": ("goal not seen", False), "c": ("goal not seen", False)}
    verdicts = {name: Verdict(kept, cause, f"Because of {name}.") for name, (cause, kept) in verdicts.items()}
    page = Page(render_sheet(Sheet("three", {}, verdicts, []), lambda name: _clip()))
    cells = page.inside("td")
    assert cells == ["goal seen", "1", "33.3%", "goal not seen", "2", "66.7%"]
    assert "1 of 3 clips are kept, 2 dropped." in page.inside("p")


def test_the_histogram_counts_every_clip_on_its_side_of_the_threshold():
    motions = np.random.default_rng(0).integers(10, 120, 500)
    page = render_sheet(_motion_sheet(motions), lambda name: _clip(), bound=2)
    bars = re.findall(
        r'<rect class="fill-(\w+)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"><title>(\d+)', page
    )
    threshold = float(re.search(r'class="bound" x1="([\d.]+)"', page)[1])
    for word, kept in (("kept", motions >= 50), ("dropped", motions < 50)):
        mine = [bar for bar in bars if bar[0] == word]
        assert sum(int(bar[-1]) for bar in mine) == kept.sum()
        for _, x, _, width, _, _ in mine:
            middle = float(x) + float(width) / 2
            assert (middle > threshold) == (word == "kept")
    heights = np.array([float(bar[4]) for bar in bars])
    counts = np.array([int(bar[5]) for bar in bars])
    np.testing.assert_allclose(heights / counts, heights[0] / counts[0], rtol=0.02)
    assert '<text class="at"' in page
    assert ">50</text>" in page


def test_nothing_below_zero_is_shown_of_what_never_is():
    verdicts = {str(number): Verdict(True, "kept", "It is kept.") for number in range(3)}
    sheet = Sheet("shares", {}, verdicts, [Measure("share", np.array([0, 0.5, 1], np.float32), (0.5,))])
    page = render_sheet(sheet, lambda name: _clip())
    assert re.search(r'<text x="0" y="\d+">([^<]+)<', page)[1] == "0"
    assert sum(map(int, re.findall(r"<title>(\d+) kept", page))) == 3


@pytest.mark.parametrize(
    ("values", "bounds", "words"),
    [
        ([3.0, 3.0], (), "The highest bar is 2 of 2 clips."),
        ([0.0, 0.0], (0.0,), "The highest bar is 2 of 2 clips."),
        ([1.0, np.nan], (0.5,), "The highest bar is 1 of 2 clips. 1 clips have no number."),
        ([np.nan, np.nan], (), "No numbers. 2 clips have no number."),
        ([1e30, -1e30], (0.81, 0.97), "The highest bar is 1 of 2 clips."),
    ],
)
def test_odd_values_are_drawn(values, bounds, words):
    verdicts = {str(number): Verdict(True, "kept", "It is kept.") for number in range(2)}
    sheet = Sheet("odd", {}, verdicts, [Measure("score", np.array(values, np.float32), bounds)])
    page = render_sheet(sheet, lambda name: _clip())
    assert words in page
    assert "nan" not in re.search("<svg.*</svg>|^", page, re.DOTALL)[0]


def test_a_bounded_number_of_clips_is_decoded_sorted_and_evenly_spread():
    motions = np.random.default_rng(1).permutation(np.arange(1, 101))
    looked = []

    def look(name):
        looked.append(int(motions[int(name.removeprefix("clip-"))]))
        return _clip()

    page = Page(render_sheet(_motion_sheet(motions, 91), look, bound=20))
    assert len(page.all("article")) == len(looked) == 20
    dropped, kept = looked[:10], looked[10:]
    assert dropped == np.linspace(1, 90, 10).round().astype(int).tolist()
    assert kept == list(range(91, 101))
    # Where there are few of one kind, more of the other are shown.
    looked.clear()
    render_sheet(_motion_sheet(motions, 99), look, bound=20)
    assert len(looked) == 20
    assert looked[18:] == [99, 100]


_SENTENCES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "افتح البرطمان & ضعه",
    "把罐子推到右边",
    "\u202edne eht morf daer",
    "it's &lt;b&gt; as written",
    "x" * 2000,
]


@pytest.mark.parametrize("sentence", _SENTENCES)
def test_any_text_is_shown_as_it_is_and_runs_nothing(sentence):
    verdicts = {sentence: Verdict(False, sentence, sentence)}
    sheet = Sheet(sentence, {sentence: sentence}, verdicts, [Measure(sentence, np.array([0.5], np.float32), (0.1,))])
    page = Page(render_sheet(sheet, lambda name: _clip(sentence)))
    assert not page.all("script")
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert page.inside("h1")[0] == sentence
    instruction = [attributes for attributes in page.all("bdi") if attributes.get("class") == "words"]
    assert instruction == [{"class": "words", "dir": "auto"}]
    assert page.inside("bdi").count(sentence) == 2


def test_the_page_needs_nothing_else():
    page = render_sheet(_motion_sheet([10, 90]), lambda name: _clip())
    assert not re.search(r"https?:|url\(|@import|<link", page)
    assert "prefers-color-scheme: dark" in page


def test_the_strip_shows_the_clip_with_its_end_marked():
    verdicts = {"a": Verdict(True, "goal seen", "The goal is seen best in frame 16.", 16)}
    page = Page(render_sheet(Sheet("one", {}, verdicts, []), lambda name: _clip(size=(400, 600))))
    images, figures = page.all("img"), page.all("figure")
    numbers = [int(image["alt"].removeprefix("frame ")) for image in images]
    assert numbers == [0, 4, 8, 14, 16, 18, 22]
    assert [figure.get("class") for figure in figures] == [None] * 4 + ["end-kept", "after", "after"]
    for number, image in zip(numbers, images, strict=True):
        data = base64.b64decode(image["src"].split(",")[1])
        picture = Image.open(io.BytesIO(data))
        assert picture.size == (240, 160) == (int(image["width"]), int(image["height"]))
        assert abs(np.asarray(picture).mean() - 10 * number) < 2
    dropped = {"a": Verdict(False, "goal too early", "The goal is seen best in frame 2.", 2)}
    page = Page(render_sheet(Sheet("one", {}, dropped, []), lambda name: _clip()))
    assert [figure.get("class") for figure in page.all("figure")].count("end-dropped") == 1
    assert not any(figure.get("class") == "after" for figure in page.all("figure"))


def test_no_clips_make_a_page():
    rule = RULES["motion_intensive"]()
    page = Page(render_sheet(Sheet("none", {}, {}, rule.measures([])), lambda name: _clip()))
    assert "0 of 0 clips are kept, 0 dropped." in page.inside("p")


def test_the_page_is_written_whole_even_with_half_a_character(tmp_path):
    verdicts = {"a": Verdict(True, "kept", "It is kept.")}
    page = render_sheet(Sheet("half", {}, verdicts, []), lambda name: _clip("half \ud83d of it"))
    write_sheet(tmp_path / "new" / "sheet.html", page)
    written = (tmp_path / "new" / "sheet.html").read_text(encoding="utf-8")
    assert "half ? of it" in written
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["sheet.html"]
