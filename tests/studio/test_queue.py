"""Jobs and the process that does them."""

from __future__ import annotations

import os
import shutil
import signal
import time

import pytest

from showme.errors import InputError
from showme.generation.record import RunRecord
from showme.studio.queue import Job, JobQueue
from showme.studio.shelf import UPLOADS
from showme.studio.studio import Studio
from showme.studio.submit import FieldError, Form, submit

from .conftest import OTHER, OWNER

_SECONDS = 120


@pytest.fixture
def studio(settings):
    studio = Studio.open(settings)
    yield studio
    studio.shelf.close()


@pytest.fixture
def running(studio):
    studio.queue.start()
    yield studio
    studio.queue.stop()


def form(upload, **changes) -> Form:
    """upload: a photo of the test's, which is put where a studio has what was uploaded."""
    place = upload.parent / "studio" / UPLOADS / "photo.png"
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(upload, place)
    return Form(**{"photo": str(place), "instruction": "push the red box", "models": ("tiny",), **changes})


def end(job: Job) -> Job:
    deadline = time.monotonic() + _SECONDS
    while job.is_open:
        assert time.monotonic() < deadline, job
        time.sleep(0.02)
    return job


def test_jobs_are_done_in_turn_and_write_what_generate_writes(running, upload):
    jobs = [submit(running, OWNER, form(upload, seed=seed)) for seed in (5, 6)]
    pair = submit(running, OTHER, form(upload, models=("tiny", "regions-1"), task="both"))
    assert [job.place for job in (*jobs, pair)][1:] == [1, 2]
    for seed, job in zip((5, 6), jobs, strict=True):
        assert end(job).state == "done", job.error
        place = running.shelf.place(job.entry.id)
        record = RunRecord.model_validate_json((place / "run.json").read_text())
        assert record.settings.seed == seed
        assert {"result.png", "action.mp4", "index.html", "strip.png"} <= {path.name for path in place.iterdir()}
    assert jobs[0].pictures is not None
    assert jobs[0].pictures[0].startswith(b"\x89PNG")
    assert end(pair).state == "done", pair.error
    both = running.shelf.place(pair.entry.id)
    assert {"1-tiny", "2-regions-1", "index.html", "studio.json"} == {path.name for path in both.iterdir()}
    assert [entry.id for entry, _ in running.futures(OWNER, jobs[0].asked.photo)] == [
        job.entry.id for job in reversed(jobs)
    ]
    assert len(running.queue) == 0


def test_a_job_is_cancelled_where_it_waits_and_at_any_step(running, upload):
    first = submit(running, OWNER, form(upload, steps=100, clips=16))
    second = submit(running, OWNER, form(upload))
    with pytest.raises(InputError, match="no such run of yours"):
        running.queue.cancel(second.entry.id, OTHER)
    running.queue.cancel(second.entry.id, OWNER)
    assert second.state == "cancelled"
    while first.step is None or first.step.stage != "video":
        time.sleep(0.01)
    running.queue.cancel(first.entry.id, OWNER)
    assert end(first).state == "cancelled"
    assert not list((running.shelf.folder / "work").iterdir())
    assert not list((running.shelf.folder / "runs").iterdir())
    third = submit(running, OWNER, form(upload, task="image"))
    assert end(third).state == "done"


def test_a_worker_that_is_killed_costs_its_job_alone(running, upload):
    job = submit(running, OWNER, form(upload, steps=100, clips=16))
    while job.step is None or job.step.stage != "video":
        time.sleep(0.01)
    os.kill(running.queue.worker.pid, signal.SIGKILL)
    assert end(job).state == "failed"
    assert "was killed" in str(job.error)
    assert end(submit(running, OWNER, form(upload, task="image"))).state == "done"


def test_what_a_model_refuses_is_one_sentence(running, upload):
    job = end(submit(running, OWNER, form(upload, models=("regions-1",), task="image")))
    assert (job.state, job.error) == ("failed", "The model regions-1 makes no image: ask for --task video.")
    assert running.shelf.store.get(job.entry.id).error == job.error


def test_the_queue_has_limits(settings, upload):
    studio = Studio.open(settings.model_copy(update={"max_waiting": 2, "max_queue": 3}))
    for seed, owner in enumerate((OWNER, OWNER, OTHER)):
        submit(studio, owner, form(upload, seed=seed))
    with pytest.raises(InputError, match="2 of your jobs are waiting or running: wait for one of them, or cancel it"):
        submit(studio, OWNER, form(upload))
    with pytest.raises(InputError, match="3 jobs are waiting: come back in a while"):
        submit(studio, OTHER, form(upload))
    assert isinstance(studio.queue, JobQueue)
    studio.shelf.close()


