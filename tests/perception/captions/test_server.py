"""OpenAI-compatible servers: good ones, busy ones, broken ones and hostile ones, all on this machine."""

from __future__ import annotations

import base64
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from showme.errors import InputError, OutsideError
from showme.perception import captioner
from showme.perception.captions import ENRICHMENT, STATES, AnswerError, ChatServer
from showme.perception.captions.server import KEY_VARIABLE, MAX_REPLY

_SECRET = "sk-very-secret-0123456789"


def _reply(content, **choice) -> bytes:
    message = {"role": "assistant", "content": content}
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop", **choice}]}).encode()


class Server:
    """A server that plays one move after the other, the last one ever after, and keeps what it was asked."""

    def __init__(self):
        self.moves: list[Callable[[BaseHTTPRequestHandler], None]] = []
        self.requests: list[tuple[str, dict[str, str], dict]] = []
        self.closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append((self.path, dict(self.headers), body))
                move = outer.moves.pop(0) if len(outer.moves) > 1 else outer.moves[0]
                move(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def captioner(self, **options) -> ChatServer:
        return ChatServer(self.address, "tiny-vlm", **{"timeout": 5.0, "pause": 0.01, **options})

    def drips(self, handler) -> None:
        """One byte every now and then, for ever."""
        handler.send_response(200)
        handler.end_headers()
        while not self.closing.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    def sleeps(self, handler) -> None:
        self.closing.wait(10)


def _says(body: bytes, status: int = 200, **headers: str):
    def move(handler):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return move


def _hangs_up(handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def _breaks_off(handler) -> None:
    body = _reply("The person pulls.")
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[:20])
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


def _talks_no_http(handler) -> None:
    handler.wfile.write(b"\x00\x01 this is no web server\r\n\r\n")


def _sends_for_ever(handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x" * 65536)
    except OSError:
        pass


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.closing.set()
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def picture() -> Image.Image:
    gradient = Image.linear_gradient("L").resize((20, 14))
    return Image.merge("RGB", (gradient, gradient.rotate(180), gradient))


def test_a_question_and_its_answer(server, picture):
    server.moves = [_says(_reply("The person pulls."))]
    model = captioner(f"server:{server.address}/#tiny/vlm:7b")
    assert model.name == f"server:{server.address}#tiny/vlm:7b"
    assert model.answer(picture, ENRICHMENT, "öffnen") == "The person pulls."
    ((path, headers, body),) = server.requests
    assert path == "/v1/chat/completions"
    assert headers["Content-Type"] == "application/json"
    assert "Authorization" not in headers
    assert body["model"] == "tiny/vlm:7b"
    assert body["temperature"] == 0
    assert body["max_tokens"] > 0
    (message,) = body["messages"]
    assert message["role"] == "user"
    image, text = message["content"]
    assert text == {"type": "text", "text": ENRICHMENT.question("öffnen")}
    kind, data = image["image_url"]["url"].split(",")
    assert kind == "data:image/png;base64"
    sent = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    assert sent.mode == "RGB"
    assert sent.tobytes() == picture.tobytes()


def test_later_attempts_sample_with_their_own_seed(server, picture):
    server.moves = [_says(_reply("prose"))]
    for attempt in (1, 2):
        server.captioner().answer(picture, ENRICHMENT, "open", attempt)
    assert [(body["temperature"], body["seed"]) for *_, body in server.requests] == [(0.7, 1), (0.7, 2)]


def test_the_key_goes_into_the_header_and_nowhere_else(server, picture, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, f" {_SECRET}\n")
    server.moves = [_says(_reply("prose")), _says(f'{{"error": "bad key {_SECRET}"}}'.encode(), 400)]
    model = server.captioner()
    model.answer(picture, ENRICHMENT, "open")
    _, headers, body = server.requests[0]
    assert headers["Authorization"] == f"Bearer {_SECRET}"
    assert _SECRET not in json.dumps(body) + model.name + repr(vars(model))
    with pytest.raises(InputError, match=r"status 400 .*bad key \*\*\*") as caught:
        model.answer(picture, ENRICHMENT, "open")
    assert _SECRET not in str(caught.value)
    monkeypatch.setenv(KEY_VARIABLE, "two\nlines")
    with pytest.raises(InputError, match=f"{KEY_VARIABLE} holds characters") as caught:
        model.answer(picture, ENRICHMENT, "open")
    assert "lines" not in str(caught.value)


@pytest.mark.parametrize("fault", [_says(b"", 500), _says(b"", 503), _says(b"", 429), _hangs_up, _breaks_off])
def test_passing_faults_are_tried_again(server, picture, fault):
    server.moves = [fault, fault, _says(_reply("The person pulls."))]
    assert server.captioner().answer(picture, ENRICHMENT, "open") == "The person pulls."
    assert len(server.requests) == 3


def test_pauses_double_and_the_server_may_ask_for_longer_ones(server, picture, monkeypatch):
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    busy = [_says(b"", 429, Retry_After=after) for after in ("7", "999999", "soon", "0")]
    server.moves = [*busy, _says(_reply("prose"))]
    server.captioner(tries=5, pause=1.0).answer(picture, ENRICHMENT, "open")
    assert pauses == [0.0, 7.0, 60.0, 4.0, 8.0]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (_says(b"", 500), "status 500"),
        (_says(b"", 429), "status 429"),
        (_hangs_up, "Remote end closed connection"),
        (_talks_no_http, "no web server"),
    ],
)
def test_lasting_faults_are_reported_with_the_address(server, picture, fault, reason):
    server.moves = [fault]
    with pytest.raises(OutsideError, match=reason) as caught:
        server.captioner(tries=3).answer(picture, ENRICHMENT, "open")
    assert str(caught.value).startswith(f"{server.address} gave no answer in 3 tries (")
    assert "\n" not in str(caught.value)
    assert len(server.requests) == 3


