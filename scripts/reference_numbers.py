"""The numbers that a change which should change none must leave alone: losses, pictures, videos.

    showme data render --out runs/numbers/tabletop --count 96 --no-labels
    python scripts/reference_numbers.py runs/numbers/tabletop runs/numbers/before      # in a checkout of the old code
    python scripts/reference_numbers.py runs/numbers/tabletop runs/numbers/after       # in one of the new
    cmp runs/numbers/before/numbers.json runs/numbers/after/numbers.json

Everything goes through the commands and ``showme.load``, which both checkouts have: twenty steps of each embedded
recipe in fp32 (its precision is otherwise chosen by the clock), the reward recipes on the models of the first two; then
answers to the example scenes with ten seeds, from the command and from Python.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image

import showme

_ROOT = Path(__file__).parents[1]
_EXAMPLES = Path(showme.__file__).parent / "assets" / "examples"
_RECIPES = {"state_image": None, "state_image_reward": "state_image", "state_video": "state_image",
            "state_video_reward": "state_video"}  # fmt: skip


def main(
    clips: Annotated[Path, typer.Argument(help="folder of rendered clips")],
    out: Annotated[Path, typer.Argument(help="empty folder: the runs, and numbers.json")],
    steps: Annotated[int, typer.Option(help="of each recipe")] = 20,
    seeds: Annotated[int, typer.Option(help="of pictures and videos")] = 10,
) -> None:
    """Write ``numbers.json``: the losses of every step, and the SHA-256 of every picture and video."""
    found: dict[str, Any] = {"losses": {recipe: _losses(recipe, clips, out, steps) for recipe in _RECIPES}}
    found["command"] = _commanded(out / "generated")
    found["pipeline"] = _piped(seeds)
    found["tuned"] = _answers(showme.load(out / "state_video_reward" / "model"), range(2))
    (out / "numbers.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _losses(recipe: str, clips: Path, out: Path, steps: int) -> list[Any]:
    """Every step's line of the log without its times and memory, and without how far it is, which older logs lack."""
    begins = _RECIPES[recipe]
    fields = [f"data.source={clips}", f"data.cache={out / 'cache'}", f"out={out / recipe}", f"training.steps={steps}"]
    fields += ["training.precision=fp32", "validation.scenes=0", "training.tensorboard=false"]
    fields += [f"model={out / begins / 'model'}"] if begins else []
    _showme("train", _ROOT / "configs" / "embedded" / f"{recipe}.yaml", *fields)
    lines = [json.loads(line) for line in (out / recipe / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        {name: value for name, value in line.items() if "second" not in name and name not in ("progress", "memory_mib")}
        for line in lines
    ]


def _commanded(folder: Path) -> dict[str, str]:
    """What ``showme generate`` wrote of one example."""
    photo = _EXAMPLES / "push_left.png"
    _showme("generate", photo, photo.with_suffix(".txt").read_text(encoding="utf-8").strip(), "--out", folder)
    return {name: _digest((folder / name).read_bytes()) for name in ("result.png", "action.mp4", "strip.png")}


def _piped(seeds: int) -> dict[str, str]:
    """Answers of the pipeline that is there at once, and of the whole one, with guidance and a goal beside."""
    whole = showme.load()
    whole.to("cpu")
    guided = _answers(whole, range(2), guidance_scale=2.0) | _answers(whole, range(2, 4), goal=True)
    return (
        _answers(showme.load(), range(seeds))
        | {f"whole {k}": v for k, v in _answers(whole, range(seeds)).items()}
        | {f"guided {name}": value for name, value in guided.items()}
    )


def _answers(pipe: Any, seeds: range, **settings: Any) -> dict[str, str]:
    pipe.set_progress_bar_config(disable=True)
    answers = {}
    for seed in seeds:
        photo = sorted(_EXAMPLES.glob("*.png"))[seed % 3]
        words = photo.with_suffix(".txt").read_text(encoding="utf-8").strip()
        out = pipe(Image.open(photo), words, seed=seed, **settings)
        pictures = np.stack([np.asarray(picture) for picture in [out.image, *out.frames]])
        answers[f"{photo.stem} seed {seed}"] = _digest(pictures.tobytes())
    return answers


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _showme(*arguments: Any) -> None:
    subprocess.run([sys.executable, "-m", "showme.cli", *map(str, arguments)], check=True)


if __name__ == "__main__":
    typer.run(main)
