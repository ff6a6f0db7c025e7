"""Several models asked the same: a folder of results for each, and one page with all of them side by side."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from pathlib import Path

from PIL import Image

from ..errors import InputError
from . import folder
from .page import document, picture_figure, video_figure
from .prepared import prepare
from .request import GenerateRequest
from .run import GenerateResult, Load, Progress, generate

_LONGEST = 40
BESIDE = "<footer>Each model has a folder beside this page, with its settings and versions in run.json.</footer>"


@dataclass(frozen=True)
class SideBySide:
    """The page, and what each model made, in the order in which they were named."""

    page: Path
    results: tuple[GenerateResult, ...]


def generate_side_by_side(
    request: GenerateRequest,
    models: Sequence[str],
    progress: Callable[[str], Progress] | None = None,
    load: Load | None = None,
    shown: Callable[[str, Image.Image], None] | None = None,
) -> SideBySide:
    """Ask every model for the same.

    Args:
        request: what is asked for; its ``out`` gets a folder for each model, and the page.
        models: names, as for ``--model``.
        progress: called with a model's name, gives what :func:`showme.generation.run.generate` calls.
        load: opens a model in place of ours, as there.
        shown: called with a model's name and its picture of the result, when that is there.

    Raises:
        InputError: a model that is named twice, or what ``generate`` refuses of any of them; nothing was written.
    """
    twice = next((name for name in models if list(models).count(name) > 1), None)
    if twice is not None:
        raise InputError(f"--model {twice} is given twice: name each once.")
    asked = [replace(request, model=name) for name in models]
    # What one of them refuses is found before the first has worked.
    for each in asked:
        prepare(each)
    request.out.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".showme-", dir=request.out))
    try:
        names = [f"{number}-{_plain(name)}" for number, name in enumerate(models, 1)]
        results = [
            generate(
                replace(each, out=staging / name),
                None if progress is None else progress(each.model),
                load,
                None if shown is None else partial(shown, each.model),
            )
            for each, name in zip(asked, names, strict=True)
        ]
        (staging / folder.PAGE).write_text(_page(request, names, results), encoding="utf-8")
        _move_up(staging, request.out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        with contextlib.suppress(OSError):
            # Made for this, and still empty: something failed.
            request.out.rmdir()
    moved = tuple(_moved(result, request.out / name) for result, name in zip(results, names, strict=True))
    return SideBySide(request.out / folder.PAGE, moved)


def _plain(model: str) -> str:
    """A model's name as a folder can have it."""
    name = re.sub(r"[^A-Za-z0-9.+-]+", "-", Path(model).name).strip("-.")
    return name[:_LONGEST] or "model"


def _move_up(staging: Path, out: Path) -> None:
    """Put folders and page in place; those of an earlier comparison, and the files of an earlier single run, go."""
    if (out / folder.RECORD).is_file():
        for name in folder.OWN_FILES:
            (out / name).unlink(missing_ok=True)
    for old in list(out.iterdir()):
        if re.match(r"\d+-", old.name) and (old / folder.RECORD).is_file():
            shutil.rmtree(old)
    for fresh in sorted(staging.iterdir()):
        fresh.replace(out / fresh.name)


def _moved(result: GenerateResult, place: Path) -> GenerateResult:
    def here(path: Path | None) -> Path | None:
        return None if path is None else place / path.name

    return replace(
        result,
        out=place,
        page=place / result.page.name,
        strip=place / result.strip.name,
        result=here(result.result),
        video=here(result.video),
    )


def _page(request: GenerateRequest, names: Sequence[str], results: Sequence[GenerateResult]) -> str:
    rows = "\n".join(_views(name, result) for name, result in zip(names, results, strict=True))
    first = results[0].record.model
    body = f"""<div style="--shape: {first.width} / {first.height}">
{rows}
</div>
{BESIDE}"""
    return document(" ".join(request.instruction.split()), f"ShowMe, {len(names)} models", body)


def _views(name: str, result: GenerateResult) -> str:
    """What one model made, in a row."""
    model = result.record.model.name
    views = [picture_figure(f"{name}/{folder.PHOTO}", "The photo, as the model saw it", "Before")]
    if result.result is not None:
        views.append(picture_figure(f"{name}/{folder.RESULT}", f"Picture of the result by {model}", "The result"))
    if result.video is not None:
        views.append(video_figure(f"{name}/{folder.VIDEO}"))
    notes = "".join(f"<li>{escape(note)}</li>" for note in result.notes)
    listed = f"<ul>{notes}</ul>" if notes else ""
    return (
        f'<section><h2><a href="{escape(name)}/{folder.PAGE}">{escape(model)}</a></h2>\n'
        f'<div class="views">\n{chr(10).join(views)}\n</div>\n{listed}</section>'
    )