def test_where_no_server_listens(picture):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(
        OutsideError, match=rf"http://127.0.0.1:{port}/v1 gave no answer in 2 tries \(Connection refused\)"
    ):
        ChatServer(f"http://127.0.0.1:{port}/v1", "m", tries=2, pause=0.01).answer(picture, STATES, "open")


@pytest.mark.parametrize("move", ["drips", "sleeps"])
def test_slow_servers_are_left_in_time(server, picture, move):
    server.moves = [getattr(server, move)]
    start = time.monotonic()
    with pytest.raises(OutsideError, match=rf"{server.address} did not answer within 0\.4 s"):
        server.captioner(timeout=0.4).answer(picture, ENRICHMENT, "open")
    assert time.monotonic() - start < 3
    assert len(server.requests) == 1


def test_a_slow_answer_within_the_time_is_taken(server, picture):
    def slowly(handler):
        time.sleep(0.3)
        _says(_reply("prose"))(handler)

    server.moves = [slowly]
    assert server.captioner().answer(picture, ENRICHMENT, "open") == "prose"


@pytest.mark.parametrize("move", [_sends_for_ever, _says(_reply("x" * MAX_REPLY))])
def test_no_more_is_read_than_an_answer_can_be_long(server, picture, move):
    server.moves = [move]
    with pytest.raises(InputError, match=rf"{server.address} answered with more than 1,048,576 bytes"):
        server.captioner().answer(picture, ENRICHMENT, "open")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, f"refused the key .status 401.: set {KEY_VARIABLE}"),
        (403, "refused the key .status 403."),
        (404, "has no chat/completions or no model 'tiny-vlm' .status 404."),
        (400, r"refused the question with status 400 .no \[31m picture!+.: mend"),
        (413, "refused the question with status 413"),
        (302, "sends to another address .status 302."),
        (307, "sends to another address .status 307."),
    ],
)
def test_refusals_are_reported_at_once(server, picture, monkeypatch, status, message):
    monkeypatch.setenv(KEY_VARIABLE, _SECRET)
    elsewhere = f"http://localhost:{server.http.server_port}/elsewhere"
    server.moves = [_says(b"no \x1b[31m\npicture" + b"!" * 5000, status, Location=elsewhere)]
    with pytest.raises(InputError, match=message) as caught:
        server.captioner().answer(picture, ENRICHMENT, "open")
    assert str(caught.value).startswith(server.address)
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>welcome</html>",
        b"\xff\xfe",
        b"[" * 200_000,
        b"null",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": {"0": 1}}',
        b'{"choices": [{"message": "text"}]}',
        b'{"choices": [{"message": {"content": 7}}]}',
        b'{"choices": [{"message": {"content": [7]}}]}',
        b'{"choices": [{"message": {"content": [{"type": "text", "text": 7}]}}]}',
    ],
)
def test_garbage_is_refused(server, picture, body):
    server.moves = [_says(body)]
    with pytest.raises(InputError, match=f"{server.address} does not answer as an OpenAI-compatible server does"):
        server.captioner().answer(picture, ENRICHMENT, "open")


def test_answers_in_parts_are_joined_and_no_answer_is_empty(server, picture):
    parts = [{"type": "text", "text": "The person "}, {"type": "thinking"}, {"type": "text", "text": "pulls."}]
    server.moves = [_says(_reply(parts)), _says(_reply(None)), _says(b'{"choices": [{"message": {}}]}')]
    answers = [server.captioner().answer(picture, ENRICHMENT, "open") for _ in range(3)]
    assert answers == ["The person pulls.", "", ""]


def test_answers_that_were_cut_off_or_refused_are_no_answers(server, picture):
    refusal = json.dumps({"choices": [{"message": {"content": None, "refusal": "I will not \ud800."}}]}).encode()
    server.moves = [_says(_reply("1. The box", finish_reason="length")), _says(refusal)]
    with pytest.raises(AnswerError, match="it did not end within 1024 tokens"):
        server.captioner().answer(picture, STATES, "open")
    with pytest.raises(AnswerError, match='it is a refusal, "I will not'):
        server.captioner().answer(picture, STATES, "open")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("localhost:8000", "is not the address of a server"),
        ("file:///etc/passwd#m", "is not the address of a server"),
        ("ftp://host/v1#m", "is not the address of a server"),
        ("http://#m", "is not the address of a server"),
        ("http://host:99999/v1#m", "is not the address of a server"),
        ("http://ho st/v1#m", "is not the address of a server"),
        ("http://host/\r\nX: y#m", "is not the address of a server"),
        ("http://h\u00f6st/v1#m", "is not the address of a server"),
        ("http://host/v1", "No model was named"),
        ("http://host/v1#", "No model was named"),
        ("http://user:word@host/v1#m", "holds a name, a key or a question"),
        ("http://host/v1?key=secret#m", "holds a name, a key or a question"),
    ],
)
def test_addresses_that_cannot_be_used(name, message):
    with pytest.raises(InputError, match=message) as caught:
        captioner(f"server:{name}")
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "word@" not in str(caught.value)
