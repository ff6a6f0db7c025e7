"""Preference studies in the studio: begun by whoever may use it, judged by whoever has the link."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showme.errors import InputError
from showme.generation.outputs import write_video
from showme.studio.compare import _question
from showme.studio.studies import OWNER, StudyShelf
from showme.studio.studio import Studio

from .conftest import serving

PASSWORD = "correct horse"


@pytest.fixture
def clips(tmp_path) -> Path:
    """Two folders of three clips."""
    folder = tmp_path / "clips"
    for name, grey in (("first", 40), ("second", 200)):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            frames = [Image.fromarray(np.full((32, 32, 3), grey + 5 * step, np.uint8)) for step in range(4)]
            write_video(frames, folder / name / f"{number}.mp4", 8)
    return folder


@pytest.fixture
def studio(settings, clips):
    studio = Studio.open(settings.model_copy(update={"studies": clips}))
    yield studio
    studio.shelf.close()


@pytest.fixture
def shelf(studio):
    return StudyShelf(studio)


def test_without_a_folder_of_clips_nothing_is_compared(settings):
    studio = Studio.open(settings)
    with pytest.raises(InputError, match="start it with --clips DIR"):
        StudyShelf(studio).clips_in("runs")
    studio.shelf.close()


def test_what_visitors_made_is_no_clip(settings, tmp_path):
    studio = Studio.open(settings.model_copy(update={"studies": tmp_path}))
    for line in ("studio", "studio/runs", "studio/photos", "./studio/../studio/work"):
        with pytest.raises(InputError, match="not below the folder of clips"):
            StudyShelf(studio).clips_in(line)
    studio.shelf.close()


@pytest.mark.parametrize("line", ["..", "../..", "/etc", "first/../../studio"])
def test_only_clips_of_the_studios_folder_are_compared(shelf, line):
    with pytest.raises(InputError, match="not below the folder of clips"):
        shelf.clips_in(line)


def test_ids_lead_nowhere_else(shelf):
    assert shelf.folder_of("..") is None
    assert shelf.folder_of("") is None
    assert shelf.folder_of("abc") is None
    assert not list(shelf.of("me"))


def test_a_removed_study_is_gone_for_all_and_may_be_brought_back_for_a_week(studio, shelf):
    study = shelf.fresh()
    study.mkdir(parents=True)
    (study / "study.json").write_text("{}")
    (study / OWNER).write_text("me")
    name = study.name
    with pytest.raises(InputError, match="no such study of yours"):
        shelf.remove(name, "you")
    shelf.remove(name, "me")
    assert shelf.folder_of(name) is None
    assert not list(shelf.of("me"))
    for wrong in ("../" + name, "you"):
        with pytest.raises(InputError, match="no such study of yours"):
            shelf.restore(wrong, "me")
    with pytest.raises(InputError, match="no such study of yours"):
        shelf.restore(name, "you")
    shelf.restore(name, "me")
    assert list(shelf.of("me")) == [(name, study)]
    shelf.remove(name, "me")
    (removed,) = shelf.trash.iterdir()
    os.utime(removed, (time.time() - 8 * 86400,) * 2)
    StudyShelf(studio)
    assert not list(shelf.trash.iterdir())


@pytest.mark.parametrize(
    ("line", "reason"), [("quality", "it has no key"), ("Quality: x", "small letters"), ("a:", "key")]
)
def test_questions_that_cannot_be(line, reason):
    with pytest.raises(InputError, match=reason):
        _question(line)


def test_a_study_is_begun_judged_and_read(browser, tmp_path, clips, models):
    words = ("--models", str(models), "--clips", str(clips), "--password", PASSWORD)
    with serving(tmp_path / "studio", *words) as server:
        own = browser.new_context(http_credentials={"username": "me", "password": PASSWORD})
        page = own.new_page()
        page.goto(server.address)
        page.get_by_role("tab", name="Judge").click()
        page.get_by_label("Folders of clips, one in each line").fill("first\n../models")
        page.get_by_role("button", name="Begin a study").click()
        page.wait_for_selector("#sm-judge-error .sm-error")
        page.get_by_label("Folders of clips, one in each line").fill("first\nsecond")
        page.get_by_label("Questions").fill("bright: Which is brighter?")
        page.get_by_role("button", name="Begin a study").click()
        page.wait_for_selector("#sm-studies a", timeout=60_000)
        judge, results = (each.get_attribute("href") for each in page.locator("#sm-studies a").all())

        other = browser.new_context().new_page()
        assert other.request.get(server.address).status == 401
        other.goto(judge)
        for number in (1, 2, 3):
            other.locator(".done h2", has_text=f"{number} of 3").wait_for()
            other.get_by_role("radio").first.check()
            other.get_by_role("button", name="Next").click()
        other.get_by_role("heading", name="Thank you").wait_for()
        for link in (judge, results):
            assert other.request.get(link.replace("token=", "token=x")).status == 403
        read = other.goto(results)
        assert read.status == 200
        assert "first" in other.inner_text("body")
        page.get_by_role("button", name="Remove: Which is better?").click()
        page.wait_for_selector("#sm-judge-undo:visible")
        assert not page.locator("#sm-studies a").count()
        assert other.request.get(judge).status == 404
        page.click("#sm-judge-undo")
        page.wait_for_selector("#sm-studies a")
        assert other.goto(results).status == 200
        other.context.close()
        own.close()
