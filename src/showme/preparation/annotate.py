"""``showme data annotate``: labels of every clip, and a list that says where each lies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ..data.cache import Part, build_parts
from ..data.cache.build import Progress
from ..data.cache.parts import SHARD_ROWS
from ..data.clips import Look
from ..data.rows import ClipRows
from ..data.sources.lists import write_lines
from ..perception import captioner
from ..perception.captions import ENRICHMENT, STATES, AnswerStore, Captioner, Prompt, ask
from .config import AnnotateConfig, Label, LookConfig
from .labels import label_parts

INDEX = "labels.jsonl"
_PROMPTS: dict[str, Prompt[Any]] = {"states": STATES, "enrichment": ENRICHMENT}


def annotate(config: AnnotateConfig, progress: Progress | None = None, ray: str | None = None) -> Path:
    """Label every clip; returns the list, one JSON object per clip.

    A line has the clip's ``id`` and ``instruction``; for each label of arrays ``[file, row]``, a safetensors file below
    the folder and the row in it; for each caption its text.

    Args:
        config: what and how.
        progress: called with how far each label is.
        ray: address of a Ray cluster that computes the arrays; None: this process does.

    Raises:
        InputError: wrong settings, a clip that cannot be read, or an answer that cannot be.
    """
    rows, parts = annotation_parts(config)
    if captions_of(config):
        # The first question shows what would make all fail, before hours of other work.
        ask_about(config, captioner(config.estimators.captions), rows, 0)
    if ray is None:
        build_parts(config.out, parts, progress)
    else:
        _on_ray(config, parts, len(rows), ray, progress)
    texts = captions(config, rows, progress)
    lines = [_line(rows, row, parts) | {name: text[row] for name, text in texts.items()} for row in range(len(rows))]
    write_lines(config.out / INDEX, lines)
    return config.out / INDEX


def annotation_parts(config: AnnotateConfig) -> tuple[ClipRows, list[Part]]:
    """The clips, and the parts that hold their arrays; nothing is computed yet."""
    rows = ClipRows(config.source.records(config.clips), look_of(config.look))
    return rows, label_parts(rows, config.labels, config.estimators)


class AnnotationMaker:
    """Makes the parts of a configuration anew, in another process."""

    def __init__(self, config: AnnotateConfig):
        self.config = config

    def __call__(self) -> list[Part]:
        return annotation_parts(self.config)[1]


class CaptionWorker:
    """Asks about ranges of clips, in another process; the answers are kept in the folder that all share."""

    def __init__(self, config: AnnotateConfig):
        self.config = config
        self.rows = annotation_parts(config.model_copy(update={"labels": captions_of(config)}))[0]
        self.speaker = captioner(config.estimators.captions)

    def __call__(self, job: dict[str, Any]) -> dict[str, str]:
        from .on_ray import error_row

        numbers = range(int(job["start"]), int(job["stop"]))
        return error_row(lambda: [ask_about(self.config, self.speaker, self.rows, row) for row in numbers])


def _on_ray(config: AnnotateConfig, parts: list[Part], count: int, address: str, progress: Progress | None) -> None:
    from .on_ray import build_on_ray, map_on_ray

    build_on_ray(config.out, parts, AnnotationMaker(config), address, progress)
    if captions_of(config):
        jobs = [{"start": n, "stop": min(n + SHARD_ROWS, count)} for n in range(0, count, SHARD_ROWS)]
        for _ in map_on_ray(CaptionWorker, (config,), jobs, address):
            pass


def look_of(config: LookConfig) -> Look:
    """Settings as a look."""
    return Look(config.height, config.width, config.frames, config.sampling, config.fit, config.seed)


def captions_of(config: AnnotateConfig) -> list[Label]:
    """The labels that are texts."""
    return [label for label in config.labels if label in _PROMPTS]


def captions(config: AnnotateConfig, rows: ClipRows, progress: Progress | None) -> dict[str, list[Any]]:
    """Answers of every clip, by label; those that were given before are read."""
    wanted = captions_of(config)
    if not wanted:
        return {}
    speaker, size = captioner(config.estimators.captions), 0
    answers = []
    for row in range(len(rows)):
        answers.append(ask_about(config, speaker, rows, row))
        size += len(str(answers[-1]))
        if progress is not None:
            for label in wanted:
                progress(label, row + 1, len(rows), size)
    return {label: [answer[label] for answer in answers] for label in wanted}


def ask_about(config: AnnotateConfig, speaker: Captioner, rows: ClipRows, row: int) -> dict[str, Any]:
    """The answers about one clip's first frame, by label."""
    record, store = rows.record(row), AnswerStore(config.out / "captions")
    picture = Image.fromarray(rows.read([row])[0].frames[0])
    return {
        label: ask(speaker, _PROMPTS[label], picture, record.instruction, store, config.estimators.attempts, record.id)
        for label in captions_of(config)
    }


def _line(rows: ClipRows, row: int, parts: Sequence[Part]) -> dict[str, Any]:
    record = rows.record(row)
    shard, place = divmod(row, SHARD_ROWS)
    files = {part.name: [part.shard(Path(), shard).as_posix(), place] for part in parts}
    return {"id": record.id, "instruction": record.instruction} | files
