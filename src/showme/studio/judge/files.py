"""What a study's addresses give without gradio: clips to its judges, and to its owner the results, page and files."""

from __future__ import annotations

import json
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from ...errors import InputError
from ...judging.results import study_result
from .clips import CLIPS, is_clip_name
from .gate import NO_LINK, judge_of
from .results_page import results_page
from .secret import same
from .service import JudgeService

_NOT_OWNER = "The results open with their whole link: it ends in ?token= and what `showme evaluate prefer` prints."
_NO_CLIP = "There is no such clip in this study."
# The owner's page has neither scripts nor anything from elsewhere.
_OWNERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
}
_KEPT = {"Cache-Control": "private, max-age=31536000, immutable"}


def file_routes(service: JudgeService) -> list[Route]:
    """Clips for judges, and the results for whoever has the owner's token: ``/results``, ``.json`` and ``.csv``."""

    def page(token: str) -> Response:
        files = {"all answers (CSV)": "results.csv", "these figures (JSON)": "results.json"}
        found = study_result(service.study, service.store.answers())
        return HTMLResponse(results_page(found, {label: f"{file}?token={token}" for label, file in files.items()}))

    def figures(token: str) -> Response:
        found = study_result(service.study, service.store.answers())
        return Response(json.dumps(found.as_json(), indent=1, ensure_ascii=False), media_type="application/json")

    def table(token: str) -> Response:
        file = {"Content-Disposition": 'attachment; filename="answers.csv"'}
        return Response(service.store.as_csv(), media_type="text/csv; charset=utf-8", headers=file)

    results = {"/results": page, "/results.json": figures, "/results.csv": table}
    routes = [Route(path, _of_owner(service, answer)) for path, answer in results.items()]
    return [*routes, Route("/clips/{name}", _clips(service))]


def _of_owner(service: JudgeService, write: Callable[[str], Response]) -> Callable[[Request], Response]:
    """Answers those alone who have the owner's token, which is passed on."""

    def answer(request: Request) -> Response:
        token = request.query_params.get("token", "")
        if not same(token, service.secret.owner_token):
            return PlainTextResponse(_NOT_OWNER, 403)
        try:
            response = write(token)
        except InputError as error:
            return PlainTextResponse(str(error), 503)
        response.headers.update(_OWNERS)
        return response

    return answer


def _clips(service: JudgeService) -> Callable[[Request], Response]:
    def clip(request: Request) -> Response:
        if judge_of(request, service.secret) is None:
            return PlainTextResponse(NO_LINK, 403)
        name = request.path_params["name"]
        file = service.folder / CLIPS / name
        if not is_clip_name(name) or not file.is_file():
            return PlainTextResponse(_NO_CLIP, 404)
        # Parts of it too: Safari asks for nothing else.
        return FileResponse(file, media_type="video/mp4", headers=_KEPT)

    return clip
