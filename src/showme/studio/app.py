"""The whole application: the gate, the files of runs, and the page with its tabs."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

from fastapi import FastAPI

from ..optional import needed
from .gate import Gate
from .routes import HEALTH, add_routes
from .serving import SHUT, shut
from .shelf import UPLOADS
from .studio import Studio

# No statistics are sent anywhere; read when gradio is imported.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

with needed("gradio", "gradio", "studio", "The studio"):
    import gradio as gr

from .api import add_api
from .compare import JUDGE_ROUTE, JudgeTab
from .glance.page import glance_tab
from .judge.routes import mount_studies
from .make import MakeTab
from .past import PastTab
from .studies import StudyShelf

# How often gradio's copies of uploads are looked through, and how old they get; runs and photos are kept elsewhere.
_SWEEP_SECONDS, _OLDEST_SECONDS = 600, 3600
# Events beside those that wait for a job.
_SPARE_EVENTS = 100
# Visitors whose last run the page remembers, so that it can be made again; what they made is in the history anyhow.
_SESSIONS = 200
_FONTS = ("system-ui", "sans-serif")


def make_app(studio: Studio) -> FastAPI:
    """The application of a studio; it starts and stops the studio's queue."""
    # Where gradio keeps uploads until they are asked about: with the rest, and not for every user of the machine.
    os.environ["GRADIO_TEMP_DIR"] = str(studio.shelf.folder / UPLOADS)

    @asynccontextmanager
    async def living(_app: FastAPI) -> AsyncIterator[None]:
        studio.queue.start()
        yield
        studio.queue.stop()
        studio.shelf.close()

    settings = studio.settings
    app = FastAPI(title="ShowMe studio", docs_url=None, redoc_url=None, openapi_url=None, lifespan=living)
    add_routes(app, studio)
    studies = StudyShelf(studio)
    mount_studies(app, studies.folder_of, JUDGE_ROUTE)
    app.add_middleware(
        Gate,
        password=settings.password,
        token=settings.token,
        secret=studio.shelf.secret,
        # Judges have tokens of their own, and see nothing else.
        exempt=(HEALTH, f"{JUDGE_ROUTE}/"),
        shut=SHUT,
        path=f"{settings.root_path}/",
    )
    style, script = ((files(__package__) / name).read_text(encoding="utf-8") for name in ("style.css", "groups.js"))
    return gr.mount_gradio_app(
        app,
        _page(studio, studies),
        "/",
        root_path=settings.root_path or None,
        # Our own limit is told beside the field; this one ends what is far beyond it.
        max_file_size=4 * settings.max_bytes,
        footer_links=["api"],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        theme=_theme(),
        css=style,
        js=script,
    )


def _theme() -> gr.themes.Base:
    """Fonts of the system, and colours whose contrast is 4.5 and more."""
    return gr.themes.Default(
        primary_hue=gr.themes.colors.blue,
        secondary_hue=gr.themes.colors.blue,
        neutral_hue=gr.themes.colors.slate,
        font=_FONTS,
        font_mono=("ui-monospace", "monospace"),
    ).set(
        color_accent="*primary_700",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_text_color="white",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        checkbox_border_color_dark="*neutral_400",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_700",
    )


def _page(studio: Studio, studies: StudyShelf) -> gr.Blocks:
    with gr.Blocks(
        title="ShowMe studio", analytics_enabled=False, delete_cache=(_SWEEP_SECONDS, _OLDEST_SECONDS), fill_width=False
    ) as page:
        gr.HTML('<h1 class="sm-title">ShowMe studio</h1>')
        with gr.Tab("Make", id="make"):
            MakeTab(studio, page)
        with gr.Tab("History", id="history") as history:
            PastTab(studio, history)
        with gr.Tab("Judge", id="judge") as judge:
            JudgeTab(studio, studies, judge)
        if studio.settings.runs is not None:
            with gr.Tab("Training", id="training"):
                glance_tab(studio.settings.runs, studio.run_page)
        add_api(studio)
    # Each holds a copy of the page's settings, a fifth of a megabyte, and gradio would keep ten thousand.
    page.state_session_capacity = _SESSIONS
    shut(page)
    # An event waits in it as long as its job does: with gradio's 40 the next visitor's would not begin.
    page._queue.max_thread_count = studio.settings.max_queue + _SPARE_EVENTS
    return page
