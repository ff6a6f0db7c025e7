"""Who is let in to the judging page: those with the study's link, each of whom gets an id in a signed cookie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from .secret import Secret, new_judge, same

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

NO_LINK = "This page opens with the whole link that you were sent: it ends in ?token= and what follows."
_NO_COOKIE = "Open the link that you were sent, and allow cookies for this page."
_NOTHING = "There is nothing here."
# Gradio's own files, which say nothing of a study.
_OPEN_TO_ALL = ("/assets/", "/static/", "/theme.css")
# What the page asks of gradio: an answer to an event, and whether the server is there again. Uploads, files, queues and
# whatever else it offers stay shut.
_OF_JUDGES = {("POST", "/gradio_api/run/predict"), ("GET", "/gradio_api/app_id")}
_YEAR = 365 * 24 * 3600


class Gate:
    """Before the page of a study.

    Args:
        app: gradio's, that shows the page.
        token: that the judges' link holds.
        secret: of the study.
    """

    def __init__(self, app: ASGIApp, token: str, secret: Secret):
        self.app, self.token, self.secret = app, token, secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path == "/" and request.method in ("GET", "HEAD"):
            if not same(request.query_params.get("token", ""), self.token):
                return await PlainTextResponse(NO_LINK, 403)(scope, receive, send)
            return await self.app(scope, receive, self._known(request, send))
        if (request.method, path) in _OF_JUDGES:
            if judge_of(request, self.secret) is None:
                return await PlainTextResponse(_NO_COOKIE, 403)(scope, receive, send)
            return await self.app(scope, receive, send)
        if path.startswith(_OPEN_TO_ALL):
            return await self.app(scope, receive, send)
        return await PlainTextResponse(_NOTHING, 404)(scope, receive, send)

    def _known(self, request: Request, send: Send) -> Send:
        """Sends the page, with a cookie for a judge who has none."""
        judge = judge_of(request, self.secret) or new_judge()
        path = request.scope.get("root_path", "") or "/"
        cookie = (
            f"{self.secret.cookie}={self.secret.signed(judge)}; Path={path}; Max-Age={_YEAR}; HttpOnly; SameSite=Lax"
        )
        cookie += "; Secure" if request.url.scheme == "https" else ""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.append("Set-Cookie", cookie)
                # The link is in the address; nobody else is to see it.
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cache-Control"] = "no-store"
            await send(message)

        return sent


def judge_of(request: Request, secret: Secret) -> str | None:
    """Whose request it is; None: of nobody that was let in."""
    return secret.judge_of(request.cookies.get(secret.cookie))
