"""The tab "Make": a photo, an instruction, and what comes of them."""

from __future__ import annotations

import asyncio
import base64
import itertools
import secrets
import time
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Any

import gradio as gr

from ..errors import InputError
from ..explanation import explain
from .fields import add_examples, form_of, make_fields
from .queue import Job
from .studio import Studio
from .submit import FieldError, submit
from .views import early_view, error_box, gallery_view, note_box, result_view, status_of, understanding_view

_POLL_SECONDS = 0.04
# How often a place in the queue is told: with a hundred waiting, each end of a job would be a hundred messages.
_PLACE_SECONDS = 1.0
_MOST_SEED = 2**31 - 1
SCRIPT = (files(__package__) / "script.js").read_text(encoding="utf-8")

_HINT = "Choose an example or a photo of yours, say what is to be done, and press Make: the result comes here."

_TO_STATUS = "() => document.querySelector('#sm-status').scrollIntoView({ block: 'nearest', behavior: 'smooth' })"
_ONLY_SHOWS = "This studio shows what was made and makes nothing new: look into its History."

Updates = dict[Any, Any]


class MakeTab:
    """The tab and what its buttons do.

    Args:
        studio: of which.
        page: that it is in.
    """

    def __init__(self, studio: Studio, page: gr.Blocks):
        self.studio = studio
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                self.fields = make_fields(studio)
            with gr.Column(scale=7, min_width=320):
                hint = _ONLY_SHOWS if studio.settings.demo else _HINT
                self.status = gr.HTML(f'<p class="sm-hint">{hint}</p>', elem_id="sm-status")
                self.error = gr.HTML(elem_id="sm-error")
                self.result = gr.HTML(elem_id="sm-shown", js_on_load=SCRIPT, apply_default_css=False)
                self.again = gr.Button("Again with another seed", visible=False, elem_id="sm-again")
                self.futures = gr.HTML(elem_id="sm-futures", js_on_load=SCRIPT, apply_default_css=False)
        # Below both columns: on a narrow screen the result comes right after the button.
        add_examples(self.fields)
        # What is shown, and what is being made.
        self.run, self.job = gr.State(None), gr.State(None)
        # By pages: which job each follows. Whoever asks for another one meanwhile is shown that one.
        self._followed: dict[str, Job] = {}
        self._connect(page)

    def _connect(self, page: gr.Blocks) -> None:
        fields = self.fields
        errors = fields.errors.values()
        outputs = [
            self.status, self.error, self.result, self.again, self.futures, self.run, self.job, fields.cancel, *errors,
        ]  # fmt: skip
        private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": None}
        # Away from the form, where what happens is out of view.
        fields.make.click(None, js=_TO_STATUS, api_visibility="private")
        # Whoever waits may ask for more.
        asked = [fields.make.click, fields.instruction.submit]
        gr.on(asked, self._make, [*fields.inputs], outputs, trigger_mode="multiple", **private)
        page.load(self._resume, None, [*outputs, fields.models], **private)
        self.again.click(self._again, [self.run], [*outputs, fields.seed], trigger_mode="multiple", **private)
        fields.cancel.click(self._cancel, [self.job], [self.error], **private)
        self.futures.click(self._show, None, outputs, **private)
        quiet: dict[str, Any] = {**private, "queue": False, "trigger_mode": "always_last"}
        gr.on(
            [fields.instruction.change, fields.then.change, fields.models.change],
            self._notes, [fields.instruction, fields.then, fields.models], [fields.notes], **quiet,
        )  # fmt: skip
        taken = [fields.understanding, fields.region, fields.motion, fields.goal]
        fields.models.change(self._understanding, [fields.models], taken, **quiet)

    async def _make(self, request: gr.Request, *values: Any) -> AsyncIterator[Updates]:
        """The button."""
        owner = owner_of_request(self.studio, request)
        yield self._cleared()
        try:
            job = await asyncio.to_thread(lambda: submit(self.studio, owner, form_of(self.studio, values)))
        except FieldError as error:
            yield {self.status: "", self.fields.errors[error.field]: error_box(str(error))}
            return
        # Whatever else it is, such as a full disk: a sentence, as on the command line.
        except Exception as error:
            yield {self.status: "", self.error: error_box(explain(error)[0])}
            return
        async for update in self._follow(job, owner, request):
            yield update

    async def _again(self, run: str | None, request: gr.Request) -> AsyncIterator[Updates]:
        owner = owner_of_request(self.studio, request)
        seed = secrets.randbelow(_MOST_SEED)
        yield {**self._cleared(), self.fields.seed: seed}
        try:
            if self.studio.settings.demo:
                raise InputError("This studio shows what was made and makes nothing new.")
            asked = await asyncio.to_thread(self.studio.asked_again, run or "", owner, seed=seed)
            job = await asyncio.to_thread(self.studio.queue.add, owner, asked, again=True)
        except Exception as error:
            yield {self.status: "", self.error: error_box(explain(error)[0])}
            return
        async for update in self._follow(job, owner, request):
            yield update

    def _cleared(self) -> Updates:
        errors = dict.fromkeys(self.fields.errors.values(), "")
        return {**errors, self.error: "", self.status: '<p class="sm-status" role="status">Checking ...</p>'}

    async def _follow(self, job: Job, owner: str, request: gr.Request) -> AsyncIterator[Updates]:
        """Everything that happens to a job, until it is done or its page follows another one; after one that was
        cancelled, to the visitor's others."""
        page = str(getattr(request, "session_hash", None))
        try:
            while True:
                self._followed[page] = job
                async for update in self._until_done(job):
                    if (newer := self._followed.get(page)) is not job:
                        # gradio shows the last update of an event once more when it ends.
                        yield self._now(newer) if newer is not None else {}
                        return
                    if update is not None:
                        yield update
                yield await asyncio.to_thread(self._at_the_end, job, owner)
                left = self.studio.queue.newest(owner) if job.state == "cancelled" else None
                if left is None:
                    return
                job = left
        finally:
            # Pages that are closed end here too; another follower of the same page goes on.
            if self._followed.get(page) is job:
                del self._followed[page]

    async def _until_done(self, job: Job) -> AsyncIterator[Updates | None]:
        """What is shown while a job waits and runs; None: nothing new, look whether another job is to be followed."""
        version, pictures, said = -1, job.pictures, 0.0
        yield self._now(job)
        while job.is_open:
            waits = job.state == "waiting" and time.monotonic() - said < _PLACE_SECONDS
            if job.version != version and not waits:
                version, said = job.version, time.monotonic()
                update: Updates = {self.status: status_of(job)}
                if job.pictures is not pictures:
                    pictures = job.pictures
                    update[self.result] = self._early(job)
                yield update
            else:
                yield None
            await asyncio.sleep(_POLL_SECONDS)

    def _now(self, job: Job) -> Updates:
        """All that is shown of a job that is open."""
        shown = {self.job: job.entry.id, self.fields.cancel: gr.update(visible=job.is_open)}
        return {**shown, self.status: status_of(job), self.result: self._early(job)}

    def _early(self, job: Job) -> str:
        """Its pictures, where they are there already."""
        if job.pictures is None:
            return ""
        photo = self.studio.photo_address(job.asked.photo)
        return early_view([_inline(png) for png in job.pictures.values()], photo)

    def _at_the_end(self, job: Job, owner: str) -> Updates:
        """What is shown of a job that is done."""
        final: Updates = {
            self.status: status_of(job),
            self.error: error_box(job.error),
            self.fields.cancel: gr.update(visible=False),
            self.job: None,
        }
        if job.state == "done":
            return final | self._finished(job.entry.id, owner)
        # A picture that was there before its video is gone with it.
        return final | {self.result: "", self.again: gr.update(visible=False), self.run: None}

    def _finished(self, run: str, owner: str) -> Updates:
        """A run that is done, with the others of its photo."""
        studio = self.studio
        entry = studio.entry(run, owner)
        futures = studio.futures(owner, entry.photo) if entry.photo else []
        return {
            self.result: shown_or_why(studio, run),
            self.again: gr.update(visible=entry.asked is not None and not studio.settings.demo),
            self.futures: gallery_view(futures, run, "One photo, many futures") if len(futures) > 1 else "",
            self.run: run,
        }

    async def _resume(self, request: gr.Request) -> AsyncIterator[Updates]:
        """A page that was loaded again while a job of its visitor was open goes on to show it."""
        owner = owner_of_request(self.studio, request)
        yield {self.fields.models: gr.update(choices=self.studio.models.names())}
        if (job := self.studio.queue.newest(owner)) is not None:
            async for update in self._follow(job, owner, request):
                yield update

    def _show(self, event: gr.EventData, request: gr.Request) -> Updates:
        """A run of the gallery."""
        try:
            return self._finished(str(event.run), owner_of_request(self.studio, request))
        except InputError as error:
            return {self.error: error_box(str(error))}

    def _cancel(self, run: str | None, request: gr.Request) -> str:
        try:
            self.studio.queue.cancel(run or "", owner_of_request(self.studio, request))
        except InputError as error:
            return error_box(str(error))
        return ""

    def _notes(self, instruction: str, then: str | None, models: list[str]) -> str:
        """While it is typed: words that a model does not know, with the nearest that it does."""
        sentences: list[str] = []
        try:
            lines = [line for line in (instruction, *(then or "").splitlines()) if line.strip()]
            for name, line in itertools.product(models, lines):
                sentences += self.studio.models.notes_on(name, line)
        except InputError as error:
            sentences = [str(error)]
        return note_box(list(dict.fromkeys(sentences)))

    def _understanding(self, models: list[str]) -> tuple[Any, ...]:
        try:
            known = [self.studio.models.understanding(name) for name in models]
        except InputError as error:
            return error_box(str(error)), gr.skip(), gr.skip(), gr.skip()
        return (
            understanding_view(known),
            gr.update(visible=bool(known) and all(each.takes_region for each in known)),
            gr.update(visible=bool(known) and all(each.takes_motion for each in known)),
            gr.update(visible=bool(known) and all(each.takes_goal for each in known)),
        )


def _inline(png: bytes) -> str:
    """A picture as an address that needs no request of its own."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def owner_of_request(studio: Studio, request: gr.Request) -> str:
    """Whose the runs of a request are."""
    client = getattr(request, "client", None)
    return studio.owner(dict(request.cookies), client and f"address {client.host}")


def shown_or_why(studio: Studio, run: str) -> str:
    """A finished run as HTML, or the sentence that says why it cannot be shown."""
    try:
        return result_view(studio.shown(run))
    except InputError as error:
        return error_box(str(error))
    except (OSError, ValueError):
        return error_box(f"The files of the run {run} are damaged: delete it, or make it again.")
