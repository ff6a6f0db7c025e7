"""Names of the hub's models: pinned where figures depend on them, and anybody's revision otherwise."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub.constants
import pytest

from showme.errors import InputError
from showme.evaluation.explain import explain
from showme.evaluation.protocol import load_protocol
from showme.hub import PINNED, MissingModelError, from_disk_or_hub, split_revision, with_revision

# Nothing answers there.
NOBODY = 9
CLIP = "openai/clip-vit-base-patch32"


def test_known_models_are_pinned_and_others_have_the_revision_that_is_named(tmp_path):
    assert split_revision(CLIP) == (CLIP, PINNED[CLIP])
    assert split_revision(f"{CLIP}@v1") == (CLIP, "v1")
    assert split_revision("example/other") == ("example/other", "main")
    (tmp_path / "a@b").mkdir()
    assert split_revision(tmp_path / "a@b") == (str(tmp_path / "a@b"), "main")
    assert all(len(commit) == 40 and set(commit) <= set("0123456789abcdef") for commit in PINNED.values())


def test_words_name_the_commit():
    assert with_revision(CLIP) == f"{CLIP}@{PINNED[CLIP][:8]}"
    assert with_revision("example/other") == "example/other"
    assert any(f"CLIP is {with_revision(CLIP)}" in sentence for sentence in explain(load_protocol("showme-video")))


def _move(monkeypatch, port: int) -> None:
    address = f"http://127.0.0.1:{port}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)


@pytest.fixture
def hub(monkeypatch):
    """A hub that answers every question about a file with what is set in it: a status and its word for the error."""
    answer = {"status": 200, "error": None}

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(answer["status"])
            if answer["error"]:
                self.send_header("X-Error-Code", answer["error"])
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _move(monkeypatch, server.server_port)
    yield answer
    server.shutdown()
    server.server_close()


class Loads:
    """Loads nothing and records where it was asked to look; what is on no disk is not there."""

    def __init__(self, here: Exception | None):
        self.here, self.asked = here, []

    def __call__(self, name: str, revision: str, local_files_only: bool) -> str:
        self.asked.append((revision, local_files_only))
        if local_files_only and self.here is not None:
            raise self.here
        return name


def test_what_is_on_this_disk_is_taken_without_asking(monkeypatch):
    _move(monkeypatch, NOBODY)
    load = Loads(None)
    assert from_disk_or_hub(f"{CLIP}@v1", "CLIP model", load) == CLIP
    assert load.asked == [("v1", True)]


@pytest.mark.parametrize("answer", [{}, {"status": 404, "error": "EntryNotFound"}])
@pytest.mark.parametrize("here", [OSError("no such file"), InputError("there is no processor in the cache")])
def test_what_is_not_or_half_on_this_disk_is_fetched(hub, here, answer):
    hub.update(answer)
    load = Loads(here)
    assert from_disk_or_hub(CLIP, "CLIP model", load) == CLIP
    assert load.asked == [(PINNED[CLIP], True), (PINNED[CLIP], False)]


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        (404, "RepoNotFound", "the hub shows no model of that name: check it"),
        (404, "RevisionNotFound", "the hub has no such revision of it: name another"),
        (403, "GatedRepo", "the hub asks for consent to its terms first: accept them"),
        (503, None, "the hub cannot be reached .*: check the connection"),
    ],
)
def test_what_the_hub_does_not_give_is_reported_with_its_reason(hub, status, error, reason):
    hub.update(status=status, error=error)
    load = Loads(OSError())
    with pytest.raises(MissingModelError, match=f"^The CLIP model a/b at revision main .*, and {reason}.* of a copy.$"):
        from_disk_or_hub("a/b", "CLIP model", load)
    assert load.asked == [("main", True)]


def test_a_hub_that_cannot_be_reached_is_asked_once_and_names_of_no_model_not_at_all(monkeypatch, capfd):
    _move(monkeypatch, NOBODY)
    for name, reason in (("a/b", "the hub cannot be reached .ConnectError"), ("a/b/c", "no name of the hub: name a")):
        load = Loads(OSError())
        with pytest.raises(MissingModelError, match=reason):
            from_disk_or_hub(name, "CLIP model", load)
        assert len(load.asked) == 1
    # Libraries of the hub log their attempts, and nobody needs that.
    assert capfd.readouterr() == ("", "")


def test_what_is_here_and_damaged_is_reported_where_the_hub_cannot_help(hub):
    hub.update(status=404, error="RepoNotFound")
    with pytest.raises(InputError, match="is damaged"):
        from_disk_or_hub("a/b", "CLIP model", Loads(InputError("it is damaged")))
