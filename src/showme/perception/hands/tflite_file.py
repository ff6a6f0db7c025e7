"""A TensorFlow Lite file, or one inside a MediaPipe task bundle, as a list of operators with their constants.

Read are networks of one graph with float32 arithmetic whose weights are float32, or float16 behind a ``DEQUANTIZE``:
such are MediaPipe's published vision networks. Schema: TensorFlow's ``lite/schema/schema.fbs``.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...optional import needed

# Hands' networks have 8 MB and 413 tensors. What a file claims beyond these bounds is not allocated.
_LARGEST_FILE = 64 << 20
_MOST_ENTRIES = 4096
_MOST_DIMENSIONS = 5
_LARGEST_TENSOR = 1 << 26
_LARGEST_CONSTANTS = 1 << 28

_NUMPY_TYPES = {"FLOAT32": np.dtype("<f4"), "FLOAT16": np.dtype("<f2"), "INT32": np.dtype("<i4")}

# What damaged offsets raise in flatbuffers' and numpy's readers.
_DAMAGE = (struct.error, IndexError, ValueError, TypeError, KeyError, OverflowError, AttributeError, AssertionError)


@dataclass(frozen=True, eq=False)
class TfliteTensor:
    """A value of the graph.

    Attributes:
        name: the file's.
        shape: as the file orders it: (N, H, W, C) where it has four dimensions.
        data: float32 or int32 of that shape, None where an operator computes it or the caller gives it.
    """

    name: str
    shape: tuple[int, ...]
    data: np.ndarray | None


@dataclass(frozen=True)
class TfliteOperator:
    """A step of the graph.

    Attributes:
        name: of the schema's BuiltinOperator, such as ``CONV_2D``.
        inputs: indices of tensors; -1 for an optional input that is left out.
        outputs: indices of tensors.
        options: what the operator's options table holds: ``stride`` and ``dilation`` (down, across), ``padding``
            (``SAME`` or ``VALID``), ``activation`` (``NONE``, ``RELU`` ...), and so on.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]


@dataclass(frozen=True, eq=False)
class TfliteGraph:
    """A network: tensors by index, operators in the order of execution, and the indices of what goes in and comes out.

    ``source`` names the file, for messages.
    """

    source: str
    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_tflite(path: str | Path, member: str | None = None) -> TfliteGraph:
    """Read a network.

    Args:
        path: a ``.tflite`` file, or a MediaPipe bundle (``.task``), which is a zip of them.
        member: the network's name in the bundle; a ``.tflite`` file needs none and ignores it.

    Raises:
        InputError: no such file, a damaged or foreign one, an operator or a type of weights that is not known here, or
            the package ``tflite`` is not installed.
    """
    path = Path(path)
    content, source = _content(path, member)
    tflite = _import_tflite()
    if len(content) < 8 or not tflite.Model.ModelBufferHasIdentifier(content, 0):
        raise InputError(f"{source} is not a TensorFlow Lite file: fetch it anew.")
    try:
        return _read_model(tflite, content, source)
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(f"{source} is damaged: fetch it anew.") from error


