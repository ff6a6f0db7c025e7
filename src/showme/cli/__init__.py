"""The command line: one file per command; parses, calls one function, prints.

Exit codes: 0 done, 1 failed, 2 the input is at fault, 130 interrupted. Every error is one line on stderr; ``--debug``
anywhere on the line adds the traceback.
"""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from .. import __version__
from ..errors import ShowMeWarning
from ..explanation import INTERRUPTED, STOPPED, explain
from . import bundle, convert, data, doctor, evaluate, generate, studio, train

# Where packages that pack weights are installed, what is logged of them at every import, asked for or not.
_CHATTER = ("diffusers.quantizers.torchao.torchao_quantizer", "torch.utils._pytree", "bitsandbytes")

app = typer.Typer(
    name="showme",
    help="From one photo and one instruction: the picture of the result and the video of the action.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("generate")(generate.generate)
app.command("train")(train.train)
app.add_typer(data.app, name="data")
app.add_typer(evaluate.app, name="evaluate")
app.command("studio")(studio.studio)
app.command("doctor")(doctor.doctor)
app.add_typer(convert.app, name="convert")
app.add_typer(bundle.app, name="bundle")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"showme {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """``--debug`` is listed here for the help; :func:`main` reads it, so that it may stand anywhere on the line."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; see the module's text for the codes."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    # A polite kill cleans up like Ctrl-C does: staged files vanish.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    warnings.showwarning = _warn
    for name in _CHATTER:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        code = app([word for word in given if word != "--debug"], standalone_mode=False)
        if code == INTERRUPTED:
            # Typer has caught Ctrl-C, without a word.
            code = _fail(*STOPPED)
    except KeyboardInterrupt:
        code = _fail(*STOPPED)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            # Not a mistake but a question: the help as it is, and the code that the parser gives it.
            print(error.format_message(), file=sys.stderr)  # type: ignore[attr-defined]
            sys.exit(2)
        if debug:
            raise
        code = _fail(*explain(error))
    sys.exit(code if isinstance(code, int) else 0)


def _warn(message: Warning | str, category: type[Warning], filename: str, lineno: int, file=None, line=None) -> None:
    """Our own warnings are sentences; those of libraries keep the place that they come from."""
    if issubclass(category, ShowMeWarning):
        print(f"warning: {message}", file=sys.stderr)
        return
    print(warnings.formatwarning(message, category, filename, lineno, line).rstrip(), file=sys.stderr)


def _fail(sentence: str, code: int) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return code
