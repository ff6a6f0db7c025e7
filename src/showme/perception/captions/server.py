"""Chat models behind an OpenAI-compatible server: vLLM, llama.cpp, Ollama, LM Studio, or a service on the net."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import urlsplit

from PIL import Image

from ...errors import InputError, OutsideError
from .answers import AnswerError
from .prompts import Prompt

# The key is read from here for every question, sent in a header, and kept nowhere.
KEY_VARIABLE = "SHOWME_SERVER_KEY"
MAX_REPLY = 2**20
_MAX_TOKENS = 1024
_TEMPERATURE = 0.7
_LONGEST_PAUSE = 60.0

_Result = TypeVar("_Result")


class ChatServer:
    """A captioner: POST ``{address}/chat/completions`` with the picture as PNG in a data URL.

    Busy servers (429, 5xx) and broken connections are tried again, after a pause that doubles, or that the server asks
    for. Redirections are not followed: they would take the key elsewhere.

    Args:
        address: ``http://127.0.0.1:8000/v1``; without a key in it.
        model: name, as the server knows it.
        timeout: seconds for one whole exchange.
        tries: exchanges per question.
        pause: seconds ahead of the second try.

    Raises:
        InputError: not such an address, or no model.
    """

    def __init__(self, address: str, model: str, timeout: float = 300.0, tries: int = 4, pause: float = 1.0):
        _check_address(address)
        if not model.strip():
            raise InputError(f"No model was named for the server {address}: write server:ADDRESS#MODEL.")
        self.address, self.model = address.rstrip("/"), model
        self.name = f"server:{self.address}#{model}"
        self.timeout, self.tries, self.pause = timeout, tries, pause
        self._opener = urllib.request.build_opener(_NoRedirects)

    @classmethod
    def from_name(cls, name: str) -> ChatServer:
        """From ``ADDRESS#MODEL``.

        Raises:
            InputError: not such an address, or no model.
        """
        address, _, model = name.partition("#")
        return cls(address, model)

    def answer(self, picture: Image.Image, prompt: Prompt, instruction: str, attempt: int = 0) -> str:
        """The raw answer; a temperature of 0 for the first attempt, 0.7 and the attempt as seed for others.

        Args:
            picture: RGB.
            prompt: what is asked.
            instruction: what the clip shows.
            attempt: 0, 1, 2, ...

        Raises:
            AnswerError: the server says that it cut the answer off, or that the model refused.
            InputError: the instruction is empty, or the server refuses, or does not answer as such servers do.
            OutsideError: the server cannot be reached, or is too slow.
        """
        sampling = {"temperature": _TEMPERATURE, "seed": attempt} if attempt else {"temperature": 0}
        content = [
            {"type": "image_url", "image_url": {"url": _data_url(picture)}},
            {"type": "text", "text": prompt.question(instruction)},
        ]
        message = {"role": "user", "content": content}
        body = {"model": self.model, "messages": [message], "max_tokens": _MAX_TOKENS, **sampling}
        return self._content(self._exchange(json.dumps(body).encode()))

    def _exchange(self, body: bytes) -> bytes:
        """The body of the first reply of status 200."""
        fault = ""
        key = _key()
        pause = 0.0
        for number in range(self.tries):
            time.sleep(pause)
            pause = self.pause * 2**number
            try:
                status, asked_pause, reply = _within(self.timeout, lambda: self._send(body, key))
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", error)
                if isinstance(reason, TimeoutError):
                    raise OutsideError(
                        f"{self.address} did not answer within {self.timeout:g} s: choose a smaller model or a faster "
                        "machine."
                    ) from error
                fault = _printable(str(getattr(reason, "strerror", None) or reason)) or type(reason).__name__
                continue
            if status == 200:
                return reply
            if status != 429 and status < 500:
                raise InputError(self._refusal(status, reply, key))
            fault = f"status {status}"
            pause = max(pause, asked_pause)
        raise OutsideError(
            f"{self.address} gave no answer in {self.tries} tries ({fault}): check the address and the server."
        )

    def _send(self, body: bytes, key: str | None) -> tuple[int, float, bytes]:
        """One exchange: status, the pause that the server asks for in seconds, and at most ``MAX_REPLY`` + 1 bytes."""
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        request = urllib.request.Request(f"{self.address}/chat/completions", body, headers, method="POST")
        try:
            response = self._opener.open(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            reply = response.read(MAX_REPLY + 1)
            if len(reply) <= MAX_REPLY and getattr(response, "length", None):
                raise http.client.IncompleteRead(reply, response.length)
            asked = response.headers.get("Retry-After") or ""
            pause = float(asked) if asked.isascii() and asked.isdigit() else 0.0
            return response.status, min(pause, _LONGEST_PAUSE), reply

    def _refusal(self, status: int, reply: bytes, key: str | None) -> str:
        if status in (401, 403):
            return f"{self.address} refused the key (status {status}): set {KEY_VARIABLE} to one that it knows."
        if status == 404:
            return (
                f"{self.address} has no chat/completions or no model {self.model!r} (status 404): give the address up "
                "to and with /v1, and a model that it serves."
            )
        if 300 <= status < 400:
            return f"{self.address} sends to another address (status {status}): give that one."
        said = reply.decode(errors="replace")
        said = _printable(said.replace(key, "***") if key else said)
        return f"{self.address} refused the question with status {status} ({said}): mend what it names."

    def _content(self, reply: bytes) -> str:
        """What the model said, out of the server's JSON."""
        if len(reply) > MAX_REPLY:
            raise InputError(f"{self.address} answered with more than {MAX_REPLY:,} bytes: check the address.")
        try:
            choice = json.loads(reply)["choices"][0]
            message = choice["message"]
            said = message.get("content")
            if isinstance(said, list):
                said = "".join(part["text"] for part in said if part["type"] == "text")
            if not isinstance(said, str | None):
                raise TypeError("content is no text")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{self.address} does not answer as an OpenAI-compatible server does: check the address, which often "
                "ends in /v1."
            ) from error
        if choice.get("finish_reason") == "length":
            raise AnswerError(f"it did not end within {_MAX_TOKENS} tokens")
        if not said and isinstance(message.get("refusal"), str):
            raise AnswerError(f'it is a refusal, "{_printable(message["refusal"])}"')
        return said or ""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _within(seconds: float, call: Callable[[], _Result]) -> _Result:
    """The result of ``call``, or TimeoutError: a socket's own timeout begins anew with every byte that drips in."""
    results: list[_Result] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except Exception as error:
            errors.append(error)

    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return results[0]


def _check_address(address: str) -> None:
    example = "give one like http://127.0.0.1:8000/v1"
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not address.isascii() or any(char <= " " or char == "\x7f" for char in address):
        raise InputError(f"{address!r} is not the address of a server: {example}.")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise InputError(
            f"The address of the server {parts.hostname} holds a name, a key or a question: {example}, and the key in "
            f"{KEY_VARIABLE}."
        )


def _key() -> str | None:
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not all("!" <= char <= "~" for char in key):
        raise InputError(f"{KEY_VARIABLE} holds characters that no key has: set it to the key alone.")
    return key or None


def _data_url(picture: Image.Image) -> str:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def _printable(text: str) -> str:
    """For messages: the beginning in one line, with nothing that moves a terminal's cursor."""
    return "".join(char for char in " ".join(text[:2000].split()) if char.isprintable())[:200]
