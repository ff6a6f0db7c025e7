"""Addresses of a study: who is let in where, and what they are given."""

from __future__ import annotations

import csv
import io
import re
import shutil
from pathlib import Path

import pytest

from showme.errors import InputError
from showme.judging import open_study
from showme.studio.judge.clips import clip_name
from showme.studio.judge.secret import load_secret, new_judge
from showme.studio.judge.service import JudgeService

from .conftest import COUNT, MARKUP, TITLE

pytest.importorskip("gradio", reason="the pages need gradio")

from fastapi import FastAPI
from fastapi.testclient import TestClient

from showme.studio.judge.routes import links, mount, mount_studies


@pytest.fixture(scope="module")
def copy(folder, tmp_path_factory) -> Path:
    return shutil.copytree(folder, tmp_path_factory.mktemp("served") / "copy")


@pytest.fixture(scope="module")
def app(copy) -> FastAPI:
    app = FastAPI()
    mount(app, copy)
    return app


@pytest.fixture
def client(app) -> TestClient:
    """A browser without cookies."""
    return TestClient(app, base_url="http://study")


@pytest.fixture
def tokens(copy) -> tuple[str, str]:
    """Of judges and of the owner."""
    return open_study(copy).token, load_secret(copy).owner_token


def test_the_links_are_the_ones_that_open(client, copy, tokens):
    shown = links(copy, "http://study/judge/")
    assert shown.judge == f"http://study/judge/?token={tokens[0]}"
    assert client.get(shown.judge).status_code == 200
    assert client.get(shown.results).status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", "\N{GREEK SMALL LETTER ALPHA}", "OWNER"])
def test_without_the_judges_token_there_is_one_sentence(client, copy, tokens, token):
    clip = clip_name(load_secret(copy), "a", "clip 0")
    token = tokens[1] if token == "OWNER" else token
    for path in ("/judge/", f"/judge/clips/{clip}", "/judge/gradio_api/app_id"):
        answer = client.get(path, params={"token": token})
        assert answer.status_code == 403, path
        assert re.fullmatch(r"[A-Z][^.]*\.", answer.text)
        assert "set-cookie" not in answer.headers
    assert client.post("/judge/gradio_api/run/predict", json={}, params={"token": tokens[0]}).status_code == 403


@pytest.mark.parametrize("token", ["", "wrong", "JUDGE"])
def test_without_the_owners_token_there_are_no_results(client, tokens, token):
    client.get("/judge/", params={"token": tokens[0]})
    for path in ("/judge/results", "/judge/results.json", "/judge/results.csv"):
        answer = client.get(path, params={"token": tokens[0] if token == "JUDGE" else token})
        assert answer.status_code == 403
        assert answer.text.startswith("The results open with their whole link")


def test_a_judge_gets_an_id_that_stays(client, copy, tokens):
    first = client.get("/judge/", params={"token": tokens[0]})
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/judge;" in cookie
    judge = load_secret(copy).judge_of(client.cookies[load_secret(copy).cookie])
    assert judge is not None
    client.get("/judge/", params={"token": tokens[0]})
    assert load_secret(copy).judge_of(client.cookies[load_secret(copy).cookie]) == judge


def test_a_forged_id_is_no_id(client, copy, tokens):
    secret = load_secret(copy)
    clip = clip_name(secret, "a", "clip 0")
    client.cookies.set(secret.cookie, f"{new_judge()}.{'0' * 32}", domain="study", path="/judge")
    assert client.get(f"/judge/clips/{clip}").status_code == 403
    given = client.get("/judge/", params={"token": tokens[0]}).headers["set-cookie"]
    assert secret.judge_of(given.partition("=")[2].partition(";")[0]) is not None


def test_clips_come_whole_and_in_parts(client, copy, tokens):
    client.get("/judge/", params={"token": tokens[0]})
    clip = clip_name(load_secret(copy), "b", "clip 3")
    content = (copy / "clips" / clip).read_bytes()
    whole = client.get(f"/judge/clips/{clip}")
    assert (whole.status_code, whole.headers["content-type"], whole.content) == (200, "video/mp4", content)
    part = client.get(f"/judge/clips/{clip}", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(content)}"


