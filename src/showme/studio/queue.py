"""Jobs that wait for the one worker, first come first served; each knows its place, and may be cancelled."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from ..errors import InputError
from ..explanation import explain
from .asked import Asked, request_of
from .models import Models
from .settings import StudioSettings
from .shelf import Shelf
from .store import Entry
from .worker import Done, Failed, Order, Picture, Step, Worker

_POLL_SECONDS = 0.05
_TWICE_SECONDS = 1.0
_WORKER_GONE = (
    "The process that makes pictures was killed, as the system does when memory runs out: ask for less, or see "
    "`showme doctor`."
)


@dataclass
class Job:
    """A run that is not done yet, or was done lately.

    Attributes:
        entry: as the index has it.
        state: as there.
        place: how many are before it in the queue.
        step: the last that was reported.
        pictures: of each model, PNG, where one is there before its video.
        error: the sentence.
        version: counts up with every change.
        wanted: whether nobody has cancelled it.
        begun: when it was asked for, by the monotonic clock.
    """

    entry: Entry
    asked: Asked
    state: str = "waiting"
    place: int = 0
    step: Step | None = None
    pictures: dict[int, bytes] | None = None
    error: str | None = None
    version: int = 0
    wanted: bool = True
    begun: float = field(default_factory=time.monotonic)

    @property
    def is_open(self) -> bool:
        """Whether there is more to come."""
        return self.state in ("waiting", "running")


class JobQueue:
    """The jobs of a studio and the thread that hands them to its worker.

    Args:
        shelf: where runs go.
        models: that can be asked.
        settings: how much is taken.
    """

    def __init__(self, shelf: Shelf, models: Models, settings: StudioSettings):
        self.shelf, self.models, self.settings = shelf, models, settings
        self.worker = Worker(shelf.folder, settings.warm_models)
        self._waiting: deque[Job] = deque()
        self._open: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._number = 0
        self._thread = threading.Thread(target=self._run, name="showme-queue", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self.worker.start()
        self._thread.start()

    def stop(self) -> None:
        """End the worker; what is open is told as interrupted by the next studio."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self.worker.stop()
        self._thread.join()

    def add(self, owner: str, asked: Asked, again: bool = False) -> Job:
        """A job at the end of the queue; what the visitor's newest open job asks for too is that job, as a button that
        was pressed twice means one.

        Args:
            owner: the visitor.
            asked: what for.
            again: whether the seed was drawn: of two such that differ in it alone, a moment apart, the first counts.

        Raises:
            InputError: the visitor's share of the queue, or all of it, is taken.
        """
        with self._changed:
            newest = self.newest(owner)
            if newest is not None and newest.wanted and _is_same(newest, asked, again):
                return newest
            mine = sum(job.entry.owner == owner for job in self._open.values())
            if mine >= self.settings.max_waiting:
                raise InputError(f"{mine} of your jobs are waiting or running: wait for one of them, or cancel it.")
            if len(self._open) >= self.settings.max_queue:
                raise InputError(f"{len(self._open)} jobs are waiting: come back in a while.")
            job = Job(self.shelf.begin(owner, asked), asked, place=len(self._open))
            self._open[job.entry.id] = job
            self._waiting.append(job)
            self._changed.notify_all()
        return job

    def cancel(self, run: str, owner: str) -> None:
        """End a job of one's own; nothing happens to one that is done.

        Raises:
            InputError: there is no such job of the visitor's.
        """
        self.shelf.own(run, owner)
        with self._changed:
            job = self._open.get(run)
            if job is None:
                return
            job.wanted = False
            if job in self._waiting:
                self._waiting.remove(job)
                self._close(job, "cancelled")

    def newest(self, owner: str) -> Job | None:
        """The open job that a visitor asked for last."""
        return next((job for job in reversed(self._open.values()) if job.entry.owner == owner), None)

    def get(self, run: str) -> Job | None:
        """A job that is open."""
        return self._open.get(run)

    def __len__(self) -> int:
        return len(self._open)

    def _run(self) -> None:
        while (job := self._next()) is not None:
            # Whatever it is, a full disk for one, the next job is to have its turn.
            try:
                self.shelf.store.change(job.entry.id, state="running")
                self._make(job)
            except Exception as error:
                with self._changed:
                    self._close(job, "failed", explain(error)[0])

    def _next(self) -> Job | None:
        with self._changed:
            while not self._waiting and not self._stopping:
                self._changed.wait()
            if self._stopping:
                return None
            job = self._waiting.popleft()
            job.state, job.place = "running", 0
            job.version += 1
            for place, other in enumerate(self._waiting, 1):
                other.place = place
                other.version += 1
        return job

    def _make(self, job: Job) -> None:
        self._number += 1
        # By the names of folders here, which may have gone since the job was asked for.
        models = tuple(self.models.resolve(name) for name in job.asked.models)
        request = request_of(job.asked, models[0], self.shelf.work(job.entry.id), self.settings.device)
        try:
            self.worker.start()
            self.worker.send(Order(self._number, request, models))
            last = self._listen(job)
        except (EOFError, OSError):
            if self._stopping:
                return
            last = Failed(_WORKER_GONE)
        if isinstance(last, Done):
            self.shelf.finish(job.entry)
            with self._changed:
                self._close(job, "done")
        elif last is not None:
            with self._changed:
                self._close(job, "failed" if last.sentence else "cancelled", last.sentence)

    def _listen(self, job: Job) -> Done | Failed | None:
        """Take what the worker says until it is done with a job; None: the studio stops."""
        while not self._stopping:
            if not job.wanted:
                self.worker.cancel(self._number)
            message = self.worker.receive(_POLL_SECONDS)
            if isinstance(message, Done | Failed):
                return message
            if isinstance(message, Step):
                job.step = message
            elif isinstance(message, Picture):
                job.pictures = {**(job.pictures or {}), message.model: message.png}
            if message is not None:
                job.version += 1
        return None

    def _close(self, job: Job, state: str, error: str | None = None) -> None:
        """A job's end. Done ones are in their place already."""
        if state != "done":
            # What cannot be written now is settled by the next studio.
            with suppress(InputError, OSError):
                self.shelf.fail(job.entry, state, error)
        self._open.pop(job.entry.id, None)
        job.state, job.error = state, error
        job.version += 1


def _is_same(job: Job, asked: Asked, again: bool) -> bool:
    """Whether a job is what is asked for, or with ``again`` was a moment ago, with another seed."""
    if again and time.monotonic() - job.begun < _TWICE_SECONDS:
        asked = asked.model_copy(update={"seed": job.asked.seed})
    return job.asked == asked
