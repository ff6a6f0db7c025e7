"""What the tab shows of a run that a browser names."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from .listing import LOG, PAGE, Listing, find_runs
from .paths import file_below, is_file_below
from .reading import RunReader
from .render import render_figures, render_frame, render_sentence, render_state

# Of a log at each look: less than a second's work.
_READ_BYTES = 32 * 2**20
# Runs whose curves are kept, those looked at last.
_MOST_READERS = 32


@dataclass(frozen=True)
class Shown:
    """The tab's three parts as HTML: how far the run is, its plots and table, the page in the frame."""

    state: str
    figures: str
    frame: str

    @property
    def digests(self) -> tuple[str, str, str]:
        """What tells each part from another, in a few bytes."""
        state, figures, frame = (
            hashlib.sha256(each.encode()).hexdigest()[:16] for each in (self.state, self.figures, self.frame)
        )
        return state, figures, frame


class Watch:
    """Looks at the runs below a folder, for any number of browsers at once.

    Args:
        root: no file above or beside it is read, and none is shown.
        link: a file below ``root`` -> the address at which a browser finds it.
    """

    def __init__(self, root: Path, link: Callable[[Path], str]):
        self.root, self.link = root, link
        self._readers: OrderedDict[str, tuple[RunReader, threading.Lock]] = OrderedDict()
        self._lock = threading.Lock()

    def listing(self) -> Listing:
        """The runs and reports that there are now."""
        return find_runs(self.root)

    def look(self, name: str | None, log: bool) -> Shown:
        """A run or report as it is now.

        Args:
            name: of an entry of the listing; anything else gives a sentence.
            log: whether losses are on a logarithmic axis.
        """
        if not name:
            return Shown(render_sentence(f"There is no run below {self.root}: `showme train` writes one."), "", "")
        try:
            file_below(self.root, name)
            folder = self.root / name
            if is_file_below(self.root, folder / PAGE) and not is_file_below(self.root, folder / LOG):
                return Shown("", "", self._frame(f"Report of {name}", folder / PAGE))
            return self._run(name, folder, log)
        except InputError as error:
            return Shown(render_sentence(str(error)), "", "")

    def _run(self, name: str, folder: Path, log: bool) -> Shown:
        reader, lock = self._reader(name, folder)
        with lock:
            run = reader.read(_READ_BYTES)
        if run.validation is None:
            frame = render_sentence("There is no validation page yet: the first validation writes it.")
        else:
            frame = self._frame(f"Validation of {name}", run.validation)
        return Shown(render_state(run), render_figures(run, log), frame)

    def _reader(self, name: str, folder: Path) -> tuple[RunReader, threading.Lock]:
        with self._lock:
            if name not in self._readers:
                self._readers[name] = RunReader(folder, self.root), threading.Lock()
            self._readers.move_to_end(name)
            while len(self._readers) > _MOST_READERS:
                self._readers.popitem(last=False)
            return self._readers[name]

    def _frame(self, title: str, page: Path) -> str:
        try:
            written = page.stat().st_mtime_ns
        except OSError:
            return render_sentence(f"{page} is being written.")
        url = self.link(page)
        # A page that was written anew is another address, or browsers would show the one that they keep.
        return render_frame(title, f"{url}{'&' if '?' in url else '?'}written={written}")
