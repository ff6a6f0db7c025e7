"""HTML of runs: everything that somebody wrote is text."""

from __future__ import annotations

import pytest

from showme.studio.store import Entry
from showme.studio.views import error_box, escape, gallery_view, history_view, note_box
from tests.pages import Page

HOSTILE = "<img src=x onerror=alert(1)> {{value}} ${alert(1)} `${1}` \"' & </script>"


@pytest.mark.parametrize(
    "html",
    [
        error_box(HOSTILE),
        note_box([HOSTILE]),
        gallery_view([(Entry("1", None, "done", HOSTILE, HOSTILE, None, None, "2026-01-01T00:00"), "/a")], None, "t"),
        history_view([(Entry("1", None, "failed", HOSTILE, "m", None, None, "2026-01-01", HOSTILE), "/a")], True),
    ],
)
def test_what_was_written_is_text(html):
    page = Page(html)
    assert all(not name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert [each.get("src") for each in page.all("img")] in ([], ["/a"])
    assert any(HOSTILE in text for _, text in page.texts)
    # Templates that the page's components read begin with none of these.
    assert not {"{", "$", "`"} & set(html)


def test_escape_keeps_plain_text():
    assert escape("push the red box (2 cm), 100%") == "push the red box (2 cm), 100%"
