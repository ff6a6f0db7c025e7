"""``showme data annotate``: hands, regions of motion, flow, depth, edges and captions of every clip."""

from __future__ import annotations

from typing import Annotated

import typer

from ..bars import cache_bars


def annotate(
    source: Annotated[str, typer.Argument(help="A folder or list of clips, or a YAML with all settings.")],
    fields: Annotated[
        list[str] | None, typer.Argument(help="Settings: labels=[hands,region] out=labels estimators.hands=torch:FILE")
    ] = None,
    ray: Annotated[str | None, typer.Option(help="Address of a Ray cluster that computes them, or local.")] = None,
) -> None:
    """Label every clip once; an interrupted run goes on where it stopped."""
    from ...preparation.config import AnnotateConfig
    from ...preparation.settings import preparation_config

    config = preparation_config(AnnotateConfig, source, fields or ())
    from ...preparation.annotate import annotate as run

    with cache_bars("labelling") as progress:
        index = run(config, progress, ray)
    typer.echo(f"labels:  {', '.join(config.labels)} in {config.out}, listed in {index}")
