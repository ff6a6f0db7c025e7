"""The studio for programs: by gradio's client, by plain HTTP, behind a password, and below a prefix."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time

import httpx
import pytest

from .conftest import serving

PASSWORD = "correct horse"
_PAGE = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def server(tmp_path_factory, models):
    folder = tmp_path_factory.mktemp("studio") / "studio"
    with serving(folder, "--models", str(models), "--password", PASSWORD) as server:
        yield server


def ask(http: httpx.Client, upload, **changes) -> tuple[str, object]:
    """(complete or error, its data) of a call."""
    with upload.open("rb") as file:
        path = http.post("/gradio_api/upload", files={"files": (upload.name, file)}).json()[0]
    photo = {"path": path, "meta": {"_type": "gradio.FileData"}}
    asked = {"photo": photo, "instruction": "push the red box", "model": "tiny", "task": "image", **changes}
    event = http.post("/gradio_api/call/v2/generate", json=asked).json()["event_id"]
    lines = http.get(f"/gradio_api/call/v2/generate/{event}").text.splitlines()
    kinds = [line.split(": ", 1)[1] for line in lines if line.startswith("event:")]
    data = [line.split(": ", 1)[1] for line in lines if line.startswith("data:")]
    return kinds[-1], json.loads(data[-1])


def test_plain_http(server, upload):
    with httpx.Client(base_url=server.address, auth=("anybody", PASSWORD), timeout=60) as http:
        kind, made = ask(http, upload, seed=3)
        assert kind == "complete"
        result = made[0]["results"][0]
        assert result["model"] == "tiny"
        assert http.get(result["picture"]).headers["content-type"] == "image/png"
        record = http.get(made[0]["page"].replace("index.html", "run.json")).json()
        assert record["settings"]["seed"] == 3
        kind, error = ask(http, upload, model="tinny")
        assert kind == "error"
        assert "There is no model 'tinny' here (did you mean tiny?)" in error["error"]


def test_nothing_without_the_password(server):
    for path in ("/", "/gradio_api/info", "/config", "/runs/a/b/index.html"):
        assert httpx.get(server.address + path).status_code == 401
    assert httpx.get(f"{server.address}/health").json()["status"] == "ok"


def test_gradios_own_client(server, upload):
    client = pytest.importorskip("gradio_client")
    headers = {"Authorization": httpx.BasicAuth("anybody", PASSWORD)._auth_header}
    asked = client.Client(server.address, headers=headers, verbose=False)
    made = asked.predict(client.handle_file(upload), "push the red box", model="tiny", api_name="/generate")
    assert set(made["results"][0]) == {"model", "picture", "video", "strip", "warnings"}
    names = asked.view_api(return_format="dict")["named_endpoints"]
    assert list(names) == ["/generate"]


@pytest.fixture
def proxied(tmp_path, models):
    """(address below a prefix) of a studio behind a proxy that takes the prefix off."""
    uvicorn = pytest.importorskip("uvicorn")
    with serving(tmp_path / "studio", "--models", str(models), "--root-path", "/tools/studio") as server:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = uvicorn.Config(
            _proxy(server.address, "/tools/studio"), port=port, log_level="error", timeout_graceful_shutdown=1
        )
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{port}/tools/studio"
        running.should_exit = True
        thread.join(timeout=30)


def _proxy(target: str, prefix: str):
    """What a web server in front does."""

    async def app(scope, receive, send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(prefix):
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 404, "headers": []})
                await send({"type": "http.response.body", "body": b"not below the prefix"})
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
        address = target + scope["path"].removeprefix(prefix) + query
        headers = [(k, v) for k, v in scope["headers"] if k != b"content-length"]
        async with httpx.AsyncClient(timeout=60) as http:
            request = http.build_request(scope["method"], address, headers=headers, content=body)
            answer = await http.send(request, stream=True)
            kept = [(k, v) for k, v in answer.headers.raw if k.lower() not in (b"transfer-encoding", b"connection")]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
            async for part in answer.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            await answer.aclose()
        await asyncio.sleep(0)

    return app


def test_below_a_prefix_everything_stays_below_it(proxied, browser, upload):
    context = browser.new_context()
    page = context.new_page()
    failed: list[str] = []
    page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
    page.goto(f"{proxied}/")
    page.wait_for_selector("#sm-make")
    page.set_input_files("#sm-photo input[type=file]", upload)
    page.wait_for_selector("#sm-photo img")
    page.get_by_label("Instruction", exact=True).fill("push the red box to the left")
    page.click("#sm-make")
    page.wait_for_selector("#sm-shown [data-frame]", timeout=60_000)
    page.wait_for_function("[...document.querySelectorAll('#sm-shown img')].every(each => each.naturalWidth)")
    assert {cookie["path"] for cookie in context.cookies()} == {"/tools/studio/"}
    assert not failed
    context.close()


def test_no_request_names_a_file_of_the_machine(tmp_path, models, upload):
    """gradio alone copies whatever file a request names to where it can be fetched, once a page is mounted."""
    with serving(tmp_path / "studio", "--models", str(models)) as server:
        secret = tmp_path / "studio" / "secret"
        with httpx.Client(base_url=server.address, timeout=20) as http:
            for name in (str(secret), str(upload)):
                named = {"path": name, "meta": {"_type": "gradio.FileData"}}
                asked = {"photo": named, "instruction": "push the red box", "model": "tiny", "task": "image"}
                event = http.post("/gradio_api/call/v2/generate", json=asked).json()["event_id"]
                assert "event: error" in http.get(f"/gradio_api/call/v2/generate/{event}").text
            assert http.get("/gradio_api/deep_link?session_hash=x").status_code == 404
            assert http.get("/config?deep_link=x").status_code == 404
        copies = [path for path in (tmp_path / "studio" / "uploads").rglob("*") if path.is_file()]
        assert not [path for path in copies if path.name in ("secret", upload.name)]
        assert not list((tmp_path / "studio" / "photos").iterdir())


def await_jobs(http: httpx.Client, count: int) -> None:
    deadline = time.monotonic() + 20
    while http.get("/health").json()["open_jobs"] < count:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_many_that_wait_keep_nobody_from_the_page(tmp_path, models, upload):
    with serving(tmp_path / "studio", "--models", str(models)) as server, upload.open("rb") as file:
        clients = [httpx.Client(base_url=server.address, timeout=20) for _ in range(60)]
        path = clients[0].post("/gradio_api/upload", files={"files": (upload.name, file)}).json()[0]
        photo = {"path": path, "meta": {"_type": "gradio.FileData"}}
        asked = {"photo": photo, "instruction": "push", "model": "tiny", "steps": 100, "clips": 16}
        for number, client in enumerate(clients):
            client.cookies.set("showme_visitor", f"visitor{number}")
            assert client.post("/gradio_api/call/v2/generate", json=asked).status_code == 200
        await_jobs(clients[0], 60)
        # One address without a key has one visitor's share.
        with httpx.Client(base_url=server.address, timeout=20) as http:
            for seed in range(8):
                assert http.post("/gradio_api/call/v2/generate", json=asked | {"seed": seed}).status_code == 200
            await_jobs(http, 68)
            event = http.post("/gradio_api/call/v2/generate", json=asked | {"seed": 8}).json()["event_id"]
            text = http.get(f"/gradio_api/call/v2/generate/{event}").text
            assert "of your jobs are waiting or running" in text
