"""Inception-v3 of FID: TensorFlow's network of 2015-12-05 with 2048 pooled features (Heusel et al., arXiv 1706.08500).

Layers are those of torch-fidelity, which give TensorFlow's features to rounding. What published figures do differ in is
how a picture becomes the network's 299x299, so each way has a name (Parmar et al., arXiv 2104.11222).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ...errors import InputError
from ...manifest import sha256_of
from ...optional import needed
from ...weight_files.checkpoint_file import read_weights
from .checkpoint import fill, published_file

SIDE = 299
Resizing = Literal["torchmetrics", "torch-fidelity", "clean", "pytorch-fid"]

SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
# pytorch-fid's name of the file and torch-fidelity's, which torchmetrics uses: the same bytes.
FILES = ("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth")
_WHAT = "Inception-v3 of FID"
_PUBLISHED = f"{FILES[0]} from the releases of github.com/mseitzer/pytorch-fid"


class Inception(nn.Sequential):
    """The network up to its pooled features, with random weights; :func:`load_inception` gives the trained one.

    Raises:
        InputError: torch-fidelity is not installed.
    """

    dimensions = 2048

    def __init__(self) -> None:
        super().__init__(_layers())
        self.requires_grad_(False).eval()

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, 299, 299), RGB in [-1, 1], of a :data:`RESIZINGS` -> features (N, 2048)."""
        return super().forward(pictures).flatten(1)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What decides the features, as JSON."""
        from ...fingerprint import weights_digest

        return {"network": "inception-2015-12-05", "weights": weights_digest(self)}


def load_inception(path: str | Path | None = None) -> Inception:
    """The trained network, in fp32 and for inference.

    Args:
        path: of the published file; without it the file is where torch.hub keeps what pytorch-fid, torch-fidelity and
            torchmetrics download.

    Raises:
        InputError: no such file, other bytes than the published, or torch-fidelity is not installed.
    """
    network = Inception()
    path = _in_torch_hub() if path is None else published_file(path, _WHAT, _PUBLISHED)
    if (found := sha256_of(path)) != SHA256:
        raise InputError(
            f"{path} is not the published file of {_WHAT} (its SHA-256 begins with {found[:8]}, not {SHA256[:8]}): "
            f"download {_PUBLISHED} again."
        )
    # The classifier behind the features is not used.
    tensors = {name: value for name, value in read_weights(path).items() if not name.startswith("fc.")}
    fill(network, tensors, path, _WHAT)
    return network


def _in_torch_hub() -> Path:
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    for name in FILES:
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        f"There is no {FILES[0]} in {folder}: download {_PUBLISHED} there, or name it as weights.inception=FILE."
    )


def _layers() -> OrderedDict[str, nn.Module]:
    with needed("torch_fidelity", "torch-fidelity", "evaluation", "FID"):
        from torch_fidelity import feature_extractor_inceptionv3 as blocks
    return OrderedDict(
        Conv2d_1a_3x3=blocks.BasicConv2d(3, 32, kernel_size=3, stride=2),
        Conv2d_2a_3x3=blocks.BasicConv2d(32, 32, kernel_size=3),
        Conv2d_2b_3x3=blocks.BasicConv2d(32, 64, kernel_size=3, padding=1),
        MaxPool_1=nn.MaxPool2d(3, stride=2),
        Conv2d_3b_1x1=blocks.BasicConv2d(64, 80, kernel_size=1),
        Conv2d_4a_3x3=blocks.BasicConv2d(80, 192, kernel_size=3),
        MaxPool_2=nn.MaxPool2d(3, stride=2),
        Mixed_5b=blocks.InceptionA(192, pool_features=32),
        Mixed_5c=blocks.InceptionA(256, pool_features=64),
        Mixed_5d=blocks.InceptionA(288, pool_features=64),
        Mixed_6a=blocks.InceptionB(288),
        Mixed_6b=blocks.InceptionC(768, channels_7x7=128),
        Mixed_6c=blocks.InceptionC(768, channels_7x7=160),
        Mixed_6d=blocks.InceptionC(768, channels_7x7=160),
        Mixed_6e=blocks.InceptionC(768, channels_7x7=192),
        Mixed_7a=blocks.InceptionD(768),
        Mixed_7b=blocks.InceptionE_1(1280),
        Mixed_7c=blocks.InceptionE_2(2048),
        AvgPool=nn.AdaptiveAvgPool2d(1),
    )


def _torchmetrics(pictures: Tensor) -> Tensor:
    """torchmetrics from 1.8 on, as it does unless called with ``antialias=False``: bilinear with antialiasing."""
    return _centred(F.interpolate(pictures, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True))


def _torch_fidelity(pictures: Tensor) -> Tensor:
    """TensorFlow 1's bilinear, inside the network: the first FID, torch-fidelity, and torchmetrics before 1.8."""
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    return _centred(interpolate_bilinear_2d_like_tensorflow1x(pictures, size=(SIDE, SIDE), align_corners=False))


def _clean(pictures: Tensor) -> Tensor:
    """clean-fid: Pillow's bicubic with antialiasing, each channel in floating point."""
    channels = pictures.flatten(0, 1).float().cpu().numpy()
    resized = [np.asarray(Image.fromarray(c).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for c in channels]
    return _centred(torch.from_numpy(np.stack(resized)).clamp(0, 255).view(-1, 3, SIDE, SIDE).to(pictures))


def _pytorch_fid(pictures: Tensor) -> Tensor:
    """pytorch-fid: bilinear without antialiasing, and values centred between 0 and 255, not on 128."""
    resized = F.interpolate(pictures / 255, (SIDE, SIDE), mode="bilinear", align_corners=False)
    return 2 * resized - 1


def _centred(pictures: Tensor) -> Tensor:
    return (pictures - 128) / 128


# Pictures (N, 3, H, W), whole numbers from 0 to 255 in floating point -> (N, 3, 299, 299) as the network takes them.
RESIZINGS: dict[Resizing, Callable[[Tensor], Tensor]] = {
    "torchmetrics": _torchmetrics,
    "torch-fidelity": _torch_fidelity,
    "clean": _clean,
    "pytorch-fid": _pytorch_fid,
}
