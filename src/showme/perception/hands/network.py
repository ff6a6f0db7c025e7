"""A TensorFlow Lite graph executed by PyTorch, with gradients to its input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import InputError
from .tflite_file import TfliteGraph, TfliteOperator

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"NONE": lambda x: x, "RELU": F.relu, "RELU6": F.relu6}


class TfliteNetwork(nn.Module):
    """The network of a file: its weights are frozen parameters named ``t<index of the tensor>``.

    Called with the file's inputs in its order, (N, H, W, C) where they have four dimensions, it gives the file's
    outputs in its order and shapes; N may be any number where the file says 1. Inside, pictures are (N, C, H, W).

    Args:
        graph: of :func:`~showme.perception.hands.tflite_file.read_tflite`.

    Raises:
        InputError: operators that do not fit each other or the shapes that the file states.
    """

    def __init__(self, graph: TfliteGraph):
        super().__init__()
        self.graph = graph
        self._integers = {i: t.data.tolist() for i, t in enumerate(graph.tensors) if _holds(t.data, "i")}
        self._steps = [(_STEPS[operator.name], operator) for operator in graph.operators]
        for operator in graph.operators:
            for position, index in enumerate(operator.inputs):
                if index >= 0 and _holds(graph.tensors[index].data, "f") and not hasattr(self, f"t{index}"):
                    weight = _torch_order(operator.name, position, torch.tensor(graph.tensors[index].data))
                    self.register_parameter(f"t{index}", nn.Parameter(weight, requires_grad=False))
        self._check()
        self.eval()

    @property
    def input_shapes(self) -> list[tuple[int, ...]]:
        """Of each input, as the file states them."""
        return [self.graph.tensors[index].shape for index in self.graph.inputs]

    @property
    def output_shapes(self) -> list[tuple[int, ...]]:
        """Of each output, as the file states them."""
        return [self.graph.tensors[index].shape for index in self.graph.outputs]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self._run(dict(self.named_parameters()), inputs)

    def _run(self, weights: Mapping[str, Tensor], inputs: tuple[Tensor, ...], strict: bool = False):
        """``strict`` compares every shape on the way with the file's."""
        values = {index: _pictures_inside(x) for index, x in zip(self.graph.inputs, inputs, strict=True)}
        last_use = {index: step for step, (_, operator) in enumerate(self._steps) for index in operator.inputs}
        for number, (step, operator) in enumerate(self._steps):
            arguments = [values.get(i, weights.get(f"t{i}", self._integers.get(i))) for i in operator.inputs]
            (output,) = operator.outputs
            shape = self.graph.tensors[output].shape
            result = step(arguments, operator.options, shape)
            if strict and _outside(result.shape) != shape:
                raise ValueError(f"{operator.name} gives {_outside(result.shape)}, not {shape}")
            values[output] = result
            for index in operator.inputs:
                if last_use[index] == number and index not in self.graph.outputs:
                    values.pop(index, None)
        return tuple(_pictures_outside(values[index]) for index in self.graph.outputs)

    def _check(self) -> None:
        """Run on shapes without memory, so that a damaged file fails here and not inside a training."""
        weights = {name: weight.to("meta") for name, weight in self.named_parameters()}
        try:
            inputs = tuple(torch.empty(shape, device="meta") for shape in self.input_shapes)
            self._run(weights, inputs, strict=True)
        except (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, ZeroDivisionError) as error:
            raise InputError(f"{self.graph.source} is damaged, or no network of the known kind: fetch it anew.") from error


def _holds(data: Any, kind: str) -> bool:
    return data is not None and data.dtype.kind == kind


def _pictures_inside(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2) if x.ndim == 4 else x


def _pictures_outside(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1) if x.ndim == 4 else x


def _outside(shape: torch.Size) -> tuple[int, ...]:
    return (shape[0], *shape[2:], shape[1]) if len(shape) == 4 else tuple(shape)


def _torch_order(operator: str, position: int, weight: Tensor) -> Tensor:
    """A constant of the file in the order that torch's function for ``operator`` expects."""
    if operator == "CONV_2D" and position == 1:
        return weight.permute(0, 3, 1, 2).contiguous()  # (out, height, width, in)
    if operator == "DEPTHWISE_CONV_2D" and position == 1:
        return weight.permute(3, 0, 1, 2).contiguous()  # (1, height, width, in * depth multiplier)
    if operator == "PRELU" and position == 1 and weight.shape[:-1].numel() == 1:
        return weight.flatten()
    return _pictures_inside(weight)


