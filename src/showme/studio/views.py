"""What the page shows of a run, as HTML; every text in it is escaped here."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..generation import folder
from ..generation.record import RunRecord, SettingsRecord
from .models import Understanding
from .queue import Job
from .store import OPEN, Entry

_STAGES = {
    "load": "Loading the model",
    "image": "Picture of the result",
    "video": "Video of the action",
    "write": "Writing the files",
}
# Play and pause in one, drawn: few fonts have the character.
_PLAY = (
    '<svg width="22" height="14" viewBox="0 0 22 14" aria-hidden="true" fill="currentColor">'
    '<path d="M1 1l9 6-9 6zM13 1h3v12h-3zM18 1h3v12h-3z"/></svg>'
)


# Letters of an instruction that the names of downloads have.
_NAME = 40
# What a photo from outside of a small model's world is told on the command line.
_LARGE_MODEL = re.compile(r"use a large model, `.*", re.DOTALL)


def escape(text: object) -> str:
    """Text as HTML. Braces and dollars too: the page's components read templates."""
    escaped = html.escape(str(text), quote=True)
    return escaped.replace("{", "&#123;").replace("}", "&#125;").replace("$", "&#36;").replace("`", "&#96;")


def error_box(sentence: str | None) -> str:
    """A sentence beside the field that is at fault; nothing for None."""
    return "" if not sentence else f'<p class="sm-error" role="alert">{escape(sentence)}</p>'


def note_box(sentences: Sequence[str]) -> str:
    """What a user should know."""
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(each)}</li>" for each in sentences)
    return f'<ul class="sm-notes">{items}</ul>'


def status_of(job: Job) -> str:
    """Where a job is, with a bar."""
    if job.state == "waiting":
        before = f"{job.place} job{'s' if job.place != 1 else ''} before yours"
        return _bar("Waiting", before if job.place else "yours is next", 0.0)
    if job.state == "running":
        step = job.step
        if step is None:
            return _bar("Starting", "", 0.0)
        several = f"Model {step.model + 1} of {len(job.asked.models)}: " if len(job.asked.models) > 1 else ""
        words = "" if step.stage in ("load", "write") else f"step {step.step} of {step.steps}"
        return _bar(several + _STAGES.get(step.stage, step.stage), words, step.step / max(step.steps, 1))
    said = {"done": "Done.", "cancelled": "Cancelled: nothing was kept."}.get(job.state)
    return "" if said is None else f'<p class="sm-status" role="status">{said}</p>'


def _bar(title: str, words: str, share: float) -> str:
    return (
        f'<div class="sm-status" role="status"><p><b>{escape(title)}</b> {escape(words)}</p>'
        f'<progress value="{share:.3f}" max="1" aria-label="{escape(title)}"></progress></div>'
    )


@dataclass(frozen=True)
class Shown:
    """A finished run for the page. base: address of its folder, with its token. names: of its models, as they were
    asked for; nothing: as they call themselves."""

    place: Path
    base: str
    names: tuple[str, ...] = ()


def records_of(place: Path) -> list[tuple[str, RunRecord]]:
    """(folder below the run's, or nothing; its record) of every model that a run asked."""
    files = [place / folder.RECORD] if (place / folder.RECORD).is_file() else sorted(place.glob(f"*/{folder.RECORD}"))
    return [
        (
            "" if file.parent == place else f"{file.parent.name}/",
            RunRecord.model_validate_json(file.read_text(encoding="utf-8")),
        )
        for file in files
    ]


def result_view(shown: Shown) -> str:
    """Everything of a finished run, a section for each of its models."""
    records = records_of(shown.place)
    several = len(records) > 1
    names = shown.names if len(shown.names) == len(records) else tuple(record.model.name for _, record in records)
    sections = "".join(
        _section(shown, below, record, name, several) for (below, record), name in zip(records, names, strict=True)
    )
    together = _downloads(shown.base, None) if several else ""
    return f'<div class="sm-result"><div class="sm-models">{sections}</div>{together}</div>'