def _content(path: Path, member: str | None) -> tuple[bytes, str]:
    """The network's bytes, and what to call them in messages."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise InputError(
                f"{path} is larger than {_LARGEST_FILE >> 20} MB: it is none of MediaPipe's hand networks."
            )
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: give the path of a .tflite or .task file.") from error
    if not content.startswith(b"PK"):
        return content, str(path)
    if member is None:
        raise InputError(f"{path} is a bundle of networks, where one network's .tflite file is needed.")
    try:
        with zipfile.ZipFile(path) as bundle, bundle.open(member) as file:
            # The size that a zip states may be a lie, so that what is read is bounded and not what is stated.
            content = file.read(_LARGEST_FILE + 1)
    except KeyError as error:
        raise InputError(f"{path} holds no {member}: give MediaPipe's hand_landmarker.task.") from error
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path} is damaged: fetch it anew.") from error
    if len(content) > _LARGEST_FILE:
        raise InputError(f"{member} in {path} unpacks to more than {_LARGEST_FILE >> 20} MB: fetch the bundle anew.")
    return content, f"{member} in {path}"


def _import_tflite() -> Any:
    with needed("tflite", "tflite", "hands", "Reading hand networks"):
        import tflite
    return tflite


def _read_model(tflite: Any, content: bytes, source: str) -> TfliteGraph:
    model = tflite.Model.GetRootAs(content, 0)
    if model.SubgraphsLength() != 1:
        raise InputError(f"{source} holds {model.SubgraphsLength()} graphs, where networks of one are read.")
    graph = model.Subgraphs(0)
    for count in (graph.TensorsLength(), graph.OperatorsLength(), model.BuffersLength(), model.OperatorCodesLength()):
        if count > _MOST_ENTRIES:
            raise InputError(f"{source} claims {count} entries in one list, more than any hand network has.")
    types = _names(tflite.TensorType)
    tensors = [_read_tensor(model, graph.Tensors(index), types, source) for index in range(graph.TensorsLength())]
    operators = []
    dequantized = 0
    for index in range(graph.OperatorsLength()):
        operator = _read_operator(tflite, model, graph.Operators(index), source)
        _check_indices((*operator.inputs, *operator.outputs), len(tensors), optional=True)
        if operator.name != "DEQUANTIZE":
            operators.append(operator)
            continue
        # Tensors can share their bytes, so that a small file could ask for any amount of memory.
        dequantized += _dequantize(tensors, operator, source)
        if dequantized > _LARGEST_CONSTANTS:
            raise InputError(f"{source} has more than {_LARGEST_CONSTANTS >> 20} MB of weights: fetch it anew.")
    inputs, outputs = (tuple(map(int, _vector(vector))) for vector in (graph.InputsAsNumpy(), graph.OutputsAsNumpy()))
    _check_indices((*inputs, *outputs), len(tensors))
    return TfliteGraph(source, tuple(tensors), tuple(operators), inputs, outputs)


def _names(enumeration: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _vector(values: Any) -> list[int]:
    """A vector of the file as integers; the reader answers 0 for one that is absent."""
    return values.tolist() if isinstance(values, np.ndarray) else []


def _check_indices(indices: tuple[int, ...], count: int, optional: bool = False) -> None:
    if not all((-1 if optional else 0) <= index < count for index in indices):
        raise IndexError("a tensor that the graph does not have")


def _read_tensor(model: Any, tensor: Any, types: dict[int, str], source: str) -> TfliteTensor:
    name = (tensor.Name() or b"").decode(errors="replace")
    shape = tuple(_vector(tensor.ShapeAsNumpy()))
    if len(shape) > _MOST_DIMENSIONS or any(side < 1 for side in shape) or math.prod(shape) > _LARGEST_TENSOR:
        raise InputError(f"{source} has a tensor {name!r} of shape {shape}, larger than any hand network's.")
    buffer = model.Buffers(tensor.Buffer())
    if not buffer.DataLength():
        return TfliteTensor(name, shape, None)
    kind = types[tensor.Type()]
    if kind not in _NUMPY_TYPES:
        raise InputError(f"{source} has {kind} weights ({name!r}), where float16 and float32 are read.")
    return TfliteTensor(name, shape, buffer.DataAsNumpy().view(_NUMPY_TYPES[kind]).reshape(shape))


def _dequantize(tensors: list[TfliteTensor], operator: TfliteOperator, source: str) -> int:
    """Write the constant that a ``DEQUANTIZE`` makes of another; its size in bytes."""
    (before,), (after,) = operator.inputs, operator.outputs
    stored = tensors[before].data
    if stored is None or stored.dtype != np.float16:
        raise InputError(f"{source} dequantizes {tensors[before].name!r}, which holds no float16 weights.")
    constant = stored.astype(np.float32)
    tensors[after] = TfliteTensor(tensors[after].name, constant.shape, constant)
    return constant.nbytes


def _read_operator(tflite: Any, model: Any, operator: Any, source: str) -> TfliteOperator:
    code = model.OperatorCodes(operator.OpcodeIndex())
    # Files before schema version 3a have the name in the older of the two fields.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    name = _names(tflite.BuiltinOperator).get(number, f"number {number}")
    if name not in _OPERATORS:
        custom = (code.CustomCode() or b"").decode(errors="replace")
        raise InputError(f"{source} uses the operator {custom or name}, which is not among {', '.join(_OPERATORS)}.")
    options = {}
    if (known := _OPERATORS[name]) is not None:
        table_name, read = known
        table, stored = getattr(tflite, table_name)(), operator.BuiltinOptions()
        if stored is None:
            raise ValueError(f"{name} without options")
        table.Init(stored.Bytes, stored.Pos)
        options = read(tflite, table)
    inputs, outputs = (tuple(map(int, _vector(part))) for part in (operator.InputsAsNumpy(), operator.OutputsAsNumpy()))
    return TfliteOperator(name, inputs, outputs, options)


def _window(tflite: Any, table: Any) -> dict[str, Any]:
    stride = (table.StrideH(), table.StrideW())
    if min(stride) < 1:
        raise ValueError("a stride below 1")
    return {"stride": stride, "padding": _names(tflite.Padding)[table.Padding()], **_activation(tflite, table)}


def _activation(tflite: Any, table: Any) -> dict[str, Any]:
    return {"activation": _names(tflite.ActivationFunctionType)[table.FusedActivationFunction()]}


def _convolution(tflite: Any, table: Any) -> dict[str, Any]:
    dilation = (table.DilationHFactor(), table.DilationWFactor())
    if min(dilation) < 1:
        raise ValueError("a dilation below 1")
    return {"dilation": dilation, **_window(tflite, table)}


def _depthwise(tflite: Any, table: Any) -> dict[str, Any]:
    return {"depth_multiplier": table.DepthMultiplier(), **_convolution(tflite, table)}


def _pool(tflite: Any, table: Any) -> dict[str, Any]:
    return {"size": (table.FilterHeight(), table.FilterWidth()), **_window(tflite, table)}


def _resize(_: Any, table: Any) -> dict[str, Any]:
    return {"align_corners": table.AlignCorners(), "half_pixel_centers": table.HalfPixelCenters()}


def _concatenation(tflite: Any, table: Any) -> dict[str, Any]:
    return {"axis": table.Axis(), **_activation(tflite, table)}


def _mean(_: Any, table: Any) -> dict[str, Any]:
    return {"keep_dims": table.KeepDims()}


def _fully_connected(tflite: Any, table: Any) -> dict[str, Any]:
    if table.WeightsFormat() != tflite.FullyConnectedOptionsWeightsFormat.DEFAULT:
        raise ValueError("shuffled weights")
    return {"keep_num_dims": table.KeepNumDims(), **_activation(tflite, table)}


# Each operator's options table and what is read of it; None where tensors say all.
_OPERATORS: dict[str, tuple[str, Callable[[Any, Any], dict[str, Any]]] | None] = {
    "DEQUANTIZE": None,
    "CONV_2D": ("Conv2DOptions", _convolution),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", _depthwise),
    "PRELU": None,
    "ADD": ("AddOptions", _activation),
    "MAX_POOL_2D": ("Pool2DOptions", _pool),
    "PAD": None,
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", _resize),
    "RESHAPE": None,
    "CONCATENATION": ("ConcatenationOptions", _concatenation),
    "MEAN": ("ReducerOptions", _mean),
    "FULLY_CONNECTED": ("FullyConnectedOptions", _fully_connected),
    "LOGISTIC": None,
}