def _same_padding(x: Tensor, size: tuple[int, int], options: Mapping[str, Any]) -> list[int]:
    """Left, right, top and bottom margins of TensorFlow's padding: the odd pixel goes right and below."""
    margins: list[int] = []
    if options["padding"] == "VALID":
        return [0, 0, 0, 0]
    dilations = options.get("dilation", (1, 1))
    for side, kernel, stride, dilation in zip(x.shape[2:], size, options["stride"], dilations, strict=True):
        total = max((-(-side // stride) - 1) * stride + (kernel - 1) * dilation + 1 - side, 0)
        margins = [total // 2, total - total // 2, *margins]
    return margins


def _convolve(arguments: list, options: Mapping[str, Any], groups: int) -> Tensor:
    x, weight, *bias = arguments
    left, right, top, bottom = margins = _same_padding(x, weight.shape[2:], options)
    padding = (top, left)
    if left != right or top != bottom:
        x, padding = F.pad(x, margins), (0, 0)
    convolved = F.conv2d(x, weight, *bias, options["stride"], padding, options["dilation"], groups)
    return _ACTIVATIONS[options["activation"]](convolved)


def _conv_2d(arguments: list, options: Mapping[str, Any], _: tuple[int, ...]) -> Tensor:
    return _convolve(arguments, options, 1)


def _depthwise_conv_2d(arguments: list, options: Mapping[str, Any], _: tuple[int, ...]) -> Tensor:
    return _convolve(arguments, options, arguments[0].shape[1])


def _prelu(arguments: list, _: Mapping[str, Any], __: tuple[int, ...]) -> Tensor:
    x, slope = arguments
    return F.prelu(x, slope)


def _add(arguments: list, options: Mapping[str, Any], _: tuple[int, ...]) -> Tensor:
    first, second = arguments
    if first.shape != second.shape:
        raise ValueError("ADD of two shapes")
    return _ACTIVATIONS[options["activation"]](first + second)


def _max_pool_2d(arguments: list, options: Mapping[str, Any], _: tuple[int, ...]) -> Tensor:
    (x,) = arguments
    margins = _same_padding(x, options["size"], options)
    if any(margins):
        x = F.pad(x, margins, value=-torch.inf)
    return _ACTIVATIONS[options["activation"]](F.max_pool2d(x, options["size"], options["stride"]))


def _pad(arguments: list, _: Mapping[str, Any], __: tuple[int, ...]) -> Tensor:
    x, ((batch, batch_end), rows, columns, channels) = arguments
    if batch or batch_end or min(*rows, *columns, *channels) < 0:
        raise ValueError("PAD of the batch or by less than nothing")
    return F.pad(x, (*columns, *rows, *channels))


def _resize_bilinear(arguments: list, options: Mapping[str, Any], _: tuple[int, ...]) -> Tensor:
    x, size = arguments
    if options["align_corners"] == options["half_pixel_centers"]:
        raise ValueError("RESIZE_BILINEAR of a kind that no hand network uses")
    return F.interpolate(x, size, mode="bilinear", align_corners=options["align_corners"])


def _reshape(arguments: list, _: Mapping[str, Any], shape: tuple[int, ...]) -> Tensor:
    # The shape of the file's second input is its output's, for one picture.
    x = _pictures_outside(arguments[0])
    return _pictures_inside(x.reshape(len(x), *shape[1:]))


def _concatenation(arguments: list, options: Mapping[str, Any], shape: tuple[int, ...]) -> Tensor:
    axis = options["axis"] % len(shape)
    inside = {1: 2, 2: 3, 3: 1}[axis] if len(shape) == 4 else axis
    return _ACTIVATIONS[options["activation"]](torch.cat(arguments, inside))


def _mean(arguments: list, options: Mapping[str, Any], _: tuple[int, ...]) -> Tensor:
    x, axes = arguments
    if x.ndim != 4 or sorted(axes) != [1, 2]:
        raise ValueError("MEAN over something else than rows and columns")
    return x.mean((2, 3), keepdim=options["keep_dims"])


def _fully_connected(arguments: list, options: Mapping[str, Any], _: tuple[int, ...]) -> Tensor:
    x, weight, *bias = arguments
    if x.ndim != 2 or options["keep_num_dims"]:
        raise ValueError("FULLY_CONNECTED of something else than vectors")
    return _ACTIVATIONS[options["activation"]](F.linear(x, weight, *bias))


def _logistic(arguments: list, _: Mapping[str, Any], __: tuple[int, ...]) -> Tensor:
    return torch.sigmoid(arguments[0])


# Each takes the inputs, the options, and the shape that the file states for the output.
_STEPS: dict[str, Callable[[list, Mapping[str, Any], tuple[int, ...]], Tensor]] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "PRELU": _prelu,
    "ADD": _add,
    "MAX_POOL_2D": _max_pool_2d,
    "PAD": _pad,
    "RESIZE_BILINEAR": _resize_bilinear,
    "RESHAPE": _reshape,
    "CONCATENATION": _concatenation,
    "MEAN": _mean,
    "FULLY_CONNECTED": _fully_connected,
    "LOGISTIC": _logistic,
}
