"""Any error as the one sentence that its user reads, on the command line and in the studio."""

from __future__ import annotations

from .errors import InputError

INTERRUPTED = 130
STOPPED = ("interrupted.", INTERRUPTED)


def explain(error: Exception) -> tuple[str, int]:
    """An error as one line and its exit code."""
    if isinstance(error, InputError):
        return str(error), 2
    if hasattr(error, "format_message"):
        # The parser's own errors, of whichever click typer was built on.
        return f"{_one_line(error.format_message()).rstrip('.?')}: see `showme --help`.", 2
    if type(error).__name__ == "Abort":
        return STOPPED
    if type(error).__name__ == "OutOfMemoryError":
        return "The device has too little memory: ask for fewer --frames, or see `showme doctor`.", 1
    if type(error).__module__.startswith("showme."):
        # Our own errors are sentences already, like the one that names the missing OpenGL package.
        return _one_line(str(error)), 1
    return f"{_one_line(str(error)) or 'no reason given'} ({type(error).__name__}; {_hint()})", 1


def _hint() -> str:
    """What may be behind an error that nobody foresaw: a package of a version that was never tried, else the place."""
    from .installation import extras, find_faults

    faults = [fault for extra in ("", *extras()) for fault in find_faults(extra) if not (extra and fault.absent)]
    return f"{faults[0].words}: {faults[0].remedy}" if faults else "--debug shows where"


def _one_line(text: str) -> str:
    return " ".join(text.split())
