"""``showme evaluate GENERATED REFERENCE``: figures, their record, and a page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ...errors import InputError
from ...long_text import LongInstructions
from ...optional import needed
from ..bars import cache_bars

_PREFIXES = ("protocol", "weights", "reference")


def run(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[GENERATED] [REFERENCE] [field=value ...]",
            help="A folder or list of clips, and the true ones: a folder, list or YAML of a source, or its kind. With "
            "--model the true ones alone. Fields: protocol.samples=256 weights.i3d=FILE reference.split=test.",
        ),
    ] = None,
    protocol: Annotated[str, typer.Option(help="A published protocol, or a YAML file of one's own.")] = "embedded",
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("showme-out/evaluation"),
    model: Annotated[str | None, typer.Option(help="Generate with this model: embedded, a folder or hub id.")] = None,
    codec: Annotated[str | None, typer.Option(help="Model whose autoencoder bounds what can be reached.")] = None,
    training: Annotated[str | None, typer.Option(help="Clips of the training: the nearest is a baseline.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the model, in tables.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder of what is computed once per clip; in --out else.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N; a GPU when there is one.")] = None,
    long_instructions: Annotated[
        LongInstructions | None,
        typer.Option(
            help="With --model, instructions longer than it reads: cut their end off, read them in chunks, or refuse "
            "them; the model's own choice when left out."
        ),
    ] = None,
    region: Annotated[
        Literal["own", "truth", "white"],
        typer.Option(help="With --model, what it is given where it takes a region: none, the true clip's, everything."),
    ] = "own",
    explain: Annotated[bool, typer.Option("--explain", help="Say in words what the protocol does, and stop.")] = False,
) -> None:
    """Judge clips against true ones. An interrupted run goes on where it stopped; several share the work."""
    places, fields = _sorted(words or [])
    from ...evaluation.protocol import load_protocol

    chosen = load_protocol(protocol, fields["protocol"])
    if explain:
        from ...evaluation.explain import explain as say

        typer.echo("\n".join(say(chosen)))
        return
    from ...evaluation.request import Request, check_request, find_clips, weights_of
    from ...threads import settle_threads

    if len(places) != (1 if model else 2):
        wanted = "the true clips alone" if model else "two places, the generated clips and the true ones"
        raise InputError(f"{len(places)} places were given: {'with --model ' if model else ''}give {wanted}.")
    request = Request(
        reference=places[-1],
        protocol=chosen,
        out=out,
        generated=None if model else Path(places[0]),
        model=model,
        reference_fields=fields["reference"],
        codec=codec,
        training=training,
        name=name,
        weights=weights_of(fields["weights"]),
        cache=cache,
        device=device,
        long_instructions=long_instructions,
        region=region,
    )
    # Before what takes seconds to import.
    check_request(request)
    found = find_clips(request)
    settle_threads()
    with needed("torchmetrics", "torchmetrics", "evaluation", "Evaluation"):
        import torchmetrics  # noqa: F401 (the metrics' base class)
    from ...evaluation.output import write_outputs
    from ...evaluation.runner import Evaluation

    with cache_bars("evaluating") as progress:
        evaluation = Evaluation(request, progress, found)
        result = evaluation.run()
    files = write_outputs(evaluation, result)
    typer.echo(files.table)
    typer.echo(f"figures: {files.json}, {files.csv.name}, {files.latex.name}")
    typer.echo(f"look at: {files.page}")


def _sorted(words: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Places, and ``field=value`` by what they belong to, without their prefix."""
    places: list[str] = []
    fields: dict[str, list[str]] = {prefix: [] for prefix in _PREFIXES}
    for word in words:
        field, equals, _ = word.partition("=")
        prefix, dot, _ = field.partition(".")
        if not equals or Path(word).exists():
            places.append(word)
        elif dot and prefix in fields:
            fields[prefix].append(word.partition(".")[2])
        else:
            raise InputError(f"{word!r}: write protocol.field=value, weights.field=value or reference.field=value.")
    return places, fields
