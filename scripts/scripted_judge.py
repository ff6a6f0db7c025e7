"""Whether the interval on the results page of a preference study contains the truth as often as it says.

    python scripts/scripted_judge.py --work runs/scripted_judge --out docs/results/scripted_judge.md
    python scripts/scripted_judge.py --work runs/scripted_judge --model embedded --model runs/older
    python scripts/scripted_judge.py --work runs/scripted_judge --clips A --clips B --reference TRUE

The embedded model answers the same scenes under several settings, or several models do, and the first is compared with
each of the others. A
scripted judge prefers, in 80% of the pairs, the clip with the higher PSNR: of all that such a judge may answer, the
first's share is 0.8 p + 0.2 (1 - p), p being the share of scenes in which it has the higher PSNR. Each repeat is a
study of its own: pairs are drawn and sides swapped as a person sees them, answers go through the store, and the
interval is the one that the page shows.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image
from rich.progress import track
from safetensors.numpy import save_file

from showme.data.media import Media
from showme.evaluation.clip_sets import open_clip_set
from showme.judging import AnswerStore, Question, Study, make_study
from showme.judging.results import study_result
from showme.judging.statistics import Preference
from showme.judging.store import LEFT, RIGHT
from showme.judging.study import next_showing
from showme.pictures.psnr import psnr

_FOLLOWS = 0.8
_QUESTION = Question(key="quality", text="Which video has the higher quality?")
# What one model is asked for: denoising steps and seed.
_SETTINGS = {"2 steps": (2, 0), "1 step": (1, 0), "2 steps, another seed": (2, 1)}


@dataclass(frozen=True)
class Answers:
    """Who answers, and how. steps: None takes the model's own."""

    name: str
    model: str
    steps: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Repeat:
    """One study: what the page shows of it, and the truth."""

    found: Preference
    truth: float

    @property
    def inside(self) -> bool:
        """Whether the interval contains the truth."""
        return self.found.low <= self.truth <= self.found.high


def main(
    work: Annotated[Path, typer.Option(help="folder for clips and studies; clips that are there are not made again")],
    model: Annotated[list[str], typer.Option(help="a bundle's name or folder; several are compared")] = ["embedded"],  # noqa: B006
    scenes: Annotated[int, typer.Option(help="of the tabletop world's test split, the first so many")] = 64,
    clips: Annotated[list[Path] | None, typer.Option(help="folders of clips instead, with --reference")] = None,
    reference: Annotated[Path | None, typer.Option(help="folder of the true ones")] = None,
    judges: Annotated[int, typer.Option(min=1, help="who answer every pair of a repeat")] = 1,
    repeats: Annotated[int, typer.Option(min=1)] = 100,
    out: Annotated[Path | None, typer.Option(help="also write the table there, as Markdown")] = None,
) -> None:
    """Print the table."""
    if clips and (len(clips) < 2 or reference is None):
        raise typer.BadParameter("give --clips twice at least, and --reference.")
    if not clips:
        clips, reference = generated(work, answers_of(model), scenes)
    known = {place.name: psnr_of(place, reference) for place in clips}
    first, *others = known
    columns = {
        f"{first} against {other}": column(work, (clips[0], clips[number]), known[first], known[other], repeats, judges)
        for number, other in enumerate(others, 1)
    }
    text = table(columns)
    print(text)
    if out is not None:
        out.write_text(f"{text}\n", encoding="utf-8")


def answers_of(models: list[str]) -> list[Answers]:
    """Several models as they are, or one under several settings."""
    if len(models) > 1:
        return [Answers(Path(name).name, name) for name in models]
    return [Answers(name, models[0], *settings) for name, settings in _SETTINGS.items()]