def early_view(pictures: Sequence[str], photo: str | None) -> str:
    """Pictures of the result, as addresses, while the video is still being made."""
    figures = "".join(
        f'<figure><img src="{escape(each)}" alt="Picture of the result"><figcaption>The result</figcaption></figure>'
        for each in pictures
    )
    before = (
        f'<figure><img src="{escape(photo)}" alt="The photo"><figcaption>Before</figcaption></figure>' if photo else ""
    )
    return f'<div class="sm-result"><div class="sm-views">{before}{figures}</div></div>'


def _section(shown: Shown, below: str, record: RunRecord, name: str, several: bool) -> str:
    base, outputs = shown.base + below, record.outputs
    name = escape(name)
    views = []
    if folder.RESULT in outputs:
        views.append(_wipe(base, record))
    if folder.VIDEO in outputs:
        views.append(_player(base, record))
    if folder.REGION in outputs:
        views.append(_region(base))
    title = f"<h2>{name}</h2>" if several else ""
    described = "Film strip: the photo, then frames of the action"
    strip = f'<img class="sm-strip" src="{escape(base + folder.STRIP)}" alt="{described}">'
    downloads = _downloads(base, record.settings, name if several else "")
    return (
        f'<section aria-label="Result of {name}">{title}<div class="sm-views">{"".join(views)}</div>{strip}'
        f"{note_box(_for_page(record.warnings))}{_settings(record)}{downloads}</section>"
    )


def _for_page(warnings: Sequence[str]) -> list[str]:
    """Warnings whose remedies are options of the command line, with those of the page."""
    return [
        _LARGE_MODEL.sub("choose a large model.", each).replace("Use --fit pad", 'Choose "Add bars" under Fit')
        for each in warnings
    ]


def _wipe(base: str, record: RunRecord) -> str:
    shape = f"--shape: {record.model.width} / {record.model.height}"
    return (
        f'<figure><div class="sm-wipe" style="{shape}; --cut: 50%">'
        f'<img src="{escape(base + folder.RESULT)}" alt="Picture of the result">'
        f'<img class="sm-before" src="{escape(base + folder.PHOTO)}" alt="The photo, as the model saw it"></div>'
        '<label class="sm-range">Before <input type="range" min="0" max="100" value="50" data-wipe '
        'aria-label="Before or after"> After</label><figcaption>Picture of the result</figcaption></figure>'
    )


def _player(base: str, record: RunRecord) -> str:
    count = sum(clip.frames for clip in record.clips) or record.settings.frames
    marks = "".join(
        f"<li>{clip.first_frame + 1} to {clip.first_frame + clip.frames}: {escape(clip.instruction)}"
        f"{'' if clip.drift_db is None else f' (what stood still: {clip.drift_db:.1f} dB to the photo)'}</li>"
        for clip in record.clips
    )
    clips = f'<ol class="sm-clips" aria-label="Clips, by their frames">{marks}</ol>' if marks else ""
    return (
        f'<figure><video src="{escape(base + folder.VIDEO)}" data-fps="{record.model.fps:g}" autoplay loop muted '
        f'playsinline aria-label="Video of the action"></video>'
        f'<div class="sm-range"><button type="button" data-play aria-label="Play or pause">{_PLAY}</button> '
        f'<input type="range" min="1" max="{count}" value="1" data-frame aria-label="Frame of the video"> '
        f"<output>1</output> of {count}</div><figcaption>Video of the action</figcaption>{clips}</figure>"
    )


def _region(base: str) -> str:
    return (
        f'<figure><div class="sm-over"><img src="{escape(base + folder.PHOTO)}" alt="">'
        f'<img src="{escape(base + folder.REGION)}" alt="The region of motion, bright over the photo"></div>'
        "<figcaption>Where it happens</figcaption></figure>"
    )


def _settings(record: RunRecord) -> str:
    settings = record.settings
    values = {
        "Instruction": settings.instruction,
        "As the model read it": settings.prompt,
        "Model": f"{record.model.name}, {record.model.width}x{record.model.height}",
        "Seed": settings.seed,
        "Steps": settings.steps,
        "Guidance": f"{settings.guidance:g}",
        "Seconds": ", ".join(f"{stage} {value:g}" for stage, value in record.seconds.items()),
    }
    rows = "".join(f"<tr><th scope='row'>{name}</th><td>{escape(value)}</td></tr>" for name, value in values.items())
    return f"<details><summary>Settings of this run</summary><table>{rows}</table></details>"


