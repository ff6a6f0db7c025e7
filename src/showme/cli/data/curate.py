"""``showme data curate``: which clips a rule keeps, and where they end."""

from __future__ import annotations

from typing import Annotated

import typer

from ..bars import cache_bars


def curate(
    source: Annotated[str, typer.Argument(help="A folder or list of clips, or a YAML with all settings.")],
    fields: Annotated[
        list[str] | None, typer.Argument(help="Settings: rule=handi_motion out=curated rule.minimum=40")
    ] = None,
    ray: Annotated[str | None, typer.Option(help="Address of a Ray cluster that computes scores, or local.")] = None,
) -> None:
    """Score every clip once, and choose by thresholds; other thresholds need no new scores."""
    from ...preparation.config import CurateConfig
    from ...preparation.settings import preparation_config

    config = preparation_config(CurateConfig, source, fields or ())
    from ...preparation.curate import curate as run

    with cache_bars("scoring") as progress:
        curated = run(config, progress, ray)
    kept = sum(verdict.kept for verdict in curated.verdicts.values())
    typer.echo(f"kept:    {kept} of {len(curated.verdicts)} clips, for the source's field keep: {curated.kept}")
    typer.echo(f"dropped: {len(curated.verdicts) - kept}, with the reasons: {curated.dropped}")
    typer.echo(f"look at: {curated.page}")
