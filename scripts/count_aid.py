"""AID on Stable Video Diffusion at its full size, without its weights: parameters, operations and kept activations.

    python scripts/count_aid.py --out docs/results/aid_size.md

Everything is on the meta device: shapes are computed and numbers are not. Operations are multiplications and additions
of matrix products and convolutions, of one forward and backward pass; activations are the bytes that autograd keeps for
the backward pass, in the precision of training, without gradient checkpointing. Full fine-tuning reads the same
DQFormer. The paper says 216 M trained parameters, and 0.54 of the memory of full fine-tuning.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from showme.backbones.svd import SVDBackbone
from showme.models.bottlenecks import KINDS, Bottlenecks
from showme.models.dqformer import DQFormer
from showme.models.svd_unet import SVDUNet

_MIB = 2**20
_HEADER = (
    "# AID on Stable Video Diffusion, at full size",
    "",
    "`python scripts/count_aid.py --out docs/results/aid_size.md`: shapes on the meta device, a clip of 16 frames at",
    "256x256, bf16, no gradient checkpointing. Full fine-tuning reads the same DQFormer. The paper says 216 M trained",
    "parameters and 1528 M of the base; seconds on a GPU are unmeasured.",
    "",
)


class Parts:
    """What the backbone reads its network from."""

    def __init__(self, unet: SVDUNet):
        self.unet = unet


def main(
    out: Annotated[Path | None, typer.Option(help="file for the table")] = None,
    frames: Annotated[int, typer.Option(help="of a clip")] = 16,
    size: Annotated[int, typer.Option(help="height and width in pixels")] = 256,
) -> None:
    """Print the tables."""
    torch.set_default_device("meta")
    torch.set_default_dtype(torch.bfloat16)
    # Its blenders make their factors on the CPU, whatever the default device.
    unet = SVDUNet().to("meta")
    backbone: Any = SVDBackbone(Parts(unet))
    dqformer = DQFormer(frames=frames)
    sites = {kind: {name: site.width for name, site in backbone.sites(kind).items()} for kind in KINDS}
    bottlenecks = Bottlenecks(sites=sites)
    counts = parameter_counts(unet, backbone, dqformer, bottlenecks)
    lines = ["| part | parameters, millions |", "|---|---|"]
    lines += [f"| {name} | {count / 1e6:.1f} |" for name, count in counts.items()]
    lines += [
        "",
        "| training | operations, 10^12 | against full | kept activations, MiB | against full |",
        "|---|---|---|---|---|",
    ]
    full = cost(lambda: step(unet, dqformer, None, backbone, frames, size, whole=True))
    aid = cost(lambda: step(unet, dqformer, bottlenecks, backbone, frames, size, whole=False))
    for name, (operations, kept) in (("full fine-tuning", full), ("AID", aid)):
        shares = operations / full[0], kept / full[1]
        lines.append(f"| {name} | {operations / 1e12:.2f} | {shares[0]:.2f} | {kept / _MIB:.0f} | {shares[1]:.2f} |")
    states = {
        "full fine-tuning": counts["the base"] + counts["DQFormer"],
        "AID": counts["trained, with all cross-attention"],
    }
    lines += ["", "| gradients and AdamW's states in fp32, MiB | |", "|---|---|"]
    lines += [f"| {name} | {count * 12 / _MIB:.0f} |" for name, count in states.items()]
    print("\n".join(lines))
    if out is not None:
        out.write_text("\n".join([*_HEADER, *lines]) + "\n")


def parameter_counts(unet: nn.Module, backbone: Any, dqformer: nn.Module, bottlenecks: Any) -> dict[str, int]:
    """Of every part, and of what is trained."""
    cross = {"spatial": 0, "temporal": 0}
    for name in backbone.cross_attention_targets():
        half = "temporal" if "temporal_transformer_blocks" in name else "spatial"
        cross[half] += size_of(unet.get_submodule(name))
    adapters = {kind: size_of(getattr(bottlenecks, kind)) for kind in KINDS}
    added = size_of(dqformer) + sum(adapters.values())
    return {
        "the base": size_of(unet),
        "DQFormer": size_of(dqformer),
        **{f"{kind.replace('_', '-')} adapters": count for kind, count in adapters.items()},
        "cross-attention of the spatial layers": cross["spatial"],
        "cross-attention of the temporal layers": cross["temporal"],
        "trained, with frozen cross-attention": added,
        "trained, with all cross-attention": added + sum(cross.values()),
    }


def size_of(module: nn.Module) -> int:
    """Parameters of a module."""
    return sum(each.numel() for each in module.parameters())


def step(unet: SVDUNet, dqformer: Any, bottlenecks: Any, backbone: Any, frames: int, size: int, whole: bool) -> None:
    """One forward and backward pass of a clip."""
    side = size // 8
    sample, ids = torch.zeros(1, 8, frames, side, side), torch.zeros(1, 3)
    unet.requires_grad_(whole)
    for name in [] if whole else backbone.cross_attention_targets():
        unet.get_submodule(name).requires_grad_(True)
    handles = []
    if bottlenecks is not None:
        site_frames = {name: site.frames for name, site in backbone.sites("short_term").items()}
        handles = bottlenecks.attach(unet, site_frames)
    context = dqformer(torch.zeros(1, 77, 1024), torch.zeros(1, 257, 1280), frames, torch.zeros(1, 4, 77, 1024))
    unet(sample, torch.zeros(1), context, ids).sum().backward()
    for handle in handles:
        handle.remove()


def cost(run: Callable[[], None]) -> tuple[int, int]:
    """Operations of a step, and bytes that autograd keeps, each tensor once."""
    kept: dict[int, int] = {}
    alive: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            base = tensor if tensor._base is None else tensor._base
            if id(base) not in kept:
                alive.append(base)  # so that no other gets its id
            kept[id(base)] = max(kept.get(id(base), 0), tensor.numel() * tensor.element_size())
        return tensor

    counter = FlopCounterMode(display=False)
    with counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    return counter.get_total_flops(), sum(kept.values())


if __name__ == "__main__":
    typer.run(main)
