"""The judging page in a real browser: ten pairs by keyboard, two judges at once, text as text, and WCAG by axe."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from showme.judging import AnswerStore, Question, open_study
from showme.studio.judge.begin import StudyRequest, begin_study
from showme.studio.judge.clips import clip_name
from showme.studio.judge.secret import load_secret

from .conftest import COUNT, MARKUP, TITLE, served, write_candidates

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="accessibility is judged by axe")
pytest.importorskip("gradio", reason="the page needs gradio")

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 400, "height": 860}


@pytest.fixture(scope="module")
def study(folder, tmp_path_factory) -> Iterator[tuple[Path, str, str]]:
    """Its folder, and the links of judges and owner while it is served."""
    from fastapi import FastAPI

    from showme.studio.judge.routes import links, mount

    copy, app = shutil.copytree(folder, tmp_path_factory.mktemp("browser") / "copy"), FastAPI()
    mount(app, copy)
    with served(app) as address:
        shown = links(copy, f"{address}/judge")
        yield copy, shown.judge, shown.results


def opened(browser, link: str, **settings):
    """The page of a new judge, and what went wrong on it."""
    page = browser.new_context(**settings).new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: wrong.append(request.url) if "//127.0.0.1" not in request.url else None)
    page.goto(link)
    return page, wrong


def next_pair(page, number: int) -> None:
    """Wait for it, by its number."""
    page.locator(".done h2", has_text=re.compile(rf"^{number} of {COUNT}$")).wait_for()


def violations(page, rules: set[str]) -> list[str]:
    """Serious and critical ones; the names of all rules that ran are added to ``rules``."""
    found = axe.Axe().run(page).response
    for kind in ("passes", "violations", "incomplete", "inapplicable"):
        rules |= {rule["id"] for rule in found[kind]}
    return [
        f"{each['id']}: {node['html'][:120]} {node['failureSummary']}"
        for each in found["violations"] if each["impact"] in ("serious", "critical") for node in each["nodes"]
    ]  # fmt: skip


def choose(page, question: int, presses: int) -> None:
    """By keyboard: the first choice of a question, then so many to the right."""
    page.locator("fieldset").nth(question).locator("input").first.focus()
    page.keyboard.press("Space")
    for _ in range(presses):
        page.keyboard.press("ArrowRight")


def press_next(page) -> None:
    page.get_by_role("button", name="Next").focus()
    page.keyboard.press("Enter")


def test_ten_pairs_by_keyboard_by_two_judges_at_once(browser, study):
    folder, link, results = study
    key, owner = load_secret(folder), open_study(folder)
    brighter = {clip_name(key, "b", clip) for clip in owner.clips}
    pages = [opened(browser, link, viewport=size) for size in (WIDE, NARROW)]
    for number in range(1, COUNT + 1):
        for page, _ in pages:
            next_pair(page, number)
            left, right = (Path(video.get_attribute("src")).name for video in page.locator("video").all())
            assert (left in brighter) != (right in brighter)
            side = 0 if left in brighter else 1
            choose(page, 0, side)
            choose(page, 1, 2)
            choose(page, 2, 1 - side)
            press_next(page)
    for page, wrong in pages:
        page.get_by_role("heading", name="Thank you").wait_for()
        assert page.evaluate("document.activeElement.textContent") == "Thank you"
        assert wrong == []
    answers = AnswerStore(folder, owner).answers()
    assert len({answer.judge for answer in answers}) == 2
    assert len(answers) == 2 * 3 * COUNT
    assert {(answer.question, answer.winner) for answer in answers} == {
        ("quality", "b"), ("instruction", None), ("consistency", "a"),
    }  # fmt: skip
    page = pages[0][0]
    page.goto(results)
    assert page.get_by_text("b is preferred to a in 100.0% of 20 answers").count() == 1
    assert page.get_by_text("a is preferred to b in 100.0% of 20 answers").count() == 1


def test_both_videos_play_and_can_be_stopped(browser, study):
    page, wrong = opened(browser, study[1], viewport=WIDE)
    next_pair(page, 1)
    state = "[...document.querySelectorAll('video')].map((video) => [video.paused, video.loop, video.muted])"
    page.wait_for_function("[...document.querySelectorAll('video')].every((video) => !video.paused)")
    page.get_by_role("button", name="Pause both").click()
    assert page.evaluate(state) == [[True, True, True]] * 2
    page.get_by_role("button", name="Play both again").click()
    assert page.evaluate(state) == [[False, True, True]] * 2
    assert wrong == []
    still, _ = opened(browser, study[1], viewport=WIDE, reduced_motion="reduce")
    next_pair(still, 1)
    still.wait_for_timeout(500)
    assert still.evaluate(state) == [[True, True, True]] * 2


def test_text_is_shown_as_text(browser, study):
    page, wrong = opened(browser, study[1], viewport=WIDE)
    seen = set()
    for number in range(1, COUNT + 1):
        next_pair(page, number)
        assert page.locator("h1").inner_text() == TITLE
        seen.add(page.locator(".asked").inner_text().removeprefix("Instruction\n"))
        for question in range(3):
            choose(page, question, 0)
        press_next(page)
    assert MARKUP in seen
    assert page.title() == TITLE
    assert page.locator(".gradio-container img").count() == 0
    assert wrong == []


def test_questions_and_names_are_text_too(browser, tmp_path):
    from fastapi import FastAPI

    from showme.studio.judge.routes import links, mount

    own = (Question(key="own", text=MARKUP), Question(key="other", text="**Which** [one](javascript:alert(3))?"))
    request = StudyRequest(write_candidates(tmp_path, count=2), names=[MARKUP, "../b"], questions=own, ties=False)
    begin_study(tmp_path / "out", request)
    app = FastAPI()
    mount(app, tmp_path / "out")
    with served(app) as address:
        shown = links(tmp_path / "out", f"{address}/judge")
        page, wrong = opened(browser, shown.judge, viewport=NARROW)
        for _ in range(2):
            page.locator(".pair").wait_for()
            assert page.locator("fieldset [data-testid=block-info]").all_inner_texts() == [each.text for each in own]
            assert page.get_by_role("radio").count() == 4
            number = page.locator(".done h2").inner_text()
            for question in range(2):
                choose(page, question, 1)
            press_next(page)
            page.locator(".done h2, .thanks h2").filter(has_not_text=number).wait_for()
        page.goto(shown.results)
        assert page.get_by_role("heading", name=MARKUP).count() == 1
        assert page.locator("td, th").filter(has_text=f"{MARKUP} and ../b").count() == 2
    assert wrong == []


def test_a_judge_goes_on_where_they_were_and_sees_what_is_missing(browser, study):
    page, _ = opened(browser, study[1], viewport=WIDE)
    next_pair(page, 1)
    choose(page, 0, 0)
    press_next(page)
    message = page.get_by_role("alert")
    message.wait_for()
    assert message.inner_text() == "Answer this question too: Which video follows the instruction better?"
    assert page.locator("fieldset").first.locator("input:checked").count() == 1
    for question in (1, 2):
        choose(page, question, 0)
    press_next(page)
    next_pair(page, 2)
    assert message.count() == 0
    assert page.locator("input:checked").count() == 0
    source = page.locator("video").first.get_attribute("src")
    again = page.context.new_page()
    again.goto(study[1])
    next_pair(again, 2)
    assert again.locator("video").first.get_attribute("src") == source


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_pages_pass_axe_and_fit(browser, study, scheme, size):
    page, _ = opened(browser, study[1], viewport=size, color_scheme=scheme)
    rules: set[str] = set()
    next_pair(page, 1)
    choose(page, 0, 1)
    press_next(page)
    page.get_by_role("alert").wait_for()
    assert violations(page, rules) == []
    fits = "document.documentElement.scrollWidth <= window.innerWidth"
    assert page.evaluate(fits)
    tops = [round(video.bounding_box()["y"]) for video in page.locator("video").all()]
    assert (tops[0] == tops[1]) == (size is WIDE)
    # Each question is one group, called by its words.
    group = page.get_by_role("radiogroup", name="In which video do the frames go together better?")
    assert group.get_by_role("radio").count() == 3
    page.goto(study[2])
    assert violations(page, rules) == []
    assert page.evaluate(fits)
    assert len(rules) > 80
