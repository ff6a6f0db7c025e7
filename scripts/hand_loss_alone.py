"""What the hand structure loss does when nothing else is minimised: its own measure on clips that it was not tuned on.

    python scripts/hand_loss_alone.py --out runs/hand-loss --table docs/results/hand_loss.md

The embedded model's video is tuned by the hand term alone, at noise levels at which it speaks. Printed, before and
after: the term on held-out clips at fixed noise, by the network that the loss looks with and by the judging one, and
the denoising error there, which nothing holds back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.progress import track
from torch.utils.data import DataLoader, Dataset, Subset

from showme.evaluation.intervals import bootstrap
from showme.experiment import open_run
from showme.methods.ivg.hands import HandTerm
from showme.methods.ivg.objective import IVGObjective
from showme.methods.recipes import load_recipe
from showme.perception import hand_landmarks
from showme.worlds.render import render_dataset

_RECIPE = Path(__file__).parents[1] / "configs" / "ivg" / "embedded_video_hands.yaml"


def main(
    out: Annotated[Path, typer.Option(help="folder of clips and cache")] = Path("runs/hand-loss"),
    steps: Annotated[int, typer.Option(help="of tuning")] = 60,
    batch: Annotated[int, typer.Option(help="clips per step")] = 4,
    clips: Annotated[int, typer.Option(help="training clips")] = 200,
    held_out: Annotated[int, typer.Option(help="clips of the validation split")] = 64,
    rate: Annotated[float, typer.Option(help="of AdamW")] = 3e-4,
    table: Annotated[Path | None, typer.Option(help="file for the table, as well")] = None,
) -> None:
    """Tune and print the table."""
    render_dataset(out / "train", clips, "train", labels=False)
    render_dataset(out / "validation", held_out, "validation", labels=False)
    run, samples = opened(out, "train", clips)
    _, judged_samples = opened(out, "validation", held_out)
    run.stage.prepare()
    objective: Any = run.stage.objective()
    judge = HandTerm(hand_landmarks("tabletop-judge"), objective.hands.config)
    before = measured(objective, judge, judged_samples, held_out, batch)
    tune(objective, samples, steps, batch, rate)
    after = measured(objective, judge, judged_samples, held_out, batch)
    lines = [
        f"| {held_out} held-out clips, {steps} steps of {batch} | before | after | paired difference |",
        "|---|---|---|---|",
    ]
    for name in before:
        pairs = [bootstrap(values) for values in (before[name], after[name])]
        change = bootstrap([b - a for a, b in zip(before[name], after[name], strict=True)])
        cells = [f"{each.mean:.5f} [{each.low:.5f}, {each.high:.5f}]" for each in (*pairs, change)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    print("\n".join(lines))
    if table is not None:
        table.write_text("\n".join(lines) + "\n")


def opened(out: Path, split: str, clips: int) -> tuple[Any, Any]:
    """A run of stage video on the clips of a split, and its samples, at levels where the hand term speaks."""
    fields = [f"data.source={out / split}", f"data.cache={out / 'cache'}", "model=embedded", "region=truth",
              f"data.clips={clips}", "validation.scenes=0", "validation.source=null", "dropout.text=0"]  # fmt: skip
    config: Any = load_recipe(_RECIPE, fields)
    run = open_run(config, device="cpu")
    samples: Any = run.stage.samples(run.clips())
    samples.draw = replace(samples.draw, gate=(config.hands.least_log10_snr * math.log(10), math.inf))
    return run, samples


def tune(objective: Any, samples: Dataset, steps: int, batch: int, rate: float) -> None:
    """Minimise the hand term, and nothing else."""
    trained = [each for each in objective.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0)
    batches = DataLoader(Subset(samples, range(steps * batch)), batch)  # type: ignore[arg-type]
    for each in track(batches, description="tuning"):
        objective(each)["hands"].backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


@torch.no_grad()
def measured(objective: Any, judge: HandTerm, samples: Dataset, count: int, batch: int) -> dict[str, list[float]]:
    """Means of each batch: the hand term by both networks, and the denoising error."""
    networks = {"hand structure loss": objective.hands, "by the judging network": judge}
    looks = {name: IVGObjective(objective.backbone, hands=hands) for name, hands in networks.items()}
    found: dict[str, list[float]] = {name: [] for name in (*looks, "denoising error")}
    objective.eval()
    for each in track(_batches(samples, count, batch), description="measuring", total=count // batch):
        for name, look in looks.items():
            terms = look(each)
            found[name].append(float(terms["hands"]))
        found["denoising error"].append(float(terms["noise"]))
    objective.train()
    return found


def _batches(samples: Dataset, count: int, batch: int) -> Iterator[dict[str, torch.Tensor]]:
    yield from DataLoader(Subset(samples, range(count)), batch)  # type: ignore[arg-type]


if __name__ == "__main__":
    typer.run(main)
