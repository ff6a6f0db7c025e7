"""I3D, the network of FVD: Inception-v1 inflated to three dimensions (Carreira and Zisserman, arXiv 1705.07750).

Its 400 logits of Kinetics-400, averaged over time, are the features of a clip (Unterthiner et al., arXiv 1812.01717).
Names of weights are those of ``i3d_pretrained_400.pt``, which was converted from TensorFlow Hub's network.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import InputError
from ...weight_files.checkpoint_file import read_weights
from .checkpoint import fill, is_torchscript, published_file

SIDE = 224
CLASSES = 400
# Time is halved three times, rounding up, and the last pooling takes two steps.
LEAST_FRAMES = 9
# TensorFlow's layers add 1e-3 to the variance; VideoGPT's and cd-fvd's, into which they put the same weights, 1e-5.
EPSILON = 1e-3

_PUBLISHED = "i3d_pretrained_400.pt (VideoGPT, TATS, cd-fvd) or i3d_torchscript.pt (StyleGAN-V)"
TORCHSCRIPT_BYTES = 51_235_320
TORCHSCRIPT_SHA256 = "bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2"

# Channels in, and out of: 1x1x1; 1x1x1 then 3x3x3; 1x1x1 then 3x3x3; pooling then 1x1x1 (figure 3 of the paper).
_MIXED = {
    "Mixed_3b": (192, (64, 96, 128, 16, 32, 32)),
    "Mixed_3c": (256, (128, 128, 192, 32, 96, 64)),
    "Mixed_4b": (480, (192, 96, 208, 16, 48, 64)),
    "Mixed_4c": (512, (160, 112, 224, 24, 64, 64)),
    "Mixed_4d": (512, (128, 128, 256, 24, 64, 64)),
    "Mixed_4e": (512, (112, 144, 288, 32, 64, 64)),
    "Mixed_4f": (528, (256, 160, 320, 32, 128, 128)),
    "Mixed_5b": (832, (256, 160, 320, 32, 128, 128)),
    "Mixed_5c": (832, (384, 192, 384, 48, 128, 128)),
}


def same_padding(sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> list[tuple[int, int]]:
    """TensorFlow's padding ``SAME``: zeros before and after each axis, so that ceil(size / stride) places come out.

    An odd total puts one more behind than before.
    """
    totals = (max((math.ceil(n / s) - 1) * s + k - n, 0) for n, k, s in zip(sizes, kernel, stride, strict=True))
    return [(total // 2, total - total // 2) for total in totals]


class ConvolutionUnit(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, epsilon: float = EPSILON):
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=epsilon)

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv3d
        padding = same_padding(x.shape[2:], conv.kernel_size, conv.stride)
        if all(before == after for before, after in padding):
            x = F.conv3d(x, conv.weight, conv.bias, conv.stride, [before for before, _ in padding])
        else:
            x = conv(F.pad(x, [zeros for pair in reversed(padding) for zeros in pair]))
        return F.relu_(self.bn(x))


class MaxPool(nn.Module):
    """Maximum over a window, padded as TensorFlow's ``SAME``; inputs are ReLU's, at least zero.

    One axis after the other: the same maximum, and a third less CPU time for the network than with torch's pooling.
    """

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        padding = same_padding(x.shape[2:], self.kernel, self.stride)
        for axis, (kernel, stride, zeros) in enumerate(zip(self.kernel, self.stride, padding, strict=True), 2):
            x = F.pad(x, [0, 0] * (4 - axis) + list(zeros))
            last = x.shape[axis] - kernel
            places = (slice(start, start + last + 1, stride) for start in range(kernel))
            x = reduce(torch.maximum, (x[(slice(None),) * axis + (place,)] for place in places))
        return x


class Mixed(nn.Module):
    """An Inception block: four branches beside each other, joined over channels."""

    def __init__(self, inputs: int, widths: tuple[int, ...], epsilon: float):
        super().__init__()
        self.b0 = ConvolutionUnit(inputs, widths[0], epsilon=epsilon)
        self.b1a = ConvolutionUnit(inputs, widths[1], epsilon=epsilon)
        self.b1b = ConvolutionUnit(widths[1], widths[2], 3, epsilon=epsilon)
        self.b2a = ConvolutionUnit(inputs, widths[3], epsilon=epsilon)
        self.b2b = ConvolutionUnit(widths[3], widths[4], 3, epsilon=epsilon)
        self.b3a = MaxPool((3, 3, 3), (1, 1, 1))
        self.b3b = ConvolutionUnit(inputs, widths[5], epsilon=epsilon)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))], dim=1)


class I3D(nn.Module):
    """I3D on RGB with random weights; :func:`load_i3d` gives the trained one.

    Args:
        epsilon: what batch normalisation adds to the variance. 1e-3 is TensorFlow's and StyleGAN-V's, 1e-5 that of
            VideoGPT, TATS and cd-fvd: the same weights, other logits.
    """

    dimensions = CLASSES

    def __init__(self, epsilon: float = EPSILON):
        super().__init__()
        self.epsilon = epsilon
        mixed = {name: Mixed(inputs, widths, epsilon) for name, (inputs, widths) in _MIXED.items()}
        layers: dict[str, nn.Module] = {
            "Conv3d_1a_7x7": ConvolutionUnit(3, 64, 7, 2, epsilon),
            "MaxPool3d_2a_3x3": MaxPool((1, 3, 3), (1, 2, 2)),
            "Conv3d_2b_1x1": ConvolutionUnit(64, 64, epsilon=epsilon),
            "Conv3d_2c_3x3": ConvolutionUnit(64, 192, 3, epsilon=epsilon),
            "MaxPool3d_3a_3x3": MaxPool((1, 3, 3), (1, 2, 2)),
            **{name: mixed[name] for name in mixed if name.startswith("Mixed_3")},
            "MaxPool3d_4a_3x3": MaxPool((3, 3, 3), (2, 2, 2)),
            **{name: mixed[name] for name in mixed if name.startswith("Mixed_4")},
            "MaxPool3d_5a_2x2": MaxPool((2, 2, 2), (2, 2, 2)),
            **{name: mixed[name] for name in mixed if name.startswith("Mixed_5")},
        }
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.logits = nn.ModuleDict({"conv3d": nn.Conv3d(1024, CLASSES, 1)})
        self.requires_grad_(False).eval()

    def forward(self, clips: Tensor) -> Tensor:
        """(B, T, 3, 224, 224), RGB in [-1, 1] -> logits (B, 400), averaged over time.

        Raises:
            InputError: fewer than nine frames.
            ValueError: another shape.
        """
        x = _checked(clips).transpose(1, 2)
        for name, layer in self.named_children():
            if name != "logits":
                x = layer(x)
        x = F.avg_pool3d(x, (2, 7, 7), stride=1)
        return self.logits["conv3d"](x).mean(dim=(2, 3, 4))

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What decides the logits, as JSON."""
        from ...fingerprint import weights_digest

        return {"network": "I3D", "weights": weights_digest(self), "epsilon": self.epsilon}


