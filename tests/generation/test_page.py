"""The page: whole, self-contained, and deaf to what a user writes into it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from showme.generation.page import Page, render_page

NASTY = '<script>alert("1")</script> & \'"><img src=x onerror=alert(1)>'


class Reader(HTMLParser):
    """Collects tags, the files that they name, and whether every tag is closed."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.files: list[str] = []
        self.data = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.files += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.data += data


def page(**changes) -> Page:
    settings = {
        "instruction": NASTY,
        "shape": (128, 128),
        "photo": "first_frame.png",
        "result": "result.png",
        "video": "action.mp4",
        "strip": "strip.png",
        "notes": [NASTY],
        "settings": {NASTY: NASTY},
    }
    return Page(**{**settings, **changes})


def test_every_text_of_the_user_is_escaped():
    reader = Reader(render_page(page()))
    assert "script" not in reader.tags
    assert reader.tags.count("img") == 3
    assert reader.data.count("<script>") == 5
    assert reader.open == []


def test_it_needs_nothing_but_its_neighbours():
    text = render_page(page(instruction="push"))
    reader = Reader(text)
    assert set(reader.files) == {"first_frame.png", "result.png", "action.mp4", "strip.png", "run.json"}
    assert not re.search(r"https?://|@import|url\(", text)
    assert "prefers-color-scheme: dark" in text


def test_the_video_loops_with_controls():
    assert re.search(r"<video [^>]*autoplay loop muted playsinline controls>", render_page(page()))


def test_tasks_that_were_not_asked_for_leave_no_hole():
    text = render_page(page(video=None, notes=[]))
    assert "<video" not in text
    assert "What you should know" not in text
    assert "result.png" not in render_page(page(result=None))
