"""Weights of fewer than 16 bits for networks that are not trained, by the libraries that diffusers loads them with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .errors import InputError
from .optional import needed

# Settings are checked before torch is imported, which takes a second.
if TYPE_CHECKING:
    import torch

#: Precision of frozen weights, as the settings of a run name it.
Precision = Literal["fp32", "bf16", "fp8", "int8", "int4"]


@dataclass(frozen=True)
class Base:
    """What becomes of weights that are not trained.

    precision: theirs. waits: whether the denoiser's blocks stay in main memory until it is their turn. names: what
    whoever chose these two calls them, for messages.
    """

    precision: Precision = "fp32"
    waits: bool = False
    names: tuple[str, str] = ("memory.base", "memory.offload")


def dtype_of_base(precision: Precision) -> torch.dtype:
    """What frozen weights are kept in where they are not packed; packed layers are of the denoiser alone."""
    import torch

    return torch.float32 if precision == "fp32" else torch.bfloat16


def packing(base: Base, device: torch.device, kept: tuple[str, ...] = ()) -> Any | None:
    """The settings by which diffusers packs a network's linear layers; None: nothing is packed.

    Args:
        base: whose precision is wanted.
        device: where the network is to run.
        kept: names of modules whose layers stay as they are: the few that everything goes through.

    Raises:
        InputError: a package that is not installed, or a machine that cannot run it.
    """
    precision = base.precision
    if precision in ("fp32", "bf16"):
        return None
    field = f"{base.names[0]} {precision}"
    if precision == "int4":
        if device.type != "cuda":
            raise InputError(f"{field} runs on CUDA GPUs alone, this is {device.type}: choose int8, fp8 or bf16.")
        with needed("bitsandbytes", "bitsandbytes", "quantization", field):
            import bitsandbytes  # noqa: F401
        import torch
        from diffusers import BitsAndBytesConfig

        # Normal floats of four bits: Dettmers et al. 2023, QLoRA.
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=torch.bfloat16,
            llm_int8_skip_modules=list(kept) or None,
        )
    with needed("torchao.quantization", "torchao", "quantization", field):
        from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig
    from diffusers import TorchAoConfig

    kind = Float8WeightOnlyConfig if precision == "fp8" else Int8WeightOnlyConfig
    return TorchAoConfig(kind(), modules_to_not_convert=list(kept) or None)
