"""What the studio answers beside its page: its health, and the files of runs to whoever has their token."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path, PurePosixPath

from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import FileResponse

from ..errors import InputError
from ..generation import folder
from ..generation.portable import animation, portable_page
from .asked import is_kept
from .glance.paths import file_below
from .studio import PHOTO_ROUTE, REPORT_ROUTE, RUN_ROUTE, Studio

HEALTH = "/health"
# The folder of one of several models, as side_by_side names it.
_BELOW = re.compile(r"(?:\d+-[A-Za-z0-9.+-]{1,40}/)?")
_ANIMATIONS = {"action.gif": "gif", "action.webp": "webp"}
_PORTABLE = "portable.html"
# Pages of runs are ours and hold what a visitor wrote: nothing in them is to run, and nothing to be fetched elsewhere.
_PAGE_POLICY = (
    "default-src 'none'; img-src 'self' data:; media-src 'self' data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)
# What reports are made of.
_SHOWN = {".html", ".png", ".jpg", ".gif", ".webp", ".svg", ".mp4", ".webm", ".css", ".json", ".csv"}
_KEPT = {"Cache-Control": "private, max-age=86400"}


def add_routes(app: FastAPI, studio: Studio) -> None:
    """Add them; before the page, which takes every other path."""

    @app.get(HEALTH)
    async def health() -> dict[str, object]:
        return {"status": "ok", "open_jobs": len(studio.queue)}

    @app.get(f"{RUN_ROUTE}/{{run}}/{{token}}/{{name:path}}")
    async def run_file(run: str, token: str, name: str) -> Response:
        _check(studio.shelf.opens(run, token))
        try:
            place = studio.shelf.place(run)
        except InputError as error:
            raise HTTPException(404, str(error)) from error
        return await asyncio.to_thread(_file_of, place, name)

    @app.get(f"{PHOTO_ROUTE}/{{photo}}/{{token}}")
    async def photo_file(photo: str, token: str) -> Response:
        _check(studio.shelf.opens(photo, token) and is_kept(photo) and (studio.photos / photo).is_file())
        return FileResponse(studio.photos / photo, headers=_KEPT)

    @app.get(f"{REPORT_ROUTE}/{{token}}/{{name:path}}")
    async def report_file(token: str, name: str) -> Response:
        # What a page shows lies beside it or below: the token is that of one of the folders above.
        runs = studio.settings.runs
        above = [folder.as_posix() for folder in PurePosixPath(name).parents]
        _check(runs is not None and any(studio.shelf.opens(f"reports of {folder}", token) for folder in above))
        try:
            file = file_below(Path(runs or ""), name)
        except InputError as error:
            raise HTTPException(404, str(error)) from error
        if file.suffix.lower() not in _SHOWN or not file.is_file():
            raise HTTPException(404, "This report has no such file.")
        return FileResponse(file, headers={"Content-Security-Policy": _PAGE_POLICY})


def _check(is_opened: bool) -> None:
    # The same for a wrong token and for no run, so that nobody can find out which there are.
    if not is_opened:
        raise HTTPException(404, "There is nothing here for this link: open the run from your history.")


def _file_of(place: Path, path: str) -> Response:
    below = _BELOW.match(path)
    name = path[below.end() :] if below else path
    here = place / (below[0] if below else "")
    if name == _PORTABLE and (here / folder.PAGE).is_file():
        return Response(portable_page(here), media_type="text/html", headers={"Content-Security-Policy": _PAGE_POLICY})
    if name in _ANIMATIONS and (here / folder.VIDEO).is_file():
        kind = _ANIMATIONS[name]
        return Response(animation(here / folder.VIDEO, kind), media_type=f"image/{kind}", headers=_KEPT)
    if name not in folder.OWN_FILES or not (here / name).is_file():
        raise HTTPException(404, "This run has no such file.")
    headers = {"Content-Security-Policy": _PAGE_POLICY} if name == folder.PAGE else _KEPT
    return FileResponse(here / name, headers=headers)
