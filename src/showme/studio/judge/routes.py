"""The addresses of a study: the judges' page and its clips, and for the owner the results as page, JSON and CSV."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from ...errors import InputError
from ...judging import open_study
from .clips import write_clips
from .files import file_routes
from .gate import Gate
from .secret import load_secret
from .service import JudgeService

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import Receive, Scope, Send

_NO_STUDY = "There is no such study here."
_BROKEN = "This study cannot be opened: ask whoever sent you the link."


@dataclass(frozen=True)
class Links:
    """What the owner sends to judges, and what they open themselves."""

    judge: str
    results: str


def links(folder: Path, address: str) -> Links:
    """The links of a study.

    Args:
        folder: of the study.
        address: where it is mounted, like ``http://127.0.0.1:7861/judge``.

    Raises:
        InputError: there is no study.
    """
    address = address.rstrip("/")
    return Links(
        judge=f"{address}/?token={open_study(folder).token}",
        results=f"{address}/results?token={load_secret(folder).owner_token}",
    )


def judge_app(folder: Path) -> Starlette:
    """The pages of one study, as an ASGI application that may be mounted at any time and at any path.

    Below the path where it is mounted are ``/?token=``, the judges' page; ``/clips/NAME.mp4``, for those whom the page
    gave a cookie; and ``/results?token=``, ``/results.json?token=`` and ``/results.csv?token=`` with the owner's token.
    Clips that are not encoded yet are encoded here: call :func:`.clips.write_clips` first to show how far it is.

    Args:
        folder: of the study.

    Raises:
        InputError: there is no study, its clips cannot be read, or its folder cannot be written to.
    """
    from .page import page_app

    service = JudgeService(folder)
    write_clips(folder, service.study, service.secret)
    return Starlette(
        routes=[
            *file_routes(service),
            Mount("/", Gate(page_app(folder), service.study.token, service.secret)),
        ]
    )


def mount(app: FastAPI, folder: Path, path: str = "/judge") -> None:
    """Put the pages of one study below a path of an application; mount it before anything that takes all paths.

    Args:
        app: that is served.
        folder: of the study.
        path: without a slash at its end; :func:`links` says what to open.

    Raises:
        InputError: as :func:`judge_app`.
    """
    app.mount(path, judge_app(folder))


def mount_studies(app: FastAPI, folder_of: Callable[[str], Path | None], path: str = "/judge") -> None:
    """Put many studies below a path, each at ``PATH/ID/``; those that are begun while the server runs are found too.

    Args:
        app: that is served.
        folder_of: the folder of the study with an id; None: there is none. Ids are whatever stands in an address, and
            are to be looked up, not joined to a path.
        path: without a slash at its end.
    """
    app.mount(path, _Studies(folder_of))


class _Studies:
    """Opens each study when it is first asked for."""

    def __init__(self, folder_of: Callable[[str], Path | None]):
        self.folder_of = folder_of
        self.apps: dict[Path, Starlette] = {}
        self.opening = Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        root = scope.get("root_path", "")
        name, slash, _ = scope["path"].removeprefix(f"{root}/").partition("/")
        try:
            app = await run_in_threadpool(self._app, name)
        except InputError as error:
            logging.getLogger(__name__).error("%s", error)
            return await PlainTextResponse(_BROKEN, 503)(scope, receive, send)
        if app is None or not slash:
            return await PlainTextResponse(_NO_STUDY, 404)(scope, receive, send)
        await app({**scope, "root_path": f"{root}/{name}"}, receive, send)

    def _app(self, name: str) -> Starlette | None:
        folder = self.folder_of(name)
        if folder is None:
            return None
        with self.opening:
            if folder not in self.apps:
                self.apps[folder] = judge_app(folder)
            return self.apps[folder]
