"""A TensorFlow Lite graph executed by PyTorch, with gradients to its input."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import InputError
from .tflite_file import TfliteGraph

# In place: what they are given is nobody else's, and a tenth of the time goes into fresh memory.
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "NONE": lambda x: x,
    "RELU": lambda x: F.relu(x, inplace=True),
    "RELU6": lambda x: F.relu6(x, inplace=True),
}


# Bounds for files that mean harm: hands' networks have values of a million numbers, operators of 50 million products.
_LARGEST_VALUE = 1 << 26
_MOST_WORK = 1 << 32


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
        _check_shapes(graph)
        self.graph = graph
        constants = {index: tensor.data for index, tensor in enumerate(graph.tensors) if tensor.data is not None}
        self._integers = {index: data.tolist() for index, data in constants.items() if data.dtype.kind == "i"}
        self._last_use = {index: step for step, operator in enumerate(graph.operators) for index in operator.inputs}
        for operator in graph.operators:
            for position, index in enumerate(operator.inputs):
                if index in constants and index not in self._integers:
                    weight = _torch_order(operator.name, position, torch.tensor(constants[index]))
                    self.register_parameter(f"t{index}", nn.Parameter(weight, requires_grad=False))
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
        values: dict[int, Tensor] = {
            index: _pictures_inside(x) for index, x in zip(self.graph.inputs, inputs, strict=True)
        }
        weights = dict(self.named_parameters())
        for number, operator in enumerate(self.graph.operators):
            arguments = [values.get(i, weights.get(f"t{i}", self._integers.get(i))) for i in operator.inputs]
            (output,) = operator.outputs
            values[output] = _STEPS[operator.name](arguments, operator.options, self.graph.tensors[output].shape)
            for index in operator.inputs:
                if self._last_use[index] == number and index not in self.graph.outputs:
                    values.pop(index, None)
        return tuple(_pictures_outside(values[index]) for index in self.graph.outputs)


def _pictures_inside(x: Tensor) -> Tensor:
    # Torch's channels_last is the file's order in memory, and on a CPU the faster one for these networks.
    return x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def _pictures_outside(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1) if x.ndim == 4 else x


def _torch_order(operator: str, position: int, weight: Tensor) -> Tensor:
    """A constant of the file in the order that torch's function for ``operator`` expects."""
    if operator == "CONV_2D" and position == 1:
        return _pictures_inside(weight)  # (out, height, width, in)
    if operator == "DEPTHWISE_CONV_2D" and position == 1:
        return weight.permute(3, 0, 1, 2).contiguous(
            memory_format=torch.channels_last
        )  # (1, height, width, in * depth multiplier)
    return weight.flatten() if operator == "PRELU" else weight


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
    offset = bias[0] if bias else None
    convolved = F.conv2d(x, weight, offset, options["stride"], padding, options["dilation"], groups)
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
    return _ACTIVATIONS[options["activation"]](first + second)


def _max_pool_2d(arguments: list, options: Mapping[str, Any], _: tuple[int, ...]) -> Tensor:
    (x,) = arguments
    margins = _same_padding(x, options["size"], options)
    if any(margins):
        x = F.pad(x, margins, value=-torch.inf)
    return _ACTIVATIONS[options["activation"]](F.max_pool2d(x, options["size"], options["stride"]))


def _pad(arguments: list, __: Mapping[str, Any], ___: tuple[int, ...]) -> Tensor:
    x, (_, rows, columns, channels) = arguments
    return F.pad(x, (*columns, *rows, *channels))


def _resize_bilinear(arguments: list, options: Mapping[str, Any], _: tuple[int, ...]) -> Tensor:
    x, size = arguments
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
    return arguments[0].mean((2, 3), keepdim=options["keep_dims"])


def _fully_connected(arguments: list, options: Mapping[str, Any], _: tuple[int, ...]) -> Tensor:
    x, weight, *bias = arguments
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


def _demand(right: bool, what: str) -> None:
    if not right:
        raise ValueError(what)


