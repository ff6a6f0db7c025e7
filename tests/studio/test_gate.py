"""Who is let in, and that what leaves says how it is to be handled."""

from __future__ import annotations

import base64

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from showme.studio.gate import ACCESS, VISITOR, Gate, owner_of

PASSWORD, TOKEN = "correct horse", "t" * 24


def client(password: str | None = None, token: str | None = None) -> TestClient:
    app = FastAPI()

    @app.get("/page")
    def page(word: str = "") -> dict[str, str]:
        return {"said": word}

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    app.add_middleware(Gate, password=password, token=token, secret=b"s" * 32, exempt=("/health",))
    return TestClient(app, follow_redirects=False)


def basic(password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'anybody:{password}'.encode()).decode()}"}


def test_an_open_studio_gives_each_browser_a_key():
    answer = client().get("/page", headers={"Accept": "text/html"})
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{VISITOR}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert answer.headers["x-content-type-options"] == "nosniff"
    opened = client()
    first = opened.get("/page", headers={"Accept": "text/html"}).cookies[VISITOR]
    assert "set-cookie" not in opened.get("/page", headers={"Accept": "text/html"}).headers
    assert client().get("/page", headers={"Accept": "text/html"}).cookies[VISITOR] != first


def test_a_password():
    asks = client(password=PASSWORD)
    refused = asks.get("/page")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic")
    assert asks.get("/page", headers=basic("wrong")).status_code == 401
    assert asks.get("/page", headers={"Authorization": "Basic ÿ".encode("latin-1")}).status_code == 401
    assert asks.get("/page", headers=basic(PASSWORD)).status_code == 200
    assert asks.get("/health").status_code == 200


def test_a_token_in_a_link_becomes_a_cookie_and_leaves_the_address():
    asks = client(token=TOKEN)
    assert asks.get("/page").status_code == 401
    assert asks.get("/page?token=wrong").status_code == 401
    moved = asks.get(f"/page?word=a%26b&token={TOKEN}")
    assert (moved.status_code, moved.headers["location"]) == (303, "/page?word=a%26b")
    assert TOKEN not in moved.headers["set-cookie"]
    assert asks.get("/page?word=x").json() == {"said": "x"}
    assert client(token=TOKEN).get("/page", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert client(token=TOKEN).get("/page", headers={"Cookie": f"{ACCESS}={TOKEN}"}).status_code == 401
    assert client(token=TOKEN).get("/page", headers={"Cookie": 'x="; ,;{=}'}).status_code == 401


def test_either_opens_where_both_are_asked():
    both = client(PASSWORD, TOKEN)
    assert both.get("/page", headers=basic(PASSWORD)).status_code == 200
    assert both.get("/page", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert both.get("/page", headers=basic(TOKEN)).status_code == 401


def test_owners_are_hashes_of_keys():
    assert owner_of({VISITOR: "key"}, "session") == owner_of({VISITOR: "key"}, "other")
    assert owner_of({}, "session") != owner_of({}, "other")
    assert "key" not in owner_of({VISITOR: "key"}, "")


@pytest.mark.parametrize("header", [b"", b"showme_visitor=a; showme_visitor=b", b"\xff\xfe=1"])
def test_cookies_of_any_kind_are_read(header):
    assert client().get("/page", headers={"Cookie": header}).status_code == 200
