"""Determinism, first frames, the locator, data sets and missing libraries."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from showme.worlds import gl
from showme.worlds.render import clip_path, load_clip, render_dataset
from showme.worlds.tabletop import render, render_scene, sample_scene, wrong_scene
from showme.worlds.tabletop.clip import centroid
from showme.worlds.tabletop.locator import locate
from showme.worlds.tabletop.renderer import shared_renderer
from showme.worlds.tabletop.vocabulary import ACTIONS

from .conftest import drawn


def test_the_same_seed_gives_the_same_bytes(opengl):
    first, again = render(3), render(3)
    for name in ("frames", "joints", "hand_masks", "object_masks", "depth", "object_track"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    assert first.frames.tobytes() == render(3, labels=False).frames.tobytes()
    assert first.frames.tobytes() != render(4, labels=False).frames.tobytes()


@pytest.mark.parametrize("action", ["push_left", "cut", "put_into"])
def test_the_first_frame_shows_nothing_of_the_action(opengl, action):
    clip = drawn(action)
    other = render_scene(wrong_scene(clip.scene), labels=False)
    assert other.frames[0].tobytes() == clip.frames[0].tobytes()
    assert np.abs(other.frames[-1].astype(int) - clip.frames[-1]).max() > 40


def blurred(frame: np.ndarray) -> np.ndarray:
    """A 3x3 mean, as a stand-in for a soft generated picture."""
    wide = np.pad(frame.astype(float), ((1, 1), (1, 1), (0, 0)), mode="edge")
    shifts = [wide[y : y + 128, x : x + 128] for y in range(3) for x in range(3)]
    return (sum(shifts) / 9).astype(np.uint8)


@pytest.fixture(scope="module")
def located(opengl) -> dict[str, np.ndarray]:
    """Distances in pixels between located and true places, over labelled clips."""
    errors = {"sharp": [], "soft": [], "first": []}
    clips = [drawn(action) for action in ACTIONS] + [render(seed, "test") for seed in range(500, 515)]
    for clip in clips:
        first, last = clip.frames[0], clip.frames[-1]
        truth = clip.final_state["visible_centroid"]
        begin = centroid(clip.object_masks[0])
        for name, frame, place in (("sharp", last, truth), ("soft", blurred(last), truth), ("first", first, begin)):
            found = locate(frame, clip.scene, first)
            errors[name].append(np.inf if found is None else np.hypot(*np.subtract(found, place)))
    return {name: np.array(values) for name, values in errors.items()}


@pytest.mark.parametrize("picture", ["sharp", "soft", "first"])
def test_the_locator_finds_the_object(located, picture):
    assert np.mean(located[picture] < 8) >= 0.92


def test_the_locator_says_when_there_is_nothing_to_find(opengl):
    clip = drawn("push_left")
    empty = np.broadcast_to(np.array(clip.scene.look.table) * 255, (128, 128, 3)).astype(np.uint8)
    assert locate(empty, clip.scene) is None


def test_a_data_set_resumes_and_reads_back(opengl, tmp_path):
    seen = []
    index = render_dataset(tmp_path, 2, "validation", processes=1, progress=lambda *p: seen.append(p))
    assert seen == [(0, 2), (2, 2)]
    rows = [json.loads(line) for line in index.read_text().splitlines()]
    assert [row["seed"] for row in rows] == [10_000_000, 10_000_001]
    path = clip_path(tmp_path, rows[1]["seed"])
    clip = load_clip(path)
    truth = render(1, "validation")
    assert clip.scene == truth.scene == sample_scene(1, "validation")
    assert clip.instruction == rows[1]["instruction"] == truth.instruction
    assert clip.final_state == truth.final_state
    for name in ("frames", "joints", "object_masks", "depth"):
        np.testing.assert_array_equal(getattr(clip, name), getattr(truth, name))
    written = path.stat().st_mtime_ns
    render_dataset(tmp_path, 3, "validation", processes=1, labels=False)
    assert path.stat().st_mtime_ns == written
    assert load_clip(clip_path(tmp_path, 10_000_002)).depth is None
    assert not list(tmp_path.glob("*.part"))


def test_a_data_set_refuses_seeds_of_another_split(tmp_path):
    with pytest.raises(ValueError, match="must lie in"):
        render_dataset(tmp_path, 1, "train", first_seed=10_000_000)


def test_a_missing_opengl_library_is_named(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(gl, "egl_works", lambda: False)
    monkeypatch.setattr(gl, "osmesa_works", lambda: False)
    with pytest.raises(gl.OpenGLMissingError, match="apt-get install libosmesa6"):
        gl.load_mujoco()


def test_a_library_that_cannot_be_loaded_is_named(monkeypatch):
    module = {"__name__": "OpenGL.raw.GL._errors"}
    exec("def fail(name): return None.glGetError", module)  # as PyOpenGL fails
    fail = module["fail"]
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(gl.importlib, "import_module", fail)
    with pytest.raises(gl.OpenGLMissingError, match="libosmesa6"):
        gl.load_mujoco()


def test_a_missing_mujoco_package_is_named(monkeypatch):
    def fail(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(gl.importlib, "import_module", fail)
    with pytest.raises(gl.MujocoMissingError, match=r'pip install "showme-video\[worlds\]"'):
        gl.load_mujoco()


def test_a_mujoco_that_pip_upgraded_from_3_to_4_is_reported_with_what_mends_it(monkeypatch):
    def fail(name: str) -> None:
        # As mujoco/__init__.py does where the files of mujoco-core are gone.
        try:
            raise ModuleNotFoundError("No module named 'mujoco._specs'", name="mujoco._specs")
        except ImportError as error:
            raise ImportError("The 'mujoco' package is installed, but its core bindings are missing.") from error

    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(gl.importlib, "import_module", fail)
    with pytest.raises(gl.MujocoMissingError, match=r"lost files.*: pip uninstall -y mujoco mujoco-core"):
        gl.load_mujoco()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ImportError("numpy.core.multiarray failed to import"), "cannot be imported (numpy.core.multiarray failed"),
        (OSError("libgomp.so.1: cannot open shared object file: No such file"), "apt-get install libgomp1"),
    ],
)
def test_a_broken_mujoco_is_not_taken_for_a_missing_opengl(monkeypatch, error, words):
    def fail(name: str) -> None:
        raise error

    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(gl.importlib, "import_module", fail)
    with pytest.raises(gl.MujocoMissingError, match=re.escape(words)):
        gl.load_mujoco()


def test_the_table_throws_no_shadow(opengl):
    """Its light is even: from pixel to pixel the colour of a bare table hardly changes."""
    look = replace(sample_scene(2).look, stripes=0)
    renderer = shared_renderer()
    renderer.set_look(look)
    rows = renderer.picture([])[20:].astype(int)
    assert np.abs(np.diff(rows, axis=0)).max() <= 2
    assert np.abs(np.diff(rows, axis=1)).max() <= 2


def test_a_model_can_be_loaded_after_a_scene_was_rendered():
    """In a process of its own: OSMesa's LLVM before triton's is a segmentation fault."""
    pytest.importorskip("triton", reason="triton is not installed")
    program = "from showme.worlds.tabletop import render; render(5, labels=False); import triton"
    subprocess.run([sys.executable, "-c", program], check=True)
