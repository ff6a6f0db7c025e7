"""Reading networks: what the published files hold, and that others are refused in one sentence."""

from __future__ import annotations

import sys
import zipfile

import numpy as np
import pytest

from showme.errors import InputError
from showme.perception.hands.network import TfliteNetwork
from showme.perception.hands.tflite_file import read_tflite

pytest.importorskip("tflite", reason="tflite is not installed: pip install tflite")

DETECTOR = "hand_detector.tflite"


@pytest.fixture
def palm_file(real_data):
    return real_data / "weights" / "mediapipe" / "palm_detection_full.tflite"


def test_the_palm_detector_is_read(palm_file):
    graph = read_tflite(palm_file)
    assert [graph.tensors[index].shape for index in graph.inputs] == [(1, 192, 192, 3)]
    assert [graph.tensors[index].shape for index in graph.outputs] == [(1, 2016, 18), (1, 2016, 1)]
    names = [operator.name for operator in graph.operators]
    counts = {name: names.count(name) for name in set(names)}
    assert counts == {
        "CONV_2D": 35,
        "PRELU": 31,
        "ADD": 30,
        "DEPTHWISE_CONV_2D": 28,
        "MAX_POOL_2D": 4,
        "RESHAPE": 4,
        "PAD": 3,
        "RESIZE_BILINEAR": 2,
        "CONCATENATION": 2,
    }
    first = graph.operators[0]
    expected = {"stride": (2, 2), "dilation": (1, 1), "padding": "SAME", "activation": "NONE"}
    assert (first.name, first.options) == ("CONV_2D", expected)
    weights = graph.tensors[first.inputs[1]]
    assert weights.shape == (32, 5, 5, 3)
    assert weights.data.dtype == np.float32


def test_a_bundle_needs_to_hold_the_network(hand_bundle, tmp_path):
    assert len(read_tflite(hand_bundle, DETECTOR).outputs) == 2
    with pytest.raises(InputError, match=r"hand_landmarker\.task holds no other\.tflite"):
        read_tflite(hand_bundle, "other.tflite")
    with pytest.raises(InputError, match=r"one network's \.tflite file is needed"):
        read_tflite(hand_bundle)
    (tmp_path / "short.task").write_bytes(hand_bundle.read_bytes()[:1_000_000])
    with pytest.raises(InputError, match=r"short\.task is damaged"):
        read_tflite(tmp_path / "short.task", DETECTOR)


def test_a_member_that_unpacks_to_too_much_is_refused(tmp_path):
    path = tmp_path / "bomb.task"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle, bundle.open(DETECTOR, "w") as member:
        for _ in range(65):
            member.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 18
    with pytest.raises(InputError, match="more than 64 MB"):
        read_tflite(path, DETECTOR)


@pytest.mark.parametrize(
    "content", [None, b"", b"TFL3", b"no network at all", bytes(4) + b"TFL3", b"PK\x03\x04 no zip"]
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "hands.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"hands\.tflite") as error:
        read_tflite(path, DETECTOR)
    assert "\n" not in str(error.value)


def test_a_file_cut_short_is_refused(palm_file, tmp_path):
    content = palm_file.read_bytes()
    # The very end is a list of labels that nobody reads.
    for length in np.linspace(8, 0.95 * len(content), 25).astype(int):
        (tmp_path / "short.tflite").write_bytes(content[:length])
        with pytest.raises(InputError, match=r"short\.tflite"):
            TfliteNetwork(read_tflite(tmp_path / "short.tflite"))


def test_harm_to_the_description_ends_in_a_sentence_or_in_a_network(palm_file, tmp_path):
    content = palm_file.read_bytes()
    described = content.index(b"model_1/")
    rng = np.random.default_rng(0)
    refused = []
    for _ in range(60):
        harmed = np.frombuffer(content, np.uint8).copy()
        # The header, and the tables that follow the weights.
        places = np.concatenate([rng.integers(0, 64, 1), rng.integers(described - 50_000, len(content), 200)])
        harmed[places] = rng.integers(0, 256, len(places))
        (tmp_path / "harmed.tflite").write_bytes(harmed.tobytes())
        try:
            TfliteNetwork(read_tflite(tmp_path / "harmed.tflite"))
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 30
    assert all("harmed.tflite" in message and "\n" not in message for message in refused)


def test_an_unknown_operator_is_named(palm_file, tmp_path):
    import tflite

    content = bytearray(palm_file.read_bytes())
    model = tflite.Model.GetRootAs(content, 0)
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    (code,) = [code for code in codes if code.DeprecatedBuiltinCode() == tflite.BuiltinOperator.PRELU]
    multiply = tflite.BuiltinOperator.MUL
    content[code._tab.Pos + code._tab.Offset(4)] = multiply
    if code._tab.Offset(10):
        content[code._tab.Pos + code._tab.Offset(10)] = multiply
    (tmp_path / "other.tflite").write_bytes(content)
    with pytest.raises(InputError, match=r"other\.tflite uses the operator MUL"):
        read_tflite(tmp_path / "other.tflite")


def test_without_the_package_the_remedy_is_named(palm_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(InputError, match=r'package tflite: pip install "showme-video\[hands\]"'):
        read_tflite(palm_file)