def _windowed(shape: tuple[int, ...], size: tuple[int, ...], options: Mapping[str, Any], channels: int):
    batch, *sides, depth = shape
    reaches = [
        (kernel - 1) * dilation + 1 for kernel, dilation in zip(size, options.get("dilation", (1, 1)), strict=True)
    ]
    padded = [side + reach for side, reach in zip(sides, reaches, strict=True)]
    _demand(math.prod(padded) * depth <= _LARGEST_VALUE, "a margin larger than any network's")
    if options["padding"] == "VALID":
        sides = [side - reach + 1 for side, reach in zip(sides, reaches, strict=True)]
    return (batch, *(-(-side // stride) for side, stride in zip(sides, options["stride"], strict=True)), channels)


def _conv_2d_shape(arguments: list, options: Mapping[str, Any]):
    x, (out, *size, depth), *bias = arguments
    _demand(depth == x[-1] and bias in ([], [(out,)]), "CONV_2D with weights for another input")
    shape = _windowed(x, size, options, out)
    _demand(math.prod(shape) * math.prod(size) * depth <= _MOST_WORK, "more work than any network's")
    return shape


def _depthwise_conv_2d_shape(arguments: list, options: Mapping[str, Any]):
    x, (one, *size, out), *bias = arguments
    fits = one == 1 and out == x[-1] * options["depth_multiplier"] and bias in ([], [(out,)])
    _demand(fits, "DEPTHWISE_CONV_2D with weights for another input")
    shape = _windowed(x, size, options, out)
    _demand(math.prod(shape) * math.prod(size) <= _MOST_WORK, "more work than any network's")
    return shape


def _prelu_shape(arguments: list, _: Mapping[str, Any]):
    x, slope = arguments
    _demand(len(x) == 4 and slope[-1] == x[-1] == math.prod(slope), "PRELU with other slopes than one a channel")
    return x


def _add_shape(arguments: list, _: Mapping[str, Any]):
    first, second = arguments
    _demand(first == second, "ADD of two shapes")
    return first


def _max_pool_2d_shape(arguments: list, options: Mapping[str, Any]):
    (x,) = arguments
    _demand(min(options["size"]) >= 1, "MAX_POOL_2D over nothing")
    return _windowed(x, options["size"], options, x[-1])


def _pad_shape(arguments: list, _: Mapping[str, Any]):
    x, margins = arguments
    _demand(len(x) == 4 and margins[0] == [0, 0] and min(map(min, margins)) >= 0, "PAD of another kind")
    return tuple(side + before + after for side, (before, after) in zip(x, margins, strict=True))


def _resize_bilinear_shape(arguments: list, options: Mapping[str, Any]):
    (batch, _, _, channels), (height, width) = arguments
    _demand(options["align_corners"] != options["half_pixel_centers"], "RESIZE_BILINEAR of another kind")
    return (batch, height, width, channels)


def _concatenation_shape(arguments: list, options: Mapping[str, Any]):
    first, axis = list(arguments[0]), options["axis"] % len(arguments[0])
    _demand(axis > 0, "CONCATENATION of pictures")
    for other in arguments[1:]:
        _demand([*other[:axis], *other[axis + 1 :]] == [*first[:axis], *first[axis + 1 :]], "CONCATENATION of shapes")
    return (*first[:axis], sum(shape[axis] for shape in arguments), *first[axis + 1 :])


def _mean_shape(arguments: list, options: Mapping[str, Any]):
    (batch, _, _, channels), axes = arguments
    _demand(sorted(axes) == [1, 2], "MEAN over something else than rows and columns")
    return (batch, 1, 1, channels) if options["keep_dims"] else (batch, channels)


def _fully_connected_shape(arguments: list, options: Mapping[str, Any]):
    (batch, depth), (out, within), *bias = arguments
    fits = depth == within and bias in ([], [(out,)]) and not options["keep_num_dims"]
    _demand(fits, "FULLY_CONNECTED with weights for another input")
    return (batch, out)


# From the shapes of the inputs, or their values where they are integers, to the output's, all in the file's order.
_SHAPES: dict[str, Callable[[list, Mapping[str, Any]], tuple[int, ...]]] = {
    "CONV_2D": _conv_2d_shape,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d_shape,
    "PRELU": _prelu_shape,
    "ADD": _add_shape,
    "MAX_POOL_2D": _max_pool_2d_shape,
    "PAD": _pad_shape,
    "RESIZE_BILINEAR": _resize_bilinear_shape,
    "RESHAPE": lambda arguments, _: arguments[0],
    "CONCATENATION": _concatenation_shape,
    "MEAN": _mean_shape,
    "FULLY_CONNECTED": _fully_connected_shape,
    "LOGISTIC": lambda arguments, _: arguments[0],
}


def _check_shapes(graph: TfliteGraph) -> None:
    """Follow the shapes through the graph before anything is computed.

    So a damaged file fails at once, and none can ask for more memory than the bounds on the shapes that it states.

    Raises:
        InputError: operators that do not fit each other or the stated shapes.
    """
    try:
        known: dict[int, tuple[int, ...]] = {index: graph.tensors[index].shape for index in graph.inputs}
        _demand(all(shape[0] == 1 for shape in known.values()), "inputs for more than one picture")
        for operator in graph.operators:
            computed = len(operator.inputs) if operator.name in ("ADD", "CONCATENATION") else 1
            arguments: list[Any] = [known[index] for index in operator.inputs[:computed]]
            for index in operator.inputs[computed:]:
                constant = graph.tensors[index].data if index >= 0 else None
                if constant is None:
                    raise ValueError(f"{operator.name} without one of its constants")
                arguments.append(constant.shape if constant.dtype.kind == "f" else constant.tolist())
            (output,) = operator.outputs
            stated, shape = graph.tensors[output].shape, _SHAPES[operator.name](arguments, operator.options)
            if operator.name == "RESHAPE" and stated[0] == 1 and math.prod(stated) == math.prod(shape):
                shape = stated
            _demand(shape == stated, f"{operator.name} gives {shape}, not {stated}")
            activation = operator.options.get("activation", "NONE")
            _demand(activation in _ACTIVATIONS, f"{operator.name} with the activation {activation}")
            known[output] = shape
        _demand(all(index in known for index in graph.outputs), "an output that nothing computes")
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise InputError(f"{graph.source} is damaged, or of a kind that is not known here: {error}.") from error
