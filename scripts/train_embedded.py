"""Train the embedded model from nothing: render, codec, encoders, base, ShowMe's two stages, bundle.

    python scripts/train_embedded.py --out runs/embedded             # every stage, in order; call again to resume
    python scripts/train_embedded.py --out runs/embedded --stage base --minutes 60
    python scripts/train_embedded.py --out runs/more --start-from embedded --minutes 100   # go on from a bundle

Each stage reads what the ones before it left in --out, is bounded by its minutes, and resumes where it stopped.
"""

# ruff: noqa: E402 (torch reads how its threads wait when it is imported)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showme.threads import settle_threads

settle_threads()

import torch

from embedded import cache, codec, diffusion, encoders, frames, package, tuning
from embedded.settings import PRESETS, Settings
from showme.run_folder import MODEL

STAGES = {
    "codec": codec.train_codec,
    "decoder": codec.train_decoder,
    "encoders": encoders.train_encoders,
    "cache": cache.write_cache,
    "spatial": diffusion.train_spatial,
    "coarse": diffusion.train_coarse,
    "base": diffusion.train_base,
    "base-model": package.write_base,
    "state_image": lambda out, settings, device: tuning.train_stage(
        "state_image", out, out / package.BASE_MODEL, settings
    ),
    "state_video": lambda out, settings, device: tuning.train_stage(
        "state_video", out, out / "state_image" / MODEL, settings
    ),
}


def main(
    out: Annotated[Path, typer.Option(help="folder of the run")] = Path("runs/embedded"),
    stage: Annotated[str, typer.Option(help=f"all, render, {', '.join(STAGES)} or bundle")] = "all",
    minutes: Annotated[float | None, typer.Option(help="bound of the stage; of all stages together with 'all'")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    clips: Annotated[int | None, typer.Option(help="training clips, when not the preset's number")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="pictures are ordinary frames: a base for studies")] = False,
    words: Annotated[bool, typer.Option(help="whether the base reads instructions: without, a base for AID")] = True,
    start_from: Annotated[
        str | None, typer.Option(help="a bundle from whose codec, encoders and networks training goes on")
    ] = None,
    figures: Annotated[Path | None, typer.Option(help="evaluate_embedded.py's table, for the bundle's card")] = None,
    bundle: Annotated[Path, typer.Option(help="where the bundle goes")] = Path("src/showme/assets/embedded"),
) -> None:
    """Run one stage, or all of them in order."""
    if stage not in ("all", "render", "bundle", *STAGES):
        raise typer.BadParameter(f"{stage!r}: choose all, render, {', '.join(STAGES)} or bundle", param_hint="--stage")
    name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    settings = _bounded(PRESETS[name], stage, minutes).model_copy(update={"plain": plain, "words": words})
    if clips is not None:
        settings = settings.model_copy(update={"clips": clips})
    stages = dict(STAGES)
    if start_from is not None:
        if not (out / package.STARTED_FROM).exists():
            package.start_from(start_from, out, settings)
        for done in ("codec", "encoders"):
            del stages[done]
    if stage in ("all", "render"):
        frames.render_all(out, settings)
    for each, run in stages.items():
        if stage in ("all", each):
            print(f"{each}: {run(out, settings, torch.device(name))}")
    if stage in ("all", "bundle"):
        table = figures.read_text().split("\n", 2)[2].strip() if figures is not None else None
        print(f"bundle: {package.write_bundle(out, settings, torch.device(name), bundle, table)}")


def _bounded(settings: Settings, stage: str, minutes: float | None) -> Settings:
    """Settings with the stage's minutes, or with all of them scaled to the total."""
    old = settings.minutes
    # The codec is trained in two parts.
    bounded = [name for name in old if stage == "all" or name == stage or name.startswith(f"{stage}_")]
    if minutes is None or not bounded:
        return settings
    share = minutes / sum(old[name] for name in bounded)
    new = {name: value * share if name in bounded else value for name, value in old.items()}
    return settings.model_copy(update={"minutes": new})


if __name__ == "__main__":
    typer.run(main)
