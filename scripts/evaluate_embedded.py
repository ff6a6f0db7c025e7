"""Measure a model on the tabletop world: one command, a table with 95% intervals, and the figures as JSON.

python scripts/evaluate_embedded.py --out docs/results
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import track

from embedded.judge import Judge, SceneScore, summarise
from showme.manifest import read_manifest
from showme.pipelines import load_bundle
from showme.worlds.tabletop import render


def main(
    out: Annotated[Path, typer.Option(help="folder for embedded.md and embedded.json")] = Path("docs/results"),
    model: Annotated[str, typer.Option(help="a bundle's name or folder")] = "embedded",
    scenes: Annotated[int, typer.Option(help="scenes of unseen seeds")] = 256,
    novel_scenes: Annotated[int, typer.Option(help="scenes of combinations never trained on")] = 256,
    steps: Annotated[int | None, typer.Option(help="denoising steps, when not the model's own")] = None,
    guidance: Annotated[float | None, typer.Option(help="guidance scale, when not the model's own")] = None,
    split: Annotated[str, typer.Option(help="of the unseen seeds: test, or validation to choose settings by")] = "test",
    goal: Annotated[bool, typer.Option("--goal", help="the video is to end with the picture")] = False,
    name: Annotated[str, typer.Option(help="of the two files")] = "embedded",
) -> None:
    """Score the scenes and write the table; an evaluation that was interrupted goes on where it stopped."""
    bundle = load_bundle(model)
    pipeline = bundle.pipeline
    pipeline.set_progress_bar_config(disable=True)
    overrides = {"num_inference_steps": steps, "guidance_scale": guidance}
    pipeline.register_to_config(**{key: value for key, value in overrides.items() if value is not None})
    judge = Judge(pipeline, goal=goal)
    record = {
        "model": bundle.info.name,
        "weights": weights_hash(bundle.folder),
        "steps": pipeline.config.num_inference_steps,
        "guidance_scale": pipeline.config.guidance_scale,
        "goal": goal,
        "frames": pipeline.config.num_frames,
        "size": [bundle.info.height, bundle.info.width],
        "dtype": str(pipeline.dtype).removeprefix("torch."),
        "torch": torch.__version__,
        "generated": "tensors, not re-read from a video file; one sample per scene, seed = scene number",
    }
    out.mkdir(parents=True, exist_ok=True)
    draft = out / f"{name}.scenes.jsonl"
    kept = read_kept(draft, record)
    columns = {
        part: scored(judge, part, count, kept, draft)
        for part, count in ((split, scenes), ("test_novel", novel_scenes))
        if count
    }
    table = as_table(columns)
    options = f"--scenes {scenes} --novel-scenes {novel_scenes}{' --goal' if goal else ''}"
    heading = f"# {bundle.info.name} on the tabletop world\n\n`python scripts/evaluate_embedded.py {options}`\n"
    settings = "\n".join(f"- {key}: {value}" for key, value in record.items())
    (out / f"{name}.md").write_text(f"{heading}\n{table}\n\nMeans with 95% bootstrap intervals.\n\n{settings}\n")
    scenes_ = {part: [asdict(score) for score in column] for part, column in columns.items()}
    (out / f"{name}.json").write_text(json.dumps({"record": record, "scenes": scenes_}, indent=1) + "\n")
    draft.unlink()
    print(table)


def read_kept(draft: Path, record: dict[str, object]) -> dict[tuple[str, int], SceneScore]:
    """What an evaluation that was interrupted had scored, by split and scene; nothing of other settings is taken."""
    text = draft.read_text() if draft.is_file() else ""
    # The last line may be half a line.
    text = text[: text.rfind("\n") + 1]
    lines = [json.loads(line) for line in text.splitlines()]
    if not lines or lines[0] != record:
        text, lines = json.dumps(record) + "\n", []
    draft.write_text(text)
    return {(line["split"], line["scene"]): SceneScore(**line["score"]) for line in lines[1:]}


def scored(
    judge: Judge, split: str, count: int, kept: dict[tuple[str, int], SceneScore], draft: Path
) -> list[SceneScore]:
    """The first scenes of a split; those that are not kept yet are scored, and kept."""
    scores = []
    for scene in track(range(count), description=split):
        if (split, scene) not in kept:
            kept[split, scene] = judge.score(render(scene, split), scene)
            with draft.open("a") as file:
                file.write(json.dumps({"split": split, "scene": scene, "score": asdict(kept[split, scene])}) + "\n")
        scores.append(kept[split, scene])
    return scores


def weights_hash(folder: Path) -> str:
    """SHA-256 over the weights' own: the same whatever the bundle's card says."""
    files = read_manifest(folder)
    digests = [f"{name} {files[name]['sha256']}" for name in sorted(files) if name.endswith(".safetensors")]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def as_table(columns: dict[str, list[SceneScore]]) -> str:
    """Markdown: one row per figure, one column per split."""
    summaries = {name: summarise(scores) for name, scores in columns.items()}
    heads = [f"{name} ({len(columns[name])} scenes)" for name in columns]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for row in next(iter(summaries.values())):
        cells = [f"{s[row].mean:.2f} [{s[row].low:.2f}, {s[row].high:.2f}]" for s in summaries.values()]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
