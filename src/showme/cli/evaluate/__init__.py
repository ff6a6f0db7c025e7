"""``showme evaluate``: judging clips, comparing what was found, studies of many runs, and what people prefer."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from .compare import compare
from .prefer import prefer
from .run import run
from .study import study

_RUN = "run"


class _JudgesByDefault(TyperGroup):
    """Words that name no command are the clips to judge: ``showme evaluate GENERATED REFERENCE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = [_RUN, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_JudgesByDefault,
    help="Judge clips: showme evaluate GENERATED REFERENCE --protocol NAME --out DIR.",
    no_args_is_help=True,
)
app.command(_RUN)(run)
app.command("compare")(compare)
app.command("study")(study)
app.command("prefer")(prefer)
