"""The page on which a judge compares two clips, as gradio blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import InputError
from ...judging.store import LEFT, RIGHT, TIE
from ...optional import needed
from ..serving import shut
from . import behaviour, markup
from .service import JudgeService

with needed("gradio", "gradio", "studio", "The judging page"):
    import gradio as gr
    from fastapi import FastAPI

_WAITING = "<p>One moment. If nothing comes, allow cookies for this page and load it again.</p>"
_FONT = ("system-ui", "sans-serif")


def theme() -> Any:
    """The page's colours and fonts: the system's own, so that nothing is fetched; all pairs of colours pass WCAG AA."""
    return gr.themes.Base(primary_hue="indigo", font=_FONT, font_mono=("monospace",)).set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_hover_dark="*primary_700",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        checkbox_border_color="*neutral_500",
        checkbox_border_color_dark="*neutral_300",
    )


def judge_page(folder: Path) -> gr.Blocks:
    """The page of a study's judges; it knows them by a cookie that :mod:`.routes` gives and checks.

    Args:
        folder: of the study.

    Raises:
        InputError: there is no study, its folder cannot be used, or gradio is not installed.
    """
    service = JudgeService(folder)
    questions = service.study.questions
    choices = [("A", LEFT), ("B", RIGHT)] + ([("Both alike", TIE)] if service.study.ties else [])
    keys = [question.key for question in questions]
    unchanged = [gr.skip() for _ in questions]

    def view(request: gr.Request) -> list[Any]:
        """Values of the outputs for what comes next."""
        try:
            shown = service.showing(_judge(service, request))
        except InputError as error:
            return [markup.trouble(str(error)), "", "", *unchanged, gr.Column(visible=False)]
        emptied = [None for _ in questions]
        if shown is None:
            return [markup.thanks(len(service.items)), "", "", *emptied, gr.Column(visible=False)]
        return [markup.pair(shown), shown.ticket, "", *emptied, gr.Column(visible=True)]

    def answer(request: gr.Request, ticket: str, *given: str | None) -> list[Any]:
        try:
            service.answer(_judge(service, request), ticket, dict(zip(keys, given, strict=True)))
        except InputError as error:
            return [gr.skip(), gr.skip(), markup.trouble(str(error)), *unchanged, gr.skip()]
        return view(request)

    with gr.Blocks(title=service.study.title, analytics_enabled=False) as page:
        gr.HTML(markup.head(service.study.title))
        body = gr.HTML(_WAITING)
        ticket = gr.Textbox(visible=False, label="What was shown")
        with gr.Column(visible=False) as asking:
            with gr.Row(elem_classes="replay"):
                again = gr.Button("Play both again", size="sm")
                pause = gr.Button("Pause both", size="sm")
            with gr.Row(elem_classes="questions"):
                radios = [gr.Radio(choices, label=each.text, min_width=280) for each in questions]
            message = gr.HTML()
            following = gr.Button("Next", variant="primary", size="lg")
        outputs = [body, ticket, message, *radios, asking]
        quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        page.load(view, None, outputs, **quiet)
        following.click(answer, [ticket, *radios], outputs, **quiet).then(None, js=behaviour.TO_THE_TOP)
        again.click(None, js=behaviour.PLAY)
        pause.click(None, js=behaviour.PAUSE)
    return page


def _judge(service: JudgeService, request: gr.Request) -> str:
    judge = service.secret.judge_of(request.cookies.get(service.secret.cookie))
    if judge is None:
        raise InputError("This page does not know you: open the link that you were sent, and allow cookies.")
    return judge


def page_app(folder: Path) -> FastAPI:
    """The same as an application of its own, which needs no start: its events are answered as they come, in no queue.

    Raises:
        InputError: as :func:`judge_page`.
    """
    # Nobody reads its documentation.
    app = FastAPI(openapi_url=None)
    page = judge_page(folder)
    shut(page)
    return gr.mount_gradio_app(
        app, page, path="/", footer_links=[], run_history=False, show_error=False, theme=theme(),
        css=markup.STYLE, js=behaviour.WATCH,
    )  # fmt: skip
