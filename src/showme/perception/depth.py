"""Relative inverse depth with gradients: a small network of the tabletop world, and pretrained ones of transformers.

Every depth estimator is a frozen module: pictures (N, 3, H, W), RGB in [0, 1] -> disparity (N, 1, H, W), 1 / depth up
to a scale and a shift of each picture: near is large. Its parameters take no gradient, its input does.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from ..pretrained import load_pretrained
from .packaged import read_packaged, write_packaged
from .pyramid import Pyramid, Residual, doubled

TABLETOP_WEIGHTS = Path(__file__).parents[1] / "assets" / "depth" / "tabletop.safetensors"

# Sides of the pictures are halved three times.
_STRIDE = 8


class TabletopDepth(Pyramid):
    """A convolutional encoder-decoder, trained on the true depth of the tabletop world (``scripts/train_depth.py``).

    Smooth throughout, and light enough to be differentiated through at every step of a training on a CPU. The picture
    itself enters at half its size; the only layers of full size are the two that sharpen the outlines. The packaged
    weights answer in about 1/metre (0.5 to 3) for pictures of that world.

    Args:
        widths: channels at 1/2, 1/4 and 1/8 of the picture's size, multiples of 8.
        dilations: one residual block at 1/8 each; together they see the whole of a 128x128 picture.
        fine_width: channels at full size.
    """

    def __init__(
        self,
        widths: tuple[int, int, int] = (16, 32, 40),
        dilations: tuple[int, ...] = (1, 2, 4),
        fine_width: int = 4,
    ):
        super().__init__(widths, dilations)
        self.config = {"widths": list(widths), "dilations": list(dilations), "fine_width": fine_width}
        half, quarter, _ = widths
        self.from_quarter = nn.Conv2d(quarter, half, 1)
        self.decode_half = Residual(half)
        self.from_half = nn.Conv2d(half, fine_width, 1)
        self.outlines = nn.Conv2d(3, fine_width, 3, padding=1)
        self.leave = nn.Sequential(nn.SiLU(), nn.Conv2d(fine_width, 1, 3, padding=1))
        self.requires_grad_(False).eval()

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> disparity (N, 1, H, W).

        Raises:
            ValueError: a side that 8 does not divide.
        """
        height, width = pixels.shape[-2:]
        if height % _STRIDE or width % _STRIDE:
            raise ValueError(f"depth is seen in pictures whose sides {_STRIDE} divides, not {width}x{height}: resize.")
        x = pixels - 0.5
        half, quarter, _ = self.features(x)
        half = self.decode_half(half + doubled(self.from_quarter(quarter)))
        return self.leave(doubled(self.from_half(half)) + self.outlines(x))

    @classmethod
    def from_assets(cls, path: str | Path = TABLETOP_WEIGHTS) -> TabletopDepth:
        """The packaged weights, or another training's, in fp32.

        Raises:
            InputError: no such file, or not what ``to_file`` writes.
        """
        network, _ = read_packaged(cls, path, "TabletopDepth", "train_depth.py")
        # Forward and backward together take two thirds of the time, on a CPU, of the other layout.
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def to_file(self, path: str | Path, **notes: str) -> None:
        """Write fp16 weights, with the settings and the ``notes`` in the header."""
        write_packaged(self, path, **notes)


# Families of transformers whose relative models predict disparity; the others predict metres.
_DISPARITY_FAMILIES = ("depth_anything", "dpt")


class TransformersDepth(nn.Module):
    """A pretrained monocular depth network: Depth Anything (arXiv 2401.10891), or MiDaS as DPT (arXiv 2103.13413).

    Pictures are resized (bicubic, antialiased) to the size that the network's image processor asks for, normalised with
    its mean and standard deviation, and the prediction is resized back, all with gradient.

    Args:
        network: a depth estimation model of transformers.
        processor: its DPTImageProcessor, whose settings are read and nothing else.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, processor):
        super().__init__()
        self.network = network
        config: Any = network.config
        patch = getattr(config, "patch_size", None) or config.backbone_config.patch_size
        self.multiple = math.lcm(patch, processor.ensure_multiple_of or 1)
        self.size = (processor.size["height"], processor.size["width"])
        self.keep_aspect_ratio = bool(processor.keep_aspect_ratio)
        self.register_buffer("mean", torch.tensor(processor.image_mean)[None, :, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(processor.image_std)[None, :, None, None], persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, pixels: Tensor) -> Tensor:
        height, width = pixels.shape[-2:]
        x = F.interpolate(pixels, self.network_size(height, width), mode="bicubic", antialias=True)
        disparity = self.network(pixel_values=(x - self.mean) / self.std).predicted_depth[:, None]
        return F.interpolate(disparity, (height, width), mode="bilinear", antialias=True)

    def network_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width at which the network sees a picture, as its image processor would choose them."""
        scales = [self.size[0] / height, self.size[1] / width]
        if self.keep_aspect_ratio:
            # The one that changes the picture less.
            scales = [min(reversed(scales), key=lambda scale: abs(1 - scale))] * 2
        rows, columns = (
            max(1, round(scale * side / self.multiple)) * self.multiple
            for scale, side in zip(scales, (height, width), strict=True)
        )
        return rows, columns

    @classmethod
    def from_pretrained(cls, name: str | Path) -> TransformersDepth:
        """A folder, or a model of the hub such as ``depth-anything/Depth-Anything-V2-Small-hf``.

        Raises:
            InputError: as :func:`showme.pretrained.load_pretrained`, or a network that predicts metres.
        """
        # Imported here: transformers' registries take seconds, and the tabletop's estimator needs none of them.
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation

        files = "config.json, model.safetensors and preprocessor_config.json of a Depth Anything or DPT model"
        network, processor = load_pretrained(
            name, AutoModelForDepthEstimation, AutoImageProcessor, "depth network", files
        )
        config: Any = network.config
        # DPT models that pad their pictures are DINOv2's, which predict metres.
        metric = getattr(config, "depth_estimation_type", "relative") != "relative" or processor.do_pad
        if config.model_type not in _DISPARITY_FAMILIES or metric:
            raise InputError(
                f"{name} predicts metres, not relative inverse depth: choose a Depth Anything or MiDaS model."
            )
        return cls(network, processor)
