"""Networks in PyTorch against the runtime that their files are made for."""

from __future__ import annotations

import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from showme.errors import InputError
from showme.perception.hands.network import TfliteNetwork
from showme.perception.hands.tflite_file import TfliteGraph, TfliteOperator, TfliteTensor, read_tflite

pytest.importorskip("tflite", reason="tflite is not installed: pip install tflite")

NETWORKS = (
    ("palm_detection_full.tflite", None),
    ("palm_detection_lite.tflite", None),
    ("hand_landmark_lite.tflite", None),
    ("hand_landmarker.task", "hand_detector.tflite"),
    ("hand_landmarker.task", "hand_landmarks_detector.tflite"),
)


def resized(frames: np.ndarray, side: int) -> np.ndarray:
    """Frames at a network's size, float32 in [0, 1]."""
    pictures = [np.asarray(Image.fromarray(frame).resize((side, side))) for frame in frames]
    return np.stack(pictures).astype(np.float32) / 255


@pytest.mark.parametrize(("file", "member"), NETWORKS)
def test_networks_equal_the_runtime(real_data, loaf, dough, file, member):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="pip install ai-edge-litert")
    path = real_data / "weights" / "mediapipe" / file
    network = TfliteNetwork(read_tflite(path, member))
    content = zipfile.ZipFile(path).read(member) if member else path.read_bytes()
    runtime = interpreter.Interpreter(model_content=content)
    runtime.allocate_tensors()
    pictures = resized(np.concatenate([loaf[::3], dough[::4]]), network.input_shapes[0][1])
    with torch.inference_mode():
        batch = network(torch.from_numpy(pictures))
        alone = [network(torch.from_numpy(picture[None])) for picture in pictures]
    for number, picture in enumerate(pictures):
        runtime.set_tensor(runtime.get_input_details()[0]["index"], picture[None])
        runtime.invoke()
        for output, details in enumerate(runtime.get_output_details()):
            expected = torch.from_numpy(runtime.get_tensor(details["index"]))
            torch.testing.assert_close(batch[output][number : number + 1], expected, atol=1e-3, rtol=0)
            torch.testing.assert_close(alone[number][output], expected, atol=1e-3, rtol=0)


def test_networks_are_frozen_and_can_be_float64(hand_bundle):
    network = TfliteNetwork(read_tflite(hand_bundle, "hand_landmarks_detector.tflite")).double()
    assert not any(p.requires_grad for p in network.parameters())
    pictures = torch.rand(2, 224, 224, 3, dtype=torch.float64, requires_grad=True)
    outputs = network(pictures)
    assert [tuple(output.shape) for output in outputs] == [(2, 63), (2, 1), (2, 1), (2, 63)]
    outputs[0].sum().backward()
    assert (pictures.grad.abs().amax((1, 2, 3)) > 0).all()


def test_no_picture_is_no_error(hand_bundle):
    network = TfliteNetwork(read_tflite(hand_bundle, "hand_landmarks_detector.tflite"))
    assert [tuple(output.shape) for output in network(torch.zeros(0, 224, 224, 3))] == [
        (0, 63),
        (0, 1),
        (0, 1),
        (0, 63),
    ]


def small_graph(name: str, shapes: list[tuple[int, ...]], constants: list, options: dict | None = None) -> TfliteGraph:
    """One operator whose first input is given and whose others are constants; ``shapes`` of input and output."""
    tensors = [TfliteTensor("in", shapes[0], None), TfliteTensor("out", shapes[1], None)]
    tensors += [TfliteTensor(f"c{i}", np.shape(constant), np.asarray(constant)) for i, constant in enumerate(constants)]
    operator = TfliteOperator(name, (0, *range(2, len(tensors))), (1,), options or {})
    return TfliteGraph("small.tflite", tuple(tensors), (operator,), (0,), (1,))


