"""The one process that holds models: it makes what it is sent, says how far it is, and stays warm.

A process and not a thread: the page answers while a network computes, and a network that the system kills takes no page
with it.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..explanation import explain
from ..generation.request import GenerateRequest

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

    from PIL import Image

    from ..bundle import BundleFiles
    from ..generation.run import Load, Progress

_STOP_SECONDS = 5


@dataclass(frozen=True)
class Order:
    """What the worker is sent. number: counts up, and says what is to be cancelled. models: one, or several."""

    number: int
    request: GenerateRequest
    models: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """How far it is. model: which of several. stage, step, steps: as ``generate`` reports them."""

    model: int
    stage: str
    step: int
    steps: int


@dataclass(frozen=True)
class Picture:
    """The picture of the result, as PNG, before the video is there. model: which of several."""

    model: int
    png: bytes


@dataclass(frozen=True)
class Done:
    """The files are there."""


@dataclass(frozen=True)
class Failed:
    """sentence: why there are none; None: it was cancelled."""

    sentence: str | None


Message = Step | Picture | Done | Failed


class CancelledError(Exception):
    """The visitor wants it no more."""


class Worker:
    """The process and the line to it.

    Args:
        folder: of the studio, where the process lives: paths of orders are relative to it.
        warm_models: that stay in memory.
    """

    def __init__(self, folder: Path, warm_models: int):
        self._context = multiprocessing.get_context("spawn")
        self._cancelled: Synchronized = self._context.Value("q", -1)
        self._arguments = (folder, warm_models, self._cancelled)
        self._process: Any = None
        self._line: Connection | None = None

    def start(self) -> None:
        """Start the process, where none is alive."""
        if self._process is not None and self._process.is_alive():
            return
        self._line, theirs = self._context.Pipe()
        self._process = self._context.Process(
            target=_work, args=(theirs, *self._arguments), name="showme-worker", daemon=True
        )
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int | None:
        """Of the process."""
        return None if self._process is None else self._process.pid

    def send(self, order: Order) -> None:
        """Have something made.

        Raises:
            OSError: the process is gone.
        """
        assert self._line is not None
        self._line.send(order)

    def receive(self, seconds: float) -> Message | None:
        """What the process says next; None: nothing for so long.

        Raises:
            EOFError, OSError: the process is gone.
        """
        assert self._line is not None
        return self._line.recv() if self._line.poll(seconds) else None

    def cancel(self, number: int) -> None:
        """End an order at its next step."""
        self._cancelled.value = number

    def stop(self) -> None:
        """End the process."""
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.terminate()
            self._process.join(_STOP_SECONDS)
            if self._process.is_alive():
                self._process.kill()


class WarmModels:
    """Models that were loaded last.

    Args:
        count: how many stay.
        load: opens one.
    """

    def __init__(self, count: int, load: Load):
        self.count, self._load = count, load
        self._kept: OrderedDict[tuple[str, str | None], Any] = OrderedDict()

    def __call__(self, files: BundleFiles, device: str | None) -> Any:
        key = (files.hash, device)
        if key not in self._kept:
            while len(self._kept) >= self.count:
                self._kept.popitem(last=False)
            self._kept[key] = self._load(files, device)
        self._kept.move_to_end(key)
        return self._kept[key]


def _work(line: Connection, folder: Path, warm_models: int, cancelled: Synchronized) -> None:
    """The process: orders in, messages out, until the line is closed."""
    # Ctrl-C is for the page, which then ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The page answers meanwhile: threads that wait are to sleep.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.chdir(folder)
    from ..generation.run import load_model

    models = WarmModels(warm_models, load_model)
    while True:
        try:
            order = line.recv()
            line.send(_make(order, models, line.send, cancelled))
        except (EOFError, OSError):
            return


def _make(order: Order, load: Load, say: Callable[[Message], None], cancelled: Synchronized) -> Message:
    """Do what an order says."""
    from ..generation.run import generate
    from ..generation.side_by_side import generate_side_by_side

    def progress_of(model: int) -> Progress:
        def progress(stage: str, step: int, steps: int) -> None:
            if cancelled.value == order.number:
                raise CancelledError
            say(Step(model, stage, step, steps))

        return progress

    try:
        if len(order.models) == 1:
            generate(order.request, progress_of(0), load, lambda picture: say(Picture(0, _as_png(picture))))
        else:
            generate_side_by_side(
                order.request,
                order.models,
                lambda name: progress_of(order.models.index(name)),
                load,
                lambda name, picture: say(Picture(order.models.index(name), _as_png(picture))),
            )
    except CancelledError:
        return Failed(None)
    except Exception as error:
        return Failed(explain(error)[0])
    return Done()


def _as_png(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG", compress_level=1)
    return data.getvalue()
