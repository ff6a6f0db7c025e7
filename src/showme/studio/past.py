"""The tab "History": every run of a visitor, found by what was asked, by model and by day; deleted with undo."""

from __future__ import annotations

from datetime import date
from typing import Any

import gradio as gr

from ..errors import InputError
from .make import SCRIPT, owner_of_request, shown_or_why
from .studio import Studio
from .views import error_box, history_view

_MOST = 200
_DELETED = "Deleted: it can be brought back for a week."

Updates = dict[Any, Any]
# Words, model, first and last day, as they were typed.
Filters = tuple[str, str, str, str]


class PastTab:
    """The tab and what its buttons do.

    Args:
        studio: of which.
        tab: that it is in; the list is made anew whenever it is chosen.
    """

    def __init__(self, studio: Studio, tab: gr.Tab):
        self.studio = studio
        with gr.Row():
            self.text = gr.Textbox(label="Words of the instruction", min_width=200, elem_id="sm-search")
            self.model = gr.Textbox(label="Model", min_width=120)
            self.since = gr.Textbox(label="From day", placeholder="2026-01-31", min_width=120)
            self.until = gr.Textbox(label="To day", placeholder="2026-01-31", min_width=120)
        self.error = gr.HTML()
        with gr.Row():
            self.said = gr.HTML(elem_id="sm-past-said")
            self.undo = gr.Button("Undo", visible=False, size="sm", elem_id="sm-undo")
        self.shown = gr.HTML(js_on_load=SCRIPT, apply_default_css=False, elem_id="sm-past-shown")
        self.entries = gr.HTML(js_on_load=SCRIPT, apply_default_css=False, elem_id="sm-history")
        self.deleted = gr.State(None)
        self._connect(tab)

    def _connect(self, tab: gr.Tab) -> None:
        filters = [self.text, self.model, self.since, self.until]
        outputs = [self.error, self.said, self.undo, self.shown, self.entries, self.deleted]
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": None}
        tab.select(self._found, filters, outputs, **quiet)
        gr.on([each.change for each in filters], self._found, filters, outputs, trigger_mode="always_last", **quiet)
        self.entries.click(self._act, [self.deleted, *filters], outputs, **quiet)
        self.undo.click(self._undo, [self.deleted, *filters], outputs, **quiet)

    def _found(self, text: str, model: str, since: str, until: str, request: gr.Request) -> Updates:
        """What fits the filters."""
        return self._listed((text, model, since, until), owner_of_request(self.studio, request))

    def _listed(self, filters: Filters, owner: str) -> Updates:
        studio, (text, model, since, until) = self.studio, filters
        try:
            days = _day("From day", since), _day("To day", until)
            studio.shelf.adopt()
            asked = {"text": text or "", "model": model or "", "since": days[0], "until": days[1]}
            entries = studio.search(owner, **asked, limit=_MOST)
        except InputError as error:
            return {self.error: error_box(str(error))}
        listed = history_view([(each, studio.thumbnail(each)) for each in entries], not studio.settings.demo)
        return {self.entries: listed, self.error: ""}

    def _act(
        self,
        deleted: list[str] | None,
        text: str,
        model: str,
        since: str,
        until: str,
        event: gr.EventData,
        request: gr.Request,
    ) -> Updates:
        """A button of an entry."""
        owner, run, filters = owner_of_request(self.studio, request), str(event.run), (text, model, since, until)
        try:
            if event.act == "delete":
                if self.studio.settings.demo:
                    raise InputError("This studio shows what was made: nothing can be deleted.")
                self.studio.shelf.delete(run, owner)
                update = {self.said: f'<p role="status">{_DELETED}</p>', self.undo: gr.update(visible=True)}
                more = {self.deleted: [*(deleted or []), run], self.shown: ""}
                return {**self._listed(filters, owner), **update, **more}
            if event.act == "cancel":
                self.studio.queue.cancel(run, owner)
                return self._listed(filters, owner)
            self.studio.entry(run, owner)
            return {self.shown: shown_or_why(self.studio, run), self.error: ""}
        except InputError as error:
            return {self.error: error_box(str(error))}

    def _undo(
        self, deleted: list[str] | None, text: str, model: str, since: str, until: str, request: gr.Request
    ) -> Updates:
        owner = owner_of_request(self.studio, request)
        try:
            if self.studio.settings.demo or not deleted:
                raise InputError("There is nothing to bring back.")
            self.studio.shelf.restore(deleted[-1], owner)
        except InputError as error:
            return {self.error: error_box(str(error))}
        left = deleted[:-1]
        cleared = {self.undo: gr.update(visible=bool(left)), self.deleted: left} | ({} if left else {self.said: ""})
        return {**self._listed((text, model, since, until), owner), **cleared}


def _day(label: str, text: str | None) -> date | None:
    """A day, or none.

    Raises:
        InputError: it is neither.
    """
    if not text or not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise InputError(f"{label} {text.strip()[:20]!r} is no day: write it like 2026-01-31.") from error