def window(stride: int, padding: str, dilation: int = 1) -> dict:
    return {"stride": (stride,) * 2, "padding": padding, "dilation": (dilation,) * 2, "activation": "NONE"}


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "dilation"), [(6, 3, 2, 1), (7, 3, 2, 1), (8, 5, 2, 1), (9, 3, 1, 2), (6, 2, 1, 1)]
)
def test_same_padding_puts_the_odd_pixel_right_and_below(side, kernel, stride, dilation):
    # A kernel that sums shows, where the picture is one throughout, how many of its taps meet the picture.
    out = -(-side // stride)
    weights = np.ones((1, kernel, kernel, 1), np.float32)
    graph = small_graph("CONV_2D", [(1, side, side, 1), (1, out, out, 1)], [weights], window(stride, "SAME", dilation))
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - side, 0)
    taps = np.arange(out)[:, None] * stride - total // 2 + np.arange(kernel) * dilation
    met = ((taps >= 0) & (taps < side)).sum(1)
    result = TfliteNetwork(graph)(torch.ones(1, side, side, 1))[0]
    np.testing.assert_array_equal(result[0, :, :, 0].numpy(), np.outer(met, met))


def test_depthwise_convolution_multiplies_channels_in_the_file_s_order():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(1, 2, 2, 6)).astype(np.float32)
    options = {"depth_multiplier": 3, **window(1, "VALID")}
    graph = small_graph("DEPTHWISE_CONV_2D", [(1, 2, 2, 2), (1, 1, 1, 6)], [weights], options)
    picture = rng.normal(size=(1, 2, 2, 2)).astype(np.float32)
    expected = np.einsum("hwc,hwcm->cm", picture[0], weights[0].reshape(2, 2, 2, 3)).ravel()
    result = TfliteNetwork(graph)(torch.from_numpy(picture))[0]
    np.testing.assert_allclose(result.numpy().ravel(), expected, rtol=1e-5)


def test_the_largest_of_a_margin_is_the_picture_s():
    graph = small_graph("MAX_POOL_2D", [(1, 3, 3, 1), (1, 2, 2, 1)], [], {"size": (2, 2), **window(2, "SAME")})
    result = TfliteNetwork(graph)(-torch.arange(1.0, 10).view(1, 3, 3, 1))[0]
    assert result.flatten().tolist() == [-1, -3, -7, -9]


HUGE = 1 << 20
UNFIT = {
    "weights for other channels": small_graph(
        "CONV_2D", [(1, 4, 4, 2), (1, 4, 4, 1)], [np.ones((1, 1, 1, 3), np.float32)], window(1, "SAME")
    ),
    "another size than stated": small_graph(
        "CONV_2D", [(1, 4, 4, 1), (1, 4, 4, 1)], [np.ones((1, 1, 1, 1), np.float32)], window(2, "SAME")
    ),
    "a margin of a million pixels": small_graph(
        "CONV_2D", [(1, 4, 4, 1), (1, 4, 4, 1)], [np.ones((1, 2, 2, 1), np.float32)], window(1, "SAME", HUGE)
    ),
    "padded beyond what is stated": small_graph(
        "PAD", [(1, 4, 4, 1), (1, 8, 8, 1)], [[[0, 0], [0, HUGE], [0, 4], [0, 0]]]
    ),
    "enlarged beyond what is stated": small_graph(
        "RESIZE_BILINEAR",
        [(1, 4, 4, 1), (1, 8, 8, 1)],
        [[HUGE, HUGE]],
        {"align_corners": False, "half_pixel_centers": True},
    ),
    "TensorFlow 1's resizing": small_graph(
        "RESIZE_BILINEAR", [(1, 4, 4, 1), (1, 8, 8, 1)], [[8, 8]], {"align_corners": False, "half_pixel_centers": False}
    ),
    "an unknown activation": small_graph(
        "CONV_2D",
        [(1, 4, 4, 1), (1, 4, 4, 1)],
        [np.ones((1, 1, 1, 1), np.float32)],
        {**window(1, "SAME"), "activation": "SIGN_BIT"},
    ),
}


@pytest.mark.parametrize("graph", UNFIT.values(), ids=UNFIT.keys())
def test_what_does_not_fit_is_refused_before_it_is_computed(graph):
    with pytest.raises(InputError, match=r"small\.tflite is damaged, or of a kind that is not known"):
        TfliteNetwork(graph)


def test_outputs_must_be_computed():
    graph = small_graph("LOGISTIC", [(1, 4), (1, 4)], [])
    assert torch.equal(TfliteNetwork(graph)(torch.zeros(1, 4))[0], torch.full((1, 4), 0.5))
    with pytest.raises(InputError, match="an output that nothing computes"):
        TfliteNetwork(replace(graph, operators=()))
