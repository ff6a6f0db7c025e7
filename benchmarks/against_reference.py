"""Our VideoUNet beside DynamiCrafter's own code: the same weights, the same inputs, one forward pass each in turn.

    pip install einops opencv-python-headless
    python benchmarks/against_reference.py --reference DynamiCrafter        # a checkout of its repository

The original attends by einsum where xformers is missing, as on a CPU; it has no flag for torch's fused attention, so
that is what it is timed with.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn

from showme.conversion.dynamicrafter import convert_unet
from showme.models import split_image_tokens

FRAMES, TEXT_TOKENS, WIDTH = 16, 77, 1024
# configs/inference_256_v1.0.yaml but for its width (320) and its checkpointing, which saves memory in training alone.
CONFIG: dict[str, Any] = {
    "in_channels": 8,
    "out_channels": 4,
    "attention_resolutions": [4, 2, 1],
    "num_res_blocks": 2,
    "channel_mult": [1, 2, 4, 4],
    "dropout": 0.1,
    "num_head_channels": 64,
    "transformer_depth": 1,
    "context_dim": WIDTH,
    "use_linear": True,
    "use_checkpoint": False,
    "temporal_conv": True,
    "temporal_attention": True,
    "temporal_selfatt_only": True,
    "use_relative_position": False,
    "use_causal_attention": False,
    "temporal_length": FRAMES,
    "addition_attention": True,
    "image_cross_attention": True,
    "fs_condition": True,
}
# Name -> latent height and width, and what the released configurations of that size change.
LAYOUTS: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {
    "256": ((32, 32), {"image_cross_attention_scale_learnable": True, "default_fs": 3}),
    "512": ((40, 64), {"image_cross_attention_scale_learnable": False, "default_fs": 24}),
}
Pass = Callable[[], Tensor]


def main(
    reference: Annotated[Path, typer.Option(help="a checkout of DynamiCrafter's repository")],
    width: Annotated[int, typer.Option(help="model_channels; 320 in the released models")] = 64,
    threads: Annotated[int, typer.Option(help="CPU threads")] = 2,
    pairs: Annotated[int, typer.Option(help="timed passes of each, in turn, after one that is not counted")] = 5,
    layout: Annotated[list[str] | None, typer.Option(help="256 or 512; both when left out")] = None,
) -> None:
    """Print a Markdown table: seconds (median) of wall clock and CPU, their ratio pair by pair, the difference."""
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    original = import_reference(reference)
    print("| layout | what | original s | ours s | ratio | CPU ratio | largest difference |")
    print("|---|---|---|---|---|---|---|")
    for name in layout or list(LAYOUTS):
        size, changes = LAYOUTS[name]
        theirs, ours = build(original, {**CONFIG, **changes, "model_channels": width})
        run_theirs, run_ours, run_picture = passes(theirs, ours, size)
        print(row(name, "video beside video", run_theirs, run_ours, pairs), flush=True)
        if name == "256":
            print(row(name, "our picture beside its video", run_theirs, run_picture, pairs, same=False), flush=True)


def import_reference(folder: Path) -> type[nn.Module]:
    """The original's UNet class.

    Raises:
        typer.BadParameter: ``folder`` is no checkout of it, or a package that it needs is missing.
    """
    if not (folder / "lvdm").is_dir():
        raise typer.BadParameter(f"{folder} has no lvdm folder: give a checkout of DynamiCrafter.")
    sys.path.insert(0, str(folder))
    try:
        from lvdm.modules.networks.openaimodel3d import UNetModel
    except ImportError as error:
        raise typer.BadParameter(f"DynamiCrafter cannot be imported ({error}): install that package.") from error
    return UNetModel


def build(original: type[nn.Module], config: dict[str, Any]) -> tuple[nn.Module, nn.Module]:
    """The original with random weights, and ours filled with them."""
    torch.manual_seed(0)
    theirs = original(**config).eval()
    for parameter in theirs.parameters():
        if not parameter.any():  # zero-initialised ends would hide what comes before them
            nn.init.normal_(parameter, std=0.02)
    ours = convert_unet(theirs.state_dict(), config)
    return theirs, ours.to(memory_format=torch.channels_last)  # as load_pipeline lays the weights out


def passes(theirs: nn.Module, ours: nn.Module, size: tuple[int, int]) -> tuple[Pass, Pass, Pass]:
    """One pass of the original, of ours, and of our image mode on the first frame."""
    sample = torch.randn(1, CONFIG["in_channels"], FRAMES, *size)
    context = torch.randn(1, TEXT_TOKENS + 16 * FRAMES, WIDTH)
    timestep, stride = torch.tensor([500]), torch.tensor([3])
    text, tokens = context[:, :TEXT_TOKENS], context[:, TEXT_TOKENS:]
    image, first = split_image_tokens(tokens, FRAMES), sample[:, :, :1]
    return (
        lambda: theirs(sample, timestep, context=context, fs=stride),
        lambda: ours(sample, timestep, text, image, scalar=stride),
        lambda: ours(first, timestep, text, tokens, scalar=stride, temporal=False),
    )


def row(layout: str, what: str, theirs: Pass, ours: Pass, pairs: int, same: bool = True) -> str:
    """Time two passes in turn and write the table's line; with ``same`` their outputs are compared."""
    difference = f"{float((theirs() - ours()).abs().max()):.1e}" if same else "-"
    seconds: list[list[tuple[float, float]]] = [[], []]
    for _ in range(pairs):
        for times, run in zip(seconds, (theirs, ours), strict=True):
            times.append(timed(run))
    wall, cpu = ([[both[clock] for both in times] for times in seconds] for clock in (0, 1))
    ratios = [statistics.median(a / b for a, b in zip(*clock, strict=True)) for clock in (wall, cpu)]
    medians = [statistics.median(times) for times in wall]
    return (
        f"| {layout} | {what} | {medians[0]:.2f} | {medians[1]:.2f} | {ratios[0]:.2f} | {ratios[1]:.2f} | "
        f"{difference} |"
    )


def timed(run: Pass) -> tuple[float, float]:
    """Seconds of wall clock and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    typer.run(main)
