"""The addresses of runs: theirs for whoever has the token, and nobody else's."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from showme.studio.routes import add_routes
from showme.studio.studio import Studio

from .conftest import finished


@pytest.fixture
def studio(settings):
    studio = Studio.open(settings)
    yield studio
    studio.shelf.close()


@pytest.fixture
def client(studio):
    app = FastAPI()
    add_routes(app, studio)
    return TestClient(app)


def test_health(client):
    assert client.get("/health").json() == {"status": "ok", "open_jobs": 0}


def test_files_are_for_whoever_has_the_token(client, studio):
    run, other = finished(studio.shelf), finished(studio.shelf)
    answer = client.get(studio.base(run) + "index.html")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    wrong = client.get(f"/runs/{run}/{studio.shelf.token(other)}/index.html")
    absent = client.get(f"/runs/{run[:-1]}/{studio.shelf.token(other)}/index.html")
    assert wrong.status_code == absent.status_code == 404
    assert wrong.json() == absent.json()


@pytest.mark.parametrize(
    "name",
    [
        "studio.json",
        "../studio.json",
        "..%2F..%2Fsecret",
        "%2e%2e/%2e%2e/secret",
        "1-a/../../secret",
        "/etc/passwd",
        "",
        "result.png",
        "action.gif",
        "1-tiny/index.html",
    ],
)
def test_no_other_file_is_reached(client, studio, name):
    run = finished(studio.shelf)
    answer = client.get(studio.base(run) + name)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_a_deleted_run_is_gone_for_its_links_too(client, studio):
    run = finished(studio.shelf)
    entry = studio.shelf.store.get(run)
    studio.shelf.delete(run, entry.owner)
    assert client.get(studio.base(run) + "index.html").status_code == 404


def test_photos_have_tokens_too(client, studio, upload):
    from showme.studio.photos import keep_photo

    photo = keep_photo(upload, studio.photos, studio.settings)
    assert client.get(studio.photo_address(photo)).content == upload.read_bytes()
    assert client.get(f"/photos/{photo}/{'0' * 32}").status_code == 404
