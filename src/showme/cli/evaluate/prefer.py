"""``showme evaluate prefer A B``: people say which clips are better, and a page says what they have said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import InputError

if TYPE_CHECKING:
    from ...judging import AnswerStore, Question, Study
    from ...studio.judge.begin import StudyRequest

_PATH = "/judge"


def prefer(
    places: Annotated[
        list[Path] | None,
        typer.Argument(metavar="A B [C ...]", help="Folders or lists of clips with the same ids. None: --out's study."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the study; the same goes on.")] = Path("showme-out/preference"),
    name: Annotated[list[str] | None, typer.Option(help="Of each folder in the results, in their order.")] = None,
    question: Annotated[
        list[str] | None, typer.Option(help="One's own, 'key: text'; several are asked together.")
    ] = None,
    ties: Annotated[bool, typer.Option("--ties/--no-ties", help="Whether both may be alike.")] = True,
    title: Annotated[str, typer.Option(help="Above the page.")] = "Which is better?",
    instructions: Annotated[
        Path | None, typer.Option(help=".jsonl with id and instruction; else what lies beside the clips.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of sides and orders.")] = 0,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 lets others in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 7861,
    csv: Annotated[Path | None, typer.Option(help="Write all answers there, now and at the end.")] = None,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Whether judges may come now.")] = True,
) -> None:
    """Ask people which of two clips is better, by a link; answers are kept, and results shown as they come."""
    from ...judging import AnswerStore
    from ...studio.serving import check_port

    if serve:
        # Before clips are encoded.
        check_port(host, port)
    if places:
        from ...studio.judge.begin import StudyRequest

        questions = [_question(words) for words in question] if question else None
        study = _begun(out, StudyRequest(places, name or None, title, questions, ties, instructions, seed))
    elif name or question or instructions:
        raise InputError("A study that is begun with names, questions or instructions needs its folders of clips too.")
    else:
        from ...judging import open_study

        study = open_study(out)
    store = AnswerStore(out, study)
    _write_csv(store, csv)
    if not serve:
        _print_results(out, store, csv)
        return
    try:
        _serve(out, host, port)
    finally:
        _write_csv(store, csv)


def _begun(out: Path, request: StudyRequest) -> Study:
    from ...studio.judge.begin import begin_study
    from ..bars import job_bars

    with job_bars("encoding clips", in_files=False) as bars:
        task = bars.add_task("", total=None)
        return begin_study(out, request, lambda done, total: bars.update(task, completed=done, total=total))


def _question(words: str) -> Question:
    from pydantic import ValidationError

    from ...judging import Question

    key, colon, text = words.partition(":")
    try:
        if not colon:
            raise InputError(f"--question {words!r} has no colon: write it as 'key: text'.")
        return Question(key=key.strip(), text=text.strip())
    except ValidationError as error:
        field = error.errors()[0]["loc"][0]
        remedy = (
            "a key is small letters, digits and _, 40 at most" if field == "key" else "a text has 1 to 400 characters"
        )
        raise InputError(f"--question {words[:80]!r}: {remedy}; write it as 'key: text'.") from error


def _serve(out: Path, host: str, port: int) -> None:
    from ...optional import needed
    from ...studio.serving import address_of, is_loopback, serve

    with needed("gradio", "gradio", "studio", "The judging page"):
        import gradio  # noqa: F401 (here its absence is said)
    from fastapi import FastAPI

    from ...studio.judge.routes import links, mount

    app = FastAPI(openapi_url=None)
    mount(app, out, _PATH)
    shown = links(out, address_of(host, port).rstrip("/") + _PATH)

    def ready() -> None:
        typer.echo(f"judges:  {shown.judge}")
        typer.echo(f"results: {shown.results}")
        others = (
            "--host 0.0.0.0 lets others in" if is_loopback(host) else "others put this machine's name into the link"
        )
        typer.echo(f"Ctrl-C ends it; the same command goes on. {others}.", err=True)

    serve(app, host, port, ready=ready)


def _print_results(out: Path, store: AnswerStore, csv: Path | None) -> None:
    from ...judging.results import sentence, study_result

    result = study_result(store.study, store.answers())
    for each in result.questions:
        typer.echo(each.question.text)
        for found in each.preferences:
            typer.echo(f"  {sentence(found)}")
        if not each.preferences:
            typer.echo("  No answers yet.")
    typer.echo(f"study:   {out}")
    if csv is not None:
        typer.echo(f"answers: {csv}")


def _write_csv(store: AnswerStore, file: Path | None) -> None:
    from ...staged_files import staged

    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with staged(file) as path:
            path.write_text(store.as_csv(), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be written ({error.strerror}): choose another --csv.") from error