def generated(work: Path, answers: list[Answers], scenes: int) -> tuple[list[Path], Path]:
    """Folders of the clips of every answer and of the true ones, made where they are missing."""
    from showme.worlds.tabletop import render, sample_scene

    truth, pipelines = work / "truth", {each.model: loaded(each.model) for each in answers}
    for seed in track(range(scenes), description="generating"):
        missing = [each for each in answers if not (work / each.name / f"{seed}.safetensors").exists()]
        if not missing and (truth / f"{seed}.safetensors").exists():
            continue
        clip = render(seed, "test", labels=False)
        keep(truth, seed, clip.frames)
        for each in missing:
            output = pipelines[each.model](
                Image.fromarray(clip.frames[0]),
                clip.instruction,
                task="video",
                seed=each.seed,
                num_inference_steps=each.steps,
            )
            keep(work / each.name, seed, np.stack([np.asarray(frame) for frame in output.frames]))
    rows = [
        {"id": str(seed), "file": f"{seed}.safetensors", "instruction": sample_scene(seed, "test").instruction}
        for seed in range(scenes)
    ]
    places = [work / each.name for each in answers]
    for place in (truth, *places):
        (place / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return places, truth


def loaded(model: str):
    """A pipeline that says nothing."""
    import showme

    pipeline = showme.load(model)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def keep(place: Path, seed: int, frames: np.ndarray) -> None:
    """Write a clip, uint8 (T, H, W, 3)."""
    place.mkdir(parents=True, exist_ok=True)
    save_file({"frames": frames}, place / f"{seed}.safetensors")


def psnr_of(place: Path, reference: Path) -> dict[str, float]:
    """Clip -> PSNR in dB, the mean over frames after the first, which is the photo."""
    made, true = open_clip_set(place).clips, open_clip_set(reference).clips
    return {clip: mean_psnr(frames_of(made[clip]), frames_of(true[clip])) for clip in sorted(true)}


def frames_of(media: Media) -> list[np.ndarray]:
    """All of a clip, uint8 (H, W, 3) each."""
    with media.open() as frames:
        return list(frames.read(range(len(frames))))


def mean_psnr(made: list[np.ndarray], true: list[np.ndarray]) -> float:
    """In dB."""
    return float(np.mean([psnr(a, b) for a, b in zip(made[1:], true[1:], strict=True)]))


def column(
    work: Path, places: tuple[Path, Path], first: dict[str, float], second: dict[str, float], repeats: int, judges: int
) -> dict[str, str]:
    """Figures of one comparison, by label."""
    better = {clip: places[0].name if first[clip] > second[clip] else places[1].name for clip in first}
    p = float(np.mean([first[clip] > second[clip] for clip in first]))
    found = [
        repeat(work / "studies" / str(number), places, better, p, number, judges)
        for number in track(range(repeats), description="judging")
    ]
    shutil.rmtree(work / "studies")
    truth, shares = found[0].truth, [each.found.share for each in found]
    return {
        "scenes": str(len(better)),
        "judges in each repeat": str(judges),
        "p: scenes in which the first has the higher PSNR": f"{p:.4f}",
        "truth, 0.8 p + 0.2 (1 - p)": f"{truth:.4f}",
        "mean share over repeats": f"{np.mean(shares):.4f}",
        "standard deviation of the share over repeats": f"{np.std(shares):.4f}",
        "mean width of the 95% interval": f"{np.mean([each.found.high - each.found.low for each in found]):.4f}",
        "intervals that contain the truth": f"{sum(each.inside for each in found)} of {len(found)}",
        "intervals above it": str(sum(each.found.low > truth for each in found)),
        "intervals below it": str(sum(each.found.high < truth for each in found)),
    }


def repeat(folder: Path, places: tuple[Path, Path], better: dict[str, str], p: float, seed: int, judges: int) -> Repeat:
    """One study, begun, answered and read."""
    study = make_study(folder, places, names=[place.name for place in places], questions=[_QUESTION], seed=seed)
    store = AnswerStore(folder, study)
    rng = np.random.default_rng(seed)
    for number in range(judges):
        # By clip, whatever the order in which they are shown.
        follows = {clip: bool(rng.random() < _FOLLOWS) for clip in sorted(better)}
        judge(study, store, f"judge {number}", better, follows)
    found = study_result(study, store.answers()).questions[0].preferences[0]
    return Repeat(found, _FOLLOWS * p + (1 - _FOLLOWS) * (1 - p))


def judge(study: Study, store: AnswerStore, name: str, better: dict[str, str], follows: dict[str, bool]) -> None:
    """Answers all pairs, one after the other, by the side that they are shown on."""
    while (shown := next_showing(study, name, store.answered_by(name), store.counts())) is not None:
        left = (shown.left == better[shown.item.clip]) == follows[shown.item.clip]
        store.add(name, shown.item, {_QUESTION.key: LEFT if left else RIGHT})


def table(columns: dict[str, dict[str, str]]) -> str:
    """Markdown, a column for each comparison."""
    labels = next(iter(columns.values()))
    rows = [[label, *(column[label] for column in columns.values())] for label in labels]
    lines = [["", *columns], ["---"] * (len(columns) + 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    typer.run(main)