class TorchScriptI3D(nn.Module):
    """StyleGAN-V's archive of the same network, run as its authors saved it: TensorFlow Hub's weights and epsilon.

    Args:
        network: what ``torch.jit.load`` gives.
        sha256: of the file.
    """

    dimensions = CLASSES

    def __init__(self, network: nn.Module, sha256: str):
        super().__init__()
        self.network = network.eval()
        self.fingerprint = {"network": "i3d_torchscript.pt", "sha256": sha256}

    def forward(self, clips: Tensor) -> Tensor:
        """As :meth:`I3D.forward`."""
        x = _checked(clips).transpose(1, 2)
        return self.network(x, rescale=False, resize=False, return_features=True)


def load_i3d(path: str | Path, epsilon: float = EPSILON) -> I3D | TorchScriptI3D:
    """The trained network, in fp32 and for inference.

    Args:
        path: ``i3d_pretrained_400.pt`` or its tensors as safetensors; or ``i3d_torchscript.pt``, whose program is run
            only because every byte of the file is known.
        epsilon: as in :class:`I3D`; the archive has its own, 1e-3.

    Raises:
        InputError: no such file, one that is damaged, other weights, or another archive of TorchScript.
    """
    path = published_file(path, "I3D", _PUBLISHED)
    if is_torchscript(path):
        return _load_torchscript(path)
    network = I3D(epsilon)
    # How many batches the network was trained on decides nothing, and not every copy of the file has it.
    tensors = {key: value for key, value in read_weights(path).items() if "num_batches_tracked" not in key}
    fill(network, tensors, path, "I3D")
    return network


def _load_torchscript(path: Path) -> TorchScriptI3D:
    content = path.read_bytes() if path.stat().st_size == TORCHSCRIPT_BYTES else b""
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != TORCHSCRIPT_SHA256:
        raise InputError(
            f"{path} is a TorchScript program other than StyleGAN-V's i3d_torchscript.pt and is not run: save its "
            "weights as safetensors under the names of i3d_pretrained_400.pt, or fetch the published file."
        )
    return TorchScriptI3D(torch.jit.load(io.BytesIO(content), map_location="cpu"), sha256)


def _checked(clips: Tensor) -> Tensor:
    if clips.ndim != 5 or clips.shape[2:] != (3, SIDE, SIDE):
        raise ValueError(f"I3D takes clips (B, T, 3, {SIDE}, {SIDE}), not {tuple(clips.shape)}.")
    if clips.shape[1] < LEAST_FRAMES:
        raise InputError(
            f"The clips have {clips.shape[1]} frames and I3D needs at least {LEAST_FRAMES}: give longer clips, or "
            "leave FVD and KVD out."
        )
    return clips
