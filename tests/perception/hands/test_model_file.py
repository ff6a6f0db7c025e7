"""Fetching the hand model, from a server of our own."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from showme.errors import InputError, OutsideError
from showme.perception.hands import model_file
from showme.perception.hands.model_file import NAME, SHA256, URL, hand_model_file

CONTENT = b"networks of hands" * 1000
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch):
    """An address that serves ``CONTENT``; its list ``asked`` counts the requests."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if self.path == "/none":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            # "/short" ends before what it promised.
            self.wfile.write(CONTENT[: len(CONTENT) // 2] if self.path == "/short" else CONTENT)

        def log_message(self, *_):
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    http = HTTPServer(("127.0.0.1", 0), Handler)
    http.asked = asked
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield http
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOWME_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def address(server: HTTPServer, path: str = "/hands") -> str:
    return f"http://127.0.0.1:{server.server_port}{path}"


def test_a_file_of_the_user_s_is_taken_as_it_is(tmp_path):
    (tmp_path / "mine.task").write_bytes(b"mine")
    assert hand_model_file(tmp_path / "mine.task") == tmp_path / "mine.task"
    with pytest.raises(InputError, match=r"no hand model .*none\.task"):
        hand_model_file(tmp_path / "none.task")


def test_the_published_file_is_fetched_once(server, cache):
    for _ in range(2):
        path = hand_model_file(url=address(server), sha256=CHECKSUM)
        assert path == cache / NAME
        assert path.read_bytes() == CONTENT
    assert server.asked == ["/hands"]
    assert [each.name for each in cache.iterdir()] == [NAME]


def test_another_file_is_refused_and_not_kept(server, cache):
    with pytest.raises(OutsideError, match=f"not the published {NAME}"):
        hand_model_file(url=address(server), sha256=SHA256)
    assert list(cache.iterdir()) == []


def test_a_changed_file_in_the_cache_is_refused(server, cache):
    hand_model_file(url=address(server), sha256=CHECKSUM).write_bytes(b"changed")
    with pytest.raises(InputError, match="remove it"):
        hand_model_file(url=address(server), sha256=CHECKSUM)


@pytest.mark.parametrize("path", ["/none", "/short"])
def test_a_download_that_fails_says_what_to_do(server, cache, path):
    with pytest.raises(OutsideError) as error:
        hand_model_file(url=address(server, path), sha256=CHECKSUM)
    assert list(cache.iterdir()) == []
    assert "\n" not in str(error.value)
    assert str(cache / NAME) in str(error.value)


def test_without_a_network_the_file_and_its_place_are_named(server, cache):
    url = address(server)
    server.shutdown()
    server.server_close()
    with pytest.raises(OutsideError, match=r"could not be fetched .*put it at .*hand_landmarker\.task") as error:
        hand_model_file(url=url, sha256=CHECKSUM)
    assert url in str(error.value)


def test_a_server_that_sends_too_much_is_left(server, cache, monkeypatch):
    monkeypatch.setattr(model_file, "_LARGEST", 100)
    monkeypatch.setattr(model_file, "_PIECE", 64)
    with pytest.raises(InputError, match="no hand model"):
        hand_model_file(url=address(server), sha256=CHECKSUM)
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("SHOWME_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="set SHOWME_CACHE"):
        hand_model_file(url="http://127.0.0.1:9/hands", sha256=CHECKSUM)


def test_what_is_fetched_is_pinned():
    assert URL.startswith("https://storage.googleapis.com/mediapipe-models/")
    assert len(bytes.fromhex(SHA256)) == 32
