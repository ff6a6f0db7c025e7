"""Who may come in: a password or a token where the studio asks for one, and a key by which a visitor comes back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

VISITOR, ACCESS = "showme_visitor", "showme_access"
_YEAR = 365 * 24 * 3600
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    # Links of runs hold their tokens.
    b"referrer-policy": b"same-origin",
}
_ASKS = "This studio asks for its password, or for the link with its token."


class Gate:
    """ASGI middleware.

    Args:
        app: behind it.
        password, token: that open it, either of them; both None: it is open.
        secret: by which cookies are signed.
        exempt: beginnings of paths that need neither: they have tokens of their own, or nothing to hide.
        shut: beginnings of paths that lead nowhere.
        path: of cookies.
    """

    def __init__(
        self,
        app: ASGIApp,
        password: str | None,
        token: str | None,
        secret: bytes,
        exempt: Iterable[str] = (),
        path: str = "/",
        shut: Iterable[str] = (),
    ):
        self.app, self.password, self.token, self.secret = app, password, token, secret
        self.exempt, self.path, self.shut = tuple(exempt), path, tuple(shut)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        cookies = read_cookies(headers)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        query = scope["query_string"].decode("latin-1")
        if path.startswith(self.shut) or "deep_link" in query:
            await PlainTextResponse("There is nothing here.", 404)(scope, receive, send)
            return
        if not path.startswith(self.exempt):
            words = parse_qsl(query, keep_blank_values=True)
            if self.token is not None and _same(dict(words).get("token", ""), self.token):
                await self._with_cookie(scope, words)(scope, receive, send)
                return
            if not self._is_open(headers, cookies):
                asks = {"WWW-Authenticate": 'Basic realm="ShowMe studio"'} if self.password is not None else {}
                await PlainTextResponse(_ASKS, 401, asks)(scope, receive, send)
                return
        await self.app(scope, receive, self._sending(send, scope, cookies))

    def _is_open(self, headers: MutableMapping[bytes, bytes], cookies: dict[str, str]) -> bool:
        if self.password is None and self.token is None:
            return True
        kind, _, value = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if self.token is not None and (
            (kind.lower() == "bearer" and _same(value, self.token))
            or _same(cookies.get(ACCESS, ""), self._access(self.token))
        ):
            return True
        return self.password is not None and kind.lower() == "basic" and _same(_password(value), self.password)

    def _with_cookie(self, scope: Scope, query: list[tuple[str, str]]) -> RedirectResponse:
        """To the same page without the token, which is a cookie from now on."""
        rest = urlencode([pair for pair in query if pair[0] != "token"])
        response = RedirectResponse(scope["path"] + (f"?{rest}" if rest else ""), 303)
        response.set_cookie(ACCESS, self._access(str(self.token)), _YEAR, httponly=True, samesite="lax", path=self.path)
        return response

    def _access(self, token: str) -> str:
        return hmac.new(self.secret, f"access {token}".encode(), hashlib.sha256).hexdigest()

    def _sending(self, send: Send, scope: Scope, cookies: dict[str, str]) -> Any:
        fresh = scope["method"] == "GET" and VISITOR not in cookies and _wants_page(scope)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], *_HEADERS.items()]
                if fresh:
                    secure = "; Secure" if scope["scheme"] == "https" else ""
                    cookie = f"{VISITOR}={secrets.token_urlsafe(24)}; Path={self.path}; Max-Age={_YEAR}"
                    headers.append((b"set-cookie", f"{cookie}; HttpOnly; SameSite=Lax{secure}".encode()))
                message = {**message, "headers": headers}
            await send(message)

        return sending


def owner_of(cookies: dict[str, str], otherwise: str) -> str:
    """What the index knows a visitor by: a hash of their key, or of ``otherwise`` where they have none."""
    return hashlib.sha256(cookies.get(VISITOR, otherwise).encode()).hexdigest()[:32]


def read_cookies(headers: MutableMapping[bytes, bytes]) -> dict[str, str]:
    """Names and values."""
    try:
        return {name: each.value for name, each in SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).items()}
    except CookieError:
        return {}


def _wants_page(scope: Scope) -> bool:
    return b"text/html" in dict(scope["headers"]).get(b"accept", b"")


def _password(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
    # Neither base64, nor ASCII, nor UTF-8.
    except ValueError:
        return ""


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