def test_a_button_that_is_pressed_twice_means_one_job(studio, upload):
    first, again = (submit(studio, OWNER, form(upload)) for _ in range(2))
    assert again is first
    assert submit(studio, OTHER, form(upload)) is not first
    other = submit(studio, OWNER, form(upload, seed=1))
    assert other is not first
    studio.queue.cancel(other.entry.id, OWNER)
    first.wanted = False
    # It is being cancelled: whoever asks anew wants it.
    assert submit(studio, OWNER, form(upload)) is not first


def test_a_demo_makes_nothing(settings, upload):
    studio = Studio.open(settings.model_copy(update={"demo": True}))
    with pytest.raises(InputError, match="shows what was made and makes nothing new"):
        submit(studio, OWNER, form(upload))
    studio.shelf.close()


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"photo": None}, "photo", "There is no photo"),
        ({"instruction": " "}, "instruction", "The instruction is empty"),
        ({"instruction": "x" * 10_000}, "instruction", "has 10,000 characters"),
        ({"models": ()}, "models", "No model is chosen"),
        ({"models": ("tinny",)}, "models", r"There is no model 'tinny' here \(did you mean tiny\?\)"),
        ({"models": ("../tiny",)}, "models", "There is no model '../tiny' here"),
        ({"models": ("/etc",)}, "models", "There is no model '/etc' here"),
        ({"steps": 101}, "settings", "Steps 101: this studio gives 100 at most"),
        ({"steps": 1.5}, "settings", "Steps 1.5: give a whole number"),
        ({"steps": "many"}, "settings", "Steps 'many': give a number, or nothing for the model's own"),
        ({"steps": "inf"}, "settings", "Steps inf: give a whole number"),
        ({"guidance": "nan"}, "settings", "Guidance"),
        ({"guidance": -1}, "settings", "Guidance"),
        ({"seed": -1}, "settings", "Seed"),
        ({"clips": 99}, "settings", "Clips 99: this studio gives 16 at most"),
        ({"then": "lift the red box"}, "settings", "Then is the instruction of a further clip"),
        ({"goal": True, "task": "image"}, "settings", "Goal lets the video end"),
        ({"models": ("regions-1",), "region": "painted"}, "region", "No region is painted"),
    ],
)
def test_errors_are_at_their_fields(studio, upload, changes, field, sentence):
    with pytest.raises(FieldError, match=sentence) as error:
        submit(studio, OWNER, form(upload, **changes))
    assert error.value.field == field
    assert len(studio.queue) == 0
    assert not studio.shelf.store.all()


def test_a_full_disk_is_a_sentence_and_leaves_nothing(running, upload, monkeypatch):
    import errno

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    filled = form(upload)
    with monkeypatch.context() as patched:
        patched.setattr("showme.studio.photos.shutil.copyfile", full)
        with pytest.raises(OSError, match="No space left"):
            submit(running, OWNER, filled)
    assert not list(running.photos.iterdir())
    monkeypatch.setattr(type(running.shelf), "finish", full)
    job = end(submit(running, OWNER, form(upload, task="image")))
    assert job.state == "failed"
    assert "No space left on device" in str(job.error)
    for name in ("runs", "work"):
        assert not list((running.shelf.folder / name).iterdir())


def test_the_queue_goes_on_when_nothing_can_be_written(running, upload, monkeypatch):
    def full(*_, **__):
        raise InputError("index.sqlite cannot be used (database or disk is full): make room.")

    with monkeypatch.context() as patched:
        first, second = (submit(running, OWNER, form(upload, task="image", seed=seed)) for seed in range(2))
        patched.setattr(type(running.shelf.store), "change", full)
        assert end(second).state == "failed"
        assert "disk is full" in str(second.error)
    assert not first.is_open
    assert end(submit(running, OWNER, form(upload, task="image"))).state == "done"


def test_only_uploads_are_taken_for_photos(studio, upload, tmp_path):
    for path in (upload, "/etc/passwd", studio.shelf.folder / "secret", tmp_path / "studio" / UPLOADS, "/dev/zero"):
        asked = Form(photo=str(path), instruction="push the red box", models=("tiny",))
        with pytest.raises(FieldError, match="uploaded too long ago: choose it again"):
            submit(studio, OWNER, asked)
