"""A converted DynamiCrafter-256 and ShowMe's two released LoRA files -> one ShowMe bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..backbones.lora import attach_adapter
from ..bundle import BundleInfo, open_bundle
from ..errors import InputError
from ..methods.showme import ShowMePipeline
from ..pipeline_files import stored_dtype
from ..pipelines import load_pipeline, save_bundle
from ..weight_files.checkpoint_file import read_weights
from .showme_lora import ReleasedAdapter, convert_lora, peft_adapter

# The released inference loads lora_video.pth alone; if that holds stage 2 only, stage 1 would silently be missing.
FILES = ("lora_image.pth", "lora_video.pth")


def convert_showme(
    base: str | Path,
    source: Path,
    dest: Path,
    frames: int = 16,
    frame_stride: int = 3,
    progress: Callable[[str], None] | None = None,
) -> tuple[str, ...]:
    """Write the bundle of ShowMe's released adapters on their base.

    Args:
        base: bundle of DynamiCrafter-256 (:func:`dynamicrafter_checkpoint.convert_checkpoint`).
        source: folder with ``lora_image.pth`` and ``lora_video.pth``.
        dest: folder of the new bundle.
        frames: of its videos: 12 for Something-Something V2, 16 for EPIC-KITCHENS-100 and Ego4D.
        frame_stride: its condition: 3 for Something-Something V2, 2 for the others.
        progress: called with the name of each step as it begins.

    Returns:
        The original keys that were left out because they change nothing.

    Raises:
        InputError: no such base or file, or ``dest`` holds something else than a bundle.
        ConversionError: a matrix unknown, alone or misshapen.
    """
    report = progress or (lambda step: None)
    weights = _read_both(Path(source))
    report(f"loading {base}")
    files = open_bundle(base)
    pipeline = load_pipeline(files, "cpu", stored_dtype(files.path("unet")))
    if getattr(pipeline.unet, "peft_config", {}):
        raise InputError(f"{base} has adapters of its own: give the DynamiCrafter-256 that they belong on.")
    report("attaching the adapters")
    adapters = convert_lora(weights, pipeline.unet.config)
    for name, adapter in adapters.items():
        attach_released(pipeline, name, adapter, Path(source))
    pipeline.register_to_config(num_frames=frames, repeat_first_frame=False)
    report(f"writing {dest}")
    info = files.info.model_dump() | {"name": "showme", "num_frames": frames, "default_scalar": frame_stride}
    save_bundle(pipeline, BundleInfo(**info), dest)
    return tuple(key for adapter in adapters.values() for key in adapter.inert)


def attach_released(pipeline: ShowMePipeline, name: str, adapter: ReleasedAdapter, origin: Path) -> None:
    """Put one adapter's halves into the UNet and the image projector."""
    for network, pairs in ((pipeline.unet, adapter.unet), (pipeline.image_projector, adapter.projector)):
        if pairs:
            config, state = peft_adapter(pairs)
            attach_adapter(network, name, config, state, origin)


def _read_both(source: Path) -> dict[str, Tensor]:
    """Both files' matrices in fp32; a key that both hold must be the same in both."""
    weights: dict[str, Tensor] = {}
    for name in FILES:
        if not (source / name).is_file():
            raise InputError(f"There is no {name} in {source}: give the folder that holds {' and '.join(FILES)}.")
        for key, value in read_weights(source / name).items():
            if key in weights and not torch.equal(weights[key], value.float()):
                raise InputError(f"{source}: {FILES[0]} and {name} disagree about {key}: take both from one training.")
            weights[key] = value.float()
    return weights
