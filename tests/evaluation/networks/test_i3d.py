"""I3D against a forward written from the paper's table and TensorFlow's rule for padding."""

from __future__ import annotations

import hashlib
import math

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from showme.errors import InputError
from showme.evaluation.networks import i3d
from showme.evaluation.networks.i3d import I3D, ConvolutionUnit, MaxPool, load_i3d, same_padding

BLOCKS = ["3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c"]


def random_i3d(seed: int, epsilon: float = 1e-3) -> I3D:
    """Weights that keep the signal's size through the layers, and a normalisation that does something."""
    generator = torch.Generator().manual_seed(seed)
    network = I3D(epsilon)
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            fan_in = math.prod(module.weight.shape[1:])
            module.weight.data.normal_(0, math.sqrt(2 / fan_in), generator=generator)
        if isinstance(module, nn.BatchNorm3d):
            module.bias.data.normal_(0, 0.3, generator=generator)
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.001, 1.5, generator=generator)
    return network


def clips_of(frames: int, seed: int = 0) -> Tensor:
    return torch.rand(1, frames, 3, 224, 224, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def padded(x: Tensor, kernel: int, stride: int, axes: tuple[int, ...], value: float) -> Tensor:
    """SAME along some axes: as many zeros as a window needs to begin at every stride, the odd one behind."""
    for axis in axes:
        size = x.shape[axis]
        missing = max(kernel - stride, 0) if size % stride == 0 else max(kernel - size % stride, 0)
        shape = list(x.shape)
        for length, back in ((missing // 2, False), (missing - missing // 2, True)):
            shape[axis] = length
            filler = x.new_full(shape, value)
            x = torch.cat([x, filler] if back else [filler, x], dim=axis)
    return x


def reference_logits(weights: dict[str, Tensor], clips: Tensor, epsilon: float) -> Tensor:
    def unit(x: Tensor, name: str, kernel: int = 1, stride: int = 1) -> Tensor:
        x = F.conv3d(padded(x, kernel, stride, (2, 3, 4), 0.0), weights[f"{name}.conv3d.weight"], stride=stride)
        mean, variance, shift = (
            weights[f"{name}.bn.{part}"].view(-1, 1, 1, 1) for part in ("running_mean", "running_var", "bias")
        )
        return ((x - mean) / (variance + epsilon).sqrt() + shift).clamp(min=0)

    def pool(x: Tensor, kernel: tuple[int, int], stride: tuple[int, int]) -> Tensor:
        x = padded(x, kernel[0], stride[0], (2,), -math.inf)
        x = padded(x, kernel[1], stride[1], (3, 4), -math.inf)
        return F.max_pool3d(x, (kernel[0], kernel[1], kernel[1]), (stride[0], stride[1], stride[1]))

    def block(x: Tensor, name: str) -> Tensor:
        branches = [
            unit(x, f"{name}.b0"),
            unit(unit(x, f"{name}.b1a"), f"{name}.b1b", 3),
            unit(unit(x, f"{name}.b2a"), f"{name}.b2b", 3),
            unit(pool(x, (3, 3), (1, 1)), f"{name}.b3b"),
        ]
        return torch.cat(branches, 1)

    x = unit(clips.movedim(2, 1), "Conv3d_1a_7x7", 7, 2)
    x = pool(x, (1, 3), (1, 2))
    x = unit(unit(x, "Conv3d_2b_1x1"), "Conv3d_2c_3x3", 3)
    x = pool(x, (1, 3), (1, 2))
    for name in BLOCKS:
        if name == "4b":
            x = pool(x, (3, 3), (2, 2))
        if name == "5b":
            x = pool(x, (2, 2), (2, 2))
        x = block(x, f"Mixed_{name}")
    steps = (x[:, :, 1:] + x[:, :, :-1]).mean(dim=(3, 4)) / 2
    matrix = weights["logits.conv3d.weight"].flatten(1)
    return (steps.transpose(1, 2) @ matrix.T + weights["logits.conv3d.bias"]).mean(1)


@pytest.mark.parametrize(("frames", "epsilon"), [(9, 1e-3), (12, 1e-5)])
def test_logits_are_those_of_the_reference(frames, epsilon):
    network, clips = random_i3d(1, epsilon), clips_of(frames)
    expected = reference_logits(network.state_dict(), clips, epsilon)
    found = network(clips)
    assert found.shape == (1, 400)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.std()))


def test_names_and_shapes_are_those_of_the_published_file():
    network = I3D()
    assert sum(weight.numel() for weight in network.parameters()) == 12_697_264
    weights = {name: value for name, value in network.state_dict().items() if "num_batches_tracked" not in name}
    units = ["Conv3d_1a_7x7", "Conv3d_2b_1x1", "Conv3d_2c_3x3"]
    units += [f"Mixed_{name}.{branch}" for name in BLOCKS for branch in ("b0", "b1a", "b1b", "b2a", "b2b", "b3b")]
    parts = ("conv3d.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    expected = {f"{unit}.{part}" for unit in units for part in parts} | {"logits.conv3d.weight", "logits.conv3d.bias"}
    assert set(weights) == expected
    assert weights["Conv3d_1a_7x7.conv3d.weight"].shape == (64, 3, 7, 7, 7)
    assert weights["Mixed_4f.b1b.conv3d.weight"].shape == (320, 160, 3, 3, 3)
    assert weights["logits.conv3d.weight"].shape == (400, 1024, 1, 1, 1)
    # StyleGAN-V's file of the same network has 51,235,320 bytes: these, and a program.
    assert 50_700_000 < 4 * sum(value.numel() for value in weights.values()) < 51_235_320


@pytest.mark.parametrize("kernel", [1, 2, 3, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_padding_is_tensorflows(kernel, stride):
    for size in range(1, 40):
        before, after = same_padding([size], [kernel], [stride])[0]
        x = torch.ones(1, 1, size, 1, 1)
        assert size + before + after == padded(x, kernel, stride, (2,), 0.0).shape[2]
        assert after - before in (0, 1)


@pytest.mark.parametrize(("kernel", "stride"), [((3, 3, 3), (2, 2, 2)), ((1, 3, 3), (1, 2, 2)), ((2, 2, 2), (2, 2, 2))])
def test_pooling_of_every_size(kernel, stride):
    for size in range(2, 20):
        x = torch.rand(1, 2, size, size + 1, size + 2)
        expected = x
        for axis in range(3):
            expected = padded(expected, kernel[axis], stride[axis], (axis + 2,), -math.inf)
        torch.testing.assert_close(MaxPool(kernel, stride)(x), F.max_pool3d(expected, kernel, stride), rtol=0, atol=0)


@pytest.mark.parametrize("size", [5, 6, 7, 8])
def test_convolution_of_odd_and_even_sizes(size):
    unit = ConvolutionUnit(2, 3, 7, 2).eval()
    x = torch.rand(1, 2, size, size + 1, size + 2)
    expected = F.conv3d(padded(x, 7, 2, (2, 3, 4), 0.0), unit.conv3d.weight, stride=2)
    expected = (expected / math.sqrt(1.001)).clamp(min=0)
    with torch.no_grad():
        torch.testing.assert_close(unit(x), expected, rtol=1e-5, atol=1e-6)


def test_short_clips_and_other_sizes_are_refused():
    with pytest.raises(InputError, match=r"8 frames and I3D needs at least 9"):
        I3D()(clips_of(8))
    with pytest.raises(ValueError, match="224"):
        I3D()(torch.zeros(1, 16, 3, 256, 256))


@pytest.mark.parametrize("kind", ["safetensors", "pt", "old pt"])
def test_files_give_the_same_weights(tmp_path, kind):
    network = random_i3d(2)
    weights = {name: value for name, value in network.state_dict().items() if "num_batches_tracked" not in name}
    path = tmp_path / f"i3d.{kind.split()[-1]}"
    if kind == "safetensors":
        save_file(weights, path)
    else:
        # Files of old versions of torch have no zip around them; others count the batches of training.
        torch.save(network.state_dict() if kind == "pt" else weights, path, _use_new_zipfile_serialization=kind == "pt")
    loaded = load_i3d(path)
    assert loaded.fingerprint == network.fingerprint
    assert load_i3d(path, 1e-5).fingerprint == {**network.fingerprint, "epsilon": 1e-5}
    for key, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)


def test_wrong_files_are_reported(tmp_path):
    with pytest.raises(InputError, match=r"There is no I3D file .*nothing.pt: download i3d_pretrained_400.pt"):
        load_i3d(tmp_path / "nothing.pt")
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(b"PK\x03\x04 no weights")
    with pytest.raises(InputError, match=r"damaged.pt is truncated or no torch checkpoint"):
        load_i3d(damaged)
    (tmp_path / "damaged.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(InputError, match=r"damaged.safetensors is truncated"):
        load_i3d(tmp_path / "damaged.safetensors")
    torch.save({"logits.conv3d.weight": torch.zeros(400, 1024, 1, 1, 1)}, tmp_path / "part.pt")
    with pytest.raises(InputError, match=r"part.pt does not hold I3D's weights"):
        load_i3d(tmp_path / "part.pt")
    torch.save({"epoch": 3}, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"other things than named tensors"):
        load_i3d(tmp_path / "other.pt")
    torch.save(nn.Linear(2, 2), tmp_path / "object.pt")
    with pytest.raises(InputError, match=r"object.pt .*other things than named tensors"):
        load_i3d(tmp_path / "object.pt")


class Archive(nn.Module):
    """Called as StyleGAN-V's archive is: (B, 3, T, 224, 224) in [-1, 1] and three switches."""

    def forward(self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False) -> Tensor:
        value = x.mean(dim=(1, 3, 4))[:, :1] + 100.0 * rescale + 10.0 * resize
        return value.expand(-1, 400) if return_features else value


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_program_is_run_only_when_every_byte_is_known(tmp_path, monkeypatch):
    path = tmp_path / "i3d_torchscript.pt"
    torch.jit.script(Archive()).save(str(path))
    with pytest.raises(InputError, match=r"i3d_torchscript.pt is a TorchScript program other than"):
        load_i3d(path)
    content = path.read_bytes()
    monkeypatch.setattr(i3d, "TORCHSCRIPT_BYTES", len(content))
    with pytest.raises(InputError, match=r"is not run"):
        load_i3d(path)
    monkeypatch.setattr(i3d, "TORCHSCRIPT_SHA256", hashlib.sha256(content).hexdigest())
    network, clips = load_i3d(path), clips_of(10)
    torch.testing.assert_close(network(clips), clips[:, 0].mean(dim=(1, 2, 3))[:, None].expand(-1, 400))
    assert network.dimensions == 400
    with pytest.raises(InputError, match=r"at least 9"):
        network(clips_of(8))
