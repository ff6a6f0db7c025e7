"""Samples per second of a training step that reads its cache, against one that encodes everything anew.

The released code encodes the clip, the instruction, the empty instruction and the picture at every step, and looks at
the rewards' targets again. Here both ways run the same objective on the same network with the same samples, one after
the other, several rounds in turn: the ratio of the medians is what counts, the seconds are the machine's.

    python benchmarks/training_step.py                       # the embedded model
    python benchmarks/training_step.py --model dynamicrafter-256 --checkpointing    # a converted one
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch.utils.data import default_collate

from showme.data.cache import Part
from showme.data.rows import ClipRows
from showme.data.stream import to_device
from showme.experiment import open_run
from showme.methods.cached import CachedClips
from showme.methods.showme.config import ShowMeConfig
from showme.training.log import peak_memory_mib
from showme.worlds.render import render_dataset

CLIPS = 32
CASES = {
    "stage 1": {"stage": "state_image"},
    "stage 1, edge and depth rewards": {"stage": "state_image", "rewards": {"edge": "sobel", "depth": "tabletop"}},
    "stage 2": {"stage": "state_video"},
    "stage 2, motion reward": {"stage": "state_video", "rewards": {"motion": "dis"}},
}


@dataclass
class Timed:
    """Seconds of one way's steps."""

    step: Callable[[int], None]
    seconds: list[float]

    def run(self, number: int) -> None:
        began = time.perf_counter()
        self.step(number)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - began)


def main(
    batch: Annotated[int, typer.Option(help="samples per step")] = 8,
    rounds: Annotated[int, typer.Option(help="steps of each way, in turn, after one that is not counted")] = 5,
    model: Annotated[str, typer.Option(help="a bundle")] = "embedded",
    checkpointing: Annotated[bool, typer.Option(help="recompute layers in the backward pass")] = False,
    case: Annotated[str | None, typer.Option(help="one case alone, for its peak memory")] = None,
    way: Annotated[str, typer.Option(help="both, cached or anew")] = "both",
) -> None:
    """Print one line of JSON per case."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        render_dataset(folder / "clips", CLIPS, "train", labels=False)
        for name in [case] if case else CASES:
            print(json.dumps(measure(name, folder, model, batch, rounds, checkpointing, way)), flush=True)


def measure(
    name: str, folder: Path, model: str, batch: int, rounds: int, checkpointing: bool, way: str
) -> dict[str, object]:
    """Samples per second of both ways of one case, and the ratio of their medians."""
    training = {"steps": 1, "batch_size": batch, "gradient_checkpointing": checkpointing}
    data = {"source": folder / "clips", "cache": folder / "cache", "frames": 16}
    config = ShowMeConfig(out=folder / "run", model=model, data=data, training=training, fresh=True, **CASES[name])
    run = open_run(config)
    clips, stage, pipeline = run.clips(), run.stage, run.stage.pipeline
    anew = Anew(stage.parts(run.rows), run.rows)
    stage.prepare()
    objective = stage.objective().to(pipeline.device)
    trained = [p for p in objective.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, 1e-4)

    def step(source: CachedClips | Anew, number: int) -> None:
        samples = stage.samples(source)  # type: ignore[arg-type]
        chosen = [samples[position] for position in range(number * batch, (number + 1) * batch)]
        with torch.autocast(pipeline.device.type, torch.bfloat16):
            terms = objective(to_device(default_collate(chosen), pipeline.device))
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    ways = {"cached": Timed(lambda n: step(clips, n), []), "anew": Timed(lambda n: step(anew, n), [])}
    chosen = {key: timed for key, timed in ways.items() if way in ("both", key)}
    for number in range(rounds + 1):
        for timed in chosen.values():
            timed.run(number)
    medians = {key: statistics.median(timed.seconds[1:]) for key, timed in chosen.items()}
    line: dict[str, object] = {"case": name, "batch": batch, "gradient_checkpointing": checkpointing}
    line |= {f"{key}: samples per second": round(batch / seconds, 2) for key, seconds in medians.items()}
    if len(medians) == len(ways):
        line["ratio"] = round(medians["anew"] / medians["cached"], 2)
    return line | {"peak_memory_mib": peak_memory_mib()}


class Anew:
    """What :class:`CachedClips` reads, computed by the same networks whenever it is asked for, one clip at a time."""

    def __init__(self, parts: list[Part], rows: ClipRows):
        self.ids = [record.id for record in rows.records]
        self.parts = {part.name: part for part in parts}
        self.words = sorted({"", *(record.instruction for record in rows.records)})
        self.records = rows.records

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        clip: dict[str, torch.Tensor] = {}
        for name, part in self.parts.items():
            if name == "text":
                texts = [self.words.index(self.records[row].instruction), self.words.index("")]
                clip["text"], clip["null_text"] = part.encode(texts)["text"].cpu()
            elif name == "null_image":
                clip["null_image"] = part.encode([0])["null_image"][0].cpu()
            else:
                clip |= {key: value[0].cpu() for key, value in part.encode([row]).items()}
        clip.pop("stride")
        return clip


if __name__ == "__main__":
    typer.run(main)
