"""The tab "Judge": preference studies are begun here; people judge, and their owner reads, by links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from ..errors import InputError
from ..explanation import explain
from ..judging import Question, Study, open_study
from .judge.begin import StudyRequest, begin_study
from .judge.routes import Links, links
from .make import SCRIPT, owner_of_request
from .studies import OWNER, StudyShelf
from .studio import Studio
from .views import error_box, escape

JUDGE_ROUTE = "/judge"
_POLL_SECONDS = 0.2
_REMOVED = "Removed, its links with it: it can be brought back for a week."
_QUESTIONS = "An own question in each line, as key: text. Empty: quality, follows the instruction, consistency."

Updates = dict[Any, Any]


class JudgeTab:
    """The tab and what its button does.

    Args:
        studio: of which.
        shelf: its studies.
        tab: that it is in; the list is made anew whenever it is chosen.
    """

    def __init__(self, studio: Studio, shelf: StudyShelf, tab: gr.Tab):
        self.studio, self.shelf = studio, shelf
        gr.Markdown(
            "Two or more folders of clips are compared blind: judges see pairs, which side is which is drawn, and they "
            "answer by a link."
        )
        self.places = gr.Textbox(label="Folders of clips, one in each line", lines=3, elem_id="sm-places")
        self.title = gr.Textbox("Which is better?", label="Title", max_length=200)
        self.questions = gr.Textbox(label="Questions", info=_QUESTIONS, lines=2)
        self.ties = gr.Checkbox(True, label="Judges may say that both are alike")
        self.error = gr.HTML(elem_id="sm-judge-error")
        self.begin = gr.Button("Begin a study", variant="primary", interactive=not studio.settings.demo)
        with gr.Row():
            self.said = gr.HTML()
            self.undo = gr.Button("Undo", visible=False, size="sm", elem_id="sm-judge-undo")
        self.listed = gr.HTML(js_on_load=SCRIPT, apply_default_css=False, elem_id="sm-studies")
        self.removed = gr.State(None)
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": None}
        given = [self.places, self.title, self.questions, self.ties]
        outputs = [self.error, self.said, self.undo, self.listed, self.removed]
        self.begin.click(self._begin, given, outputs, **quiet)
        self.listed.click(self._remove, [self.removed], outputs, **quiet)
        self.undo.click(self._restore, [self.removed], outputs, **quiet)
        tab.select(self._list, None, [self.listed], **quiet)

    async def _begin(
        self, places: str, title: str, questions: str, ties: bool, request: gr.Request
    ) -> AsyncIterator[Updates]:
        done = [0, 0]

        def report(encoded: int, clips: int) -> None:
            done[:] = [encoded, clips]

        try:
            asked = self._request(places, title, questions, ties)
            folder = self.shelf.fresh()
            work = asyncio.create_task(asyncio.to_thread(begin_study, folder, asked, report))
            while not work.done():
                words = f"Encoding the clips for judges: {done[0]} of {done[1]}" if done[1] else "Looking at the clips"
                yield {self.error: "", self.said: f'<p role="status">{words} ...</p>'}
                await asyncio.sleep(_POLL_SECONDS)
            work.result()
            (folder / OWNER).write_text(owner_of_request(self.studio, request))
        # Whatever it is, such as a full disk: a sentence, as on the command line.
        except Exception as error:
            yield {self.error: error_box(explain(error)[0]), self.said: ""}
            return
        yield {self.error: "", self.said: '<p role="status">The study is open.</p>', self.listed: self._list(request)}

    def _remove(self, removed: list[str] | None, event: gr.EventData, request: gr.Request) -> Updates:
        """The button of a study."""
        try:
            if self.studio.settings.demo:
                raise InputError("This studio shows what was made: nothing can be removed.")
            self.shelf.remove(str(event.run), owner_of_request(self.studio, request))
        except InputError as error:
            return {self.error: error_box(str(error))}
        return self._after([*(removed or []), str(event.run)], request)

    def _restore(self, removed: list[str] | None, request: gr.Request) -> Updates:
        try:
            if self.studio.settings.demo or not removed:
                raise InputError("There is nothing to bring back.")
            self.shelf.restore(removed[-1], owner_of_request(self.studio, request))
        except InputError as error:
            return {self.error: error_box(str(error))}
        return self._after(removed[:-1], request)

    def _after(self, removed: list[str], request: gr.Request) -> Updates:
        """What is shown when so many can be brought back."""
        return {
            self.error: "",
            self.said: f'<p role="status">{_REMOVED}</p>' if removed else "",
            self.undo: gr.update(visible=bool(removed)),
            self.listed: self._list(request),
            self.removed: removed,
        }

    def _request(self, places: str, title: str, questions: str, ties: bool) -> StudyRequest:
        if self.studio.settings.demo:
            raise InputError("This studio shows what was made and makes nothing new.")
        lines = [line.strip() for line in places.splitlines() if line.strip()]
        return StudyRequest(
            places=[self.shelf.clips_in(line) for line in lines],
            title=title.strip() or "Which is better?",
            questions=[_question(line) for line in questions.splitlines() if line.strip()] or None,
            ties=ties,
        )

    def _list(self, request: gr.Request) -> str:
        """Every study with its links."""
        root = str(request.request.base_url).rstrip("/") if request.request is not None else ""
        items = []
        for name, folder in self.shelf.of(owner_of_request(self.studio, request)):
            try:
                study, found = open_study(folder), links(folder, f"{root}{JUDGE_ROUTE}/{name}")
            except InputError as error:
                items.append(f"<li>{error_box(str(error))}</li>")
                continue
            items.append(self._item(name, study, found))
        return f'<ul class="sm-studies">{"".join(items)}</ul>' if items else ""

    def _item(self, name: str, study: Study, found: Links) -> str:
        names = " and ".join(each.name for each in study.candidates)
        words = f"<p><b>{escape(study.title)}</b></p><small>{escape(f'{names}, {len(study.clips)} clips')}</small>"
        acts = _link("link for judges", found.judge) + _link("results", found.results)
        if not self.studio.settings.demo:
            label = f'aria-label="Remove: {escape(study.title)}"'
            acts += f'<button type="button" data-run="{escape(name)}" data-act="remove" {label}>Remove</button>'
        return f"<li><div>{words}</div><div>{acts}</div></li>"


def _link(words: str, address: str) -> str:
    return f'<a href="{escape(address)}" target="_blank" rel="noopener">{words}</a> '


def _question(line: str) -> Question:
    """``key: text``.

    Raises:
        InputError: it is not.
    """
    key, colon, text = line.partition(":")
    try:
        return Question(key=key.strip(), text=text.strip())
    except ValueError as error:
        reason = "write it as key: text, the key of small letters" if colon else "it has no key: write key: text"
        raise InputError(f"The question {line.strip()[:60]!r} cannot be asked: {reason}.") from error