def _downloads(base: str, settings: SettingsRecord | None, model: str = "") -> str:
    """Links to what was made; settings: None for the page of several models. model: one of several, by its name."""
    named = "showme" if settings is None else f"showme {settings.instruction[:_NAME]} {settings.seed} {model}"
    name = re.sub(r"[^A-Za-z0-9]+", "-", named).strip("-").lower()
    files, tasks = [("portable.html", "HTML", "html")], settings.tasks if settings is not None else ()
    if "image" in tasks:
        files.append((folder.RESULT, "PNG", "png"))
    if "video" in tasks:
        files += [(folder.VIDEO, "MP4", "mp4"), ("action.gif", "GIF", "gif"), ("action.webp", "WebP", "webp")]
    links = " ".join(
        f'<a href="{escape(base + file)}" download="{name}.{end}">{label}</a>' for file, label, end in files
    )
    words = "Download all models on one page:" if settings is None else "Download:"
    page = f'<a href="{escape(base + folder.PAGE)}" target="_blank" rel="noopener">open its page</a>'
    return f'<p class="sm-downloads">{words} {links} <span>or</span> {page}</p>'


def gallery_view(entries: Sequence[tuple[Entry, str]], current: str | None, title: str) -> str:
    """Finished runs as buttons with a picture. entries: with the address of each one's thumbnail."""
    if not entries:
        return ""
    items = "".join(
        f'<li><button type="button" data-run="{escape(entry.id)}"{" aria-current=true" if entry.id == current else ""}>'
        f'<img src="{escape(thumbnail)}" alt="" loading="lazy"><span>{escape(entry.instruction)}</span>'
        f"<small>{escape(_seed(entry))}</small></button></li>"
        for entry, thumbnail in entries
    )
    return f'<section class="sm-gallery"><h2>{escape(title)}</h2><ul>{items}</ul></section>'


def _seed(entry: Entry) -> str:
    seed = json.loads(entry.asked)["seed"] if entry.asked else None
    return "" if seed is None else f"seed {seed}"


def understanding_view(understood: Sequence[Understanding]) -> str:
    """What each chosen model knows of language."""
    parts = []
    for each in understood:
        words = "any words" if each.words is None else f"{len(each.words)} words: {', '.join(each.words)}"
        examples = "".join(f"<li>{escape(line)}</li>" for line in each.examples)
        said = f"<p>Sentences that it was trained on:</p><ul>{examples}</ul>" if examples else ""
        height, width = each.size
        parts.append(
            f"<h2>{escape(each.name)}</h2><p>Pictures of {width}x{height}, videos of {each.frames} frames. "
            f"It knows {escape(words)}.</p>{said}"
        )
    return "".join(parts)


def history_view(entries: Sequence[tuple[Entry, str]], may_delete: bool) -> str:
    """The history as a list. entries: with the address of each one's thumbnail."""
    if not entries:
        return '<p role="status">Nothing here yet, or nothing that fits.</p>'
    items = "".join(_line(entry, thumbnail, may_delete) for entry, thumbnail in entries)
    return f'<ul class="sm-history">{items}</ul>'


def _line(entry: Entry, thumbnail: str, may_delete: bool) -> str:
    picture = f'<img src="{escape(thumbnail)}" alt="" loading="lazy">' if thumbnail else "<span></span>"
    when = entry.at[:16].replace("T", " ")
    state = "" if entry.state == "done" else f"; {entry.state}{': ' + entry.error if entry.error else ''}"
    said = ", ".join(filter(None, (entry.models, _seed(entry), f"{when} UTC{state}")))
    words = f"<p>{escape(entry.instruction)}</p><small>{escape(said)}</small>"
    buttons = [("show", "Show")] if entry.state == "done" else []
    if entry.state in OPEN:
        buttons.append(("cancel", "Cancel"))
    if may_delete and entry.state not in OPEN:
        buttons.append(("delete", "Delete"))
    acts = "".join(
        f'<button type="button" data-run="{escape(entry.id)}" data-act="{act}" '
        f'aria-label="{label}: {escape(entry.instruction)}">{label}</button>'
        for act, label in buttons
    )
    return f"<li>{picture}<div>{words}</div><div>{acts}</div></li>"
