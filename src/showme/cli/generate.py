"""``showme generate``: one photo and one instruction become a picture and a video."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..long_text import LongInstructions
from .bars import job_bars

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ..generation.request import GenerateRequest
    from ..generation.run import GenerateResult

_STAGES = {
    "load": "loading the model",
    "image": "picture of the result",
    "video": "video of the action",
    "write": "writing the files",
}


def generate(
    image: Annotated[Path, typer.Argument(help="A photo: any format, size and orientation.", show_default=False)],
    instruction: Annotated[str, typer.Argument(help='What is to be done: "push the red box to the left".')],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="embedded, the folder of a model, or a hub id owner/name; several, each with --model, are set side by "
            "side.",
            show_default="embedded",
        ),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="image, video or both; all that the model makes when left out.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("showme-out"),
    seed: Annotated[int, typer.Option(help="Same seed, same result.")] = 0,
    steps: Annotated[int | None, typer.Option(help="Denoising steps per task; the model's own when left out.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Weight of the instruction; 1 turns guidance off.")] = None,
    frames: Annotated[int | None, typer.Option(help="Frames of the video; the model's own when left out.")] = None,
    fit: Annotated[str, typer.Option(help="crop cuts the photo to the model's shape, pad adds bars.")] = "crop",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N or mps; a GPU when there is one.")] = None,
    goal: Annotated[
        bool, typer.Option("--goal", help="With both tasks: the video is to end with the picture of the result.")
    ] = False,
    long_instructions: Annotated[
        LongInstructions | None,
        typer.Option(
            help="An instruction longer than the model reads: cut its end off, read it in chunks, or refuse it; the "
            "model's own choice when left out."
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(help="Of models that take one: a picture, white where the action happens; white for everywhere."),
    ] = None,
    motion: Annotated[
        float | None, typer.Option(help="Motion strength, of models that were trained with one; 5 is much.")
    ] = None,
    enrich: Annotated[
        str | None,
        typer.Option(
            help="A chat model that is shown the photo and says how the action is done; its words are read in place of "
            "the instruction: transformers:MODEL, server:ADDRESS#MODEL or tabletop. Answers are kept."
        ),
    ] = None,
    states: Annotated[
        str | None,
        typer.Option(
            help="What lies between beginning and end, of models that read it: a chat model as with --enrich, a text "
            "file with a sentence in each line, or none."
        ),
    ] = None,
    clips: Annotated[
        int, typer.Option(help="Clips of the video: each goes on from the last frames of the one before.")
    ] = 1,
    then: Annotated[
        list[str] | None,
        typer.Option(help="What is done in the next of --clips; repeated for more, the last holds for the others."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Keep the networks in fp32, bf16, fp8, int8 or int4, for less memory; below 16 bits that is of the "
            "denoiser's layers."
        ),
    ] = None,
    offload: Annotated[
        bool, typer.Option("--offload", help="Of Wan: the denoiser's blocks wait in main memory for their turn.")
    ] = False,
) -> None:
    """Make the picture of the result and the video of the action from one photo and one instruction."""
    from ..generation.request import GenerateRequest
    from ..generation.run import generate as run

    # Before torch is there. Threads that have nothing to do sleep: by default they ask again and again, which on a busy
    # machine takes twenty times the CPU seconds of the work itself.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    models = model or ["embedded"]
    request = GenerateRequest(
        image, instruction, models[0], task, out, seed, steps, guidance, frames, fit, device, goal, long_instructions,
        region, motion, enrich, states, clips, tuple(then or ()), weights, offload,
    )  # fmt: skip
    with job_bars("{task.description:22}") as bars:
        if len(models) > 1:
            _say_all(request, models, bars)
            return
        watch = _Watch(bars, "")
        result = run(request, watch)
        watch.finish()
    _say(result)


def _say_all(request: GenerateRequest, models: list[str], bars: Progress) -> None:
    from ..generation.side_by_side import generate_side_by_side

    made = generate_side_by_side(request, models, lambda name: _Watch(bars, f"{Path(name).name}: "))
    for result in made.results:
        typer.echo(f"{result.record.model.name}: {result.page}")
        for note in result.notes:
            typer.echo(f"  note: {note}")
    typer.echo(f"look at: {made.page}")


class _Watch:
    """Bars of one run, a row for each of its stages."""

    def __init__(self, bars: Progress, title: str):
        self.bars, self.title = bars, title
        self.rows: dict[str, TaskID] = {}

    def __call__(self, stage: str, step: int, steps: int) -> None:
        if stage not in self.rows:
            self.finish()
            self.rows[stage] = self.bars.add_task(self.title + _STAGES[stage], total=steps)
        self.bars.update(self.rows[stage], completed=step)

    def finish(self) -> None:
        """Fill the bars that there are."""
        for row in self.rows.values():
            self.bars.update(row, completed=self.bars.tasks[row].total)


def _say(result: GenerateResult) -> None:
    for note in result.notes:
        typer.echo(f"note: {note}")
    seconds = ", ".join(f"{stage} {value:.1f} s" for stage, value in result.record.seconds.items())
    typer.echo(f"took: {seconds}")
    for label, path in (("picture", result.result), ("video", result.video), ("strip", result.strip)):
        if path is not None:
            typer.echo(f"{label + ':':8} {path}")
    typer.echo(f"look at: {result.page}")
