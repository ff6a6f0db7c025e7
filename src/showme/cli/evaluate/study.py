"""``showme evaluate study``: the tables of a paper from one YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...optional import needed
from ..bars import cache_bars


def study(
    config: Annotated[Path, typer.Argument(help="YAML of the study, such as configs/studies/embedded_rewards.yaml.")],
    fields: Annotated[
        list[str] | None, typer.Argument(help="Settings to change: seeds=[0] fields=[training.steps=100]")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for models, clips and tables.")] = Path("showme-out/study"),
) -> None:
    """Train and judge rows x seeds, and set them side by side. An interrupted study goes on where it stopped."""
    from ...config import load_config
    from ...evaluation.study import StudyConfig
    from ...threads import settle_threads

    # Before what takes seconds to import.
    settings = load_config(config, StudyConfig, fields or ())
    settle_threads()
    with needed("torchmetrics", "torchmetrics", "evaluation", "A study"):
        import torchmetrics  # noqa: F401 (the metrics' base class)
    from ...evaluation.study.run import run_study

    written = run_study(settings, config, out, lambda sentence: typer.echo(sentence, err=True), cache_bars)
    typer.echo(written.table)
    typer.echo(f"tables:  {written.text}, {written.latex.name}, {', '.join(path.name for path in written.csv)}")
    typer.echo(f"look at: {written.page}")