@pytest.mark.parametrize(
    "path", ["clips/x.mp4", "clips/..%2Fsecret", "clips/%2e%2e/secret", "clips/../secret", f"clips/{'0' * 32}.mp4",
             "secret", "answers.sqlite", "study.json", "config", "gradio_api/upload", "gradio_api/info",
             "gradio_api/file=/etc/passwd", "gradio_api/queue/join", "gradio_api/startup-events", "docs"],
)  # fmt: skip
def test_nothing_else_is_there(client, tokens, path):
    client.get("/judge/", params={"token": tokens[0]})
    for method in ("GET", "POST"):
        assert client.request(method, f"/judge/{path}", params={"token": tokens[0]}).status_code in (404, 405)


def test_the_judges_page_holds_no_name_path_or_secret(client, copy, tokens):
    page = client.get("/judge/", params={"token": tokens[0]})
    assert str(copy) not in page.text
    assert str(copy.parents[1]) not in page.text
    assert load_secret(copy).key not in page.text
    assert tokens[1] not in page.text
    assert TITLE not in page.text
    assert "no-referrer" in page.headers["referrer-policy"]


def test_results_are_a_page_json_and_csv(client, copy, tokens):
    service, judge = JudgeService(copy), new_judge()
    brighter = {clip_name(service.secret, "b", clip) for clip in service.study.clips}
    while (shown := service.showing(judge)) is not None:
        side = "left" if shown.left in brighter else "right"
        service.answer(judge, shown.ticket, {"quality": side, "instruction": "tie", "consistency": side})
    owner = {"token": tokens[1]}
    page = client.get("/judge/results", params=owner)
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "b is preferred to a in 100.0% of 10 answers" in page.text
    assert TITLE not in page.text
    assert "<script" not in page.text
    figures = client.get("/judge/results.json", params=owner).json()
    assert figures["judgements"] == COUNT
    assert figures["questions"][0]["preferences"][0]["losses"] == COUNT
    rows = list(csv.DictReader(io.StringIO(client.get("/judge/results.csv", params=owner).text)))
    assert len(rows) == 3 * COUNT
    assert {row["winner"] for row in rows if row["question"] == "quality"} == {"b"}
    assert {row["judge"] for row in rows} == {judge}


def test_results_that_cannot_be_read_are_one_sentence(folder, tmp_path):
    broken, app = shutil.copytree(folder, tmp_path / "broken"), FastAPI()
    mount(app, broken)
    (broken / "answers.sqlite").write_bytes(b"junk" * 1000)
    answer = TestClient(app).get("/judge/results", params={"token": load_secret(broken).owner_token})
    assert answer.status_code == 503
    assert "answers.sqlite cannot be used" in answer.text


def test_studies_are_found_while_the_server_runs(folder, tmp_path):
    there = {}
    app = FastAPI()
    mount_studies(app, there.get)
    client = TestClient(app, base_url="http://study")
    assert client.get("/judge/first/").status_code == 404
    for name in ("first", "second"):
        there[name] = shutil.copytree(folder, tmp_path / name)
        (there[name] / "secret").unlink()
    shown = {name: links(place, f"http://study/judge/{name}") for name, place in there.items()}
    for name, each in shown.items():
        page = client.get(each.judge)
        assert page.status_code == 200
        assert f"Path=/judge/{name};" in page.headers["set-cookie"]
        assert client.get(each.results).status_code == 200
    assert client.get(shown["first"].results.replace("first", "second")).status_code == 403
    # A cookie of one study opens no other's clips.
    clip = clip_name(load_secret(there["second"]), "a", "clip 0")
    assert client.get(f"/judge/second/clips/{clip}").status_code == 200
    stranger = TestClient(app, base_url="http://study")
    stranger.get(shown["first"].judge)
    assert stranger.get(f"/judge/second/clips/{clip}").status_code == 403
    there["broken"] = tmp_path
    answer = client.get("/judge/broken/")
    assert (answer.status_code, str(tmp_path) in answer.text) == (503, False)
    for path in ("/judge/", "/judge/third/", "/judge/first", "/judge/../", "/judge/first/nothing"):
        assert client.get(path).status_code == 404, path


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(InputError, match="There is no study"):
        mount(FastAPI(), tmp_path)


def test_text_is_shown_as_it_is():
    from showme.studio.judge.markup import head, pair, text, trouble
    from showme.studio.judge.service import Shown

    body = pair(Shown("t", "l.mp4", "r.mp4", MARKUP, 3, 10)) + head(TITLE) + trouble(MARKUP)
    assert not re.search(r"\$\{|\{\{|<img|<b>|<script|`", body)
    import html

    assert html.unescape(text(MARKUP)) == MARKUP
    assert "3 of 10" in body
    assert "Instruction" not in pair(Shown("t", "l.mp4", "r.mp4", "", 1, 2))
