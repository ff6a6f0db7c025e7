"""Whether the object arrives: on true renders, whose places are known, and on clips that stand still."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from showme.errors import InputError
from showme.evaluation.metrics.base import Pairs
from showme.evaluation.metrics.tabletop_object import ObjectNear, is_near, rendered_scenes


def pairs_of(generated: torch.Tensor, reference: torch.Tensor, ids: list[str]) -> Pairs:
    return Pairs(generated, reference, ids, ids)


@pytest.mark.parametrize(
    ("found", "true", "near"),
    [
        ((0.0, 0.0), [4.8, 6.4], True),
        ((0.0, 0.0), [4.8, 6.5], False),
        ((100.0, 50.0), [100.0, 42.0], True),
        (None, [0.0, 0.0], False),
        ((0.0, 0.0), None, False),
    ],
)
def test_near_is_eight_pixels(found, true, near):
    assert is_near(found, true) is near


@pytest.fixture(scope="module")
def rendered(opengl, tmp_path_factory):
    """Six rendered clips with labels, in a folder."""
    from showme.worlds.render import render_dataset

    folder = tmp_path_factory.mktemp("rendered")
    render_dataset(folder, 6, "test", processes=1)
    return folder


@pytest.fixture(scope="module")
def pixels(rendered) -> Pairs:
    from showme.worlds.render import load_clip

    paths = sorted(rendered.glob("*.safetensors"))
    clips = torch.from_numpy(np.stack([load_clip(path).frames for path in paths])).permute(0, 1, 4, 2, 3).float() / 255
    return pairs_of(clips, clips, [path.stem for path in paths])


def test_scores_are_those_of_the_tabletop_evaluation(rendered, pixels):
    """Of what it calls ``locator_near`` and ``stayed_near``: the truth, and standing still."""
    from showme.worlds.render import load_clip
    from showme.worlds.tabletop.locator import locate

    def near(found, true):
        return float(found is not None and true is not None and np.linalg.norm(np.array(found) - true) <= 8)

    metric = ObjectNear.from_rendered(rendered)
    arrived, stayed = [], []
    for name in pixels.ids:
        clip = load_clip(rendered / f"{name}.safetensors")
        first, last, true = clip.frames[0], clip.frames[-1], clip.final_state["visible_centroid"]
        arrived.append(near(locate(last, clip.scene, first), true))
        stayed.append(near(locate(first, clip.scene, first), true))
    assert metric.score(pixels).tolist() == arrived
    still = pixels.generated[:, :1].expand_as(pixels.generated)
    assert metric.score(pairs_of(still, pixels.reference, pixels.ids)).tolist() == stayed
    assert sum(arrived) > sum(stayed)


def test_merged_is_all_at_once_in_any_order(rendered, pixels):
    whole, first, second = (ObjectNear.from_rendered(rendered) for _ in range(3))
    whole.update(pixels)
    for row, name in enumerate(pixels.ids):
        one = pixels.generated[row : row + 1]
        (first if row % 2 else second).update(pairs_of(one, one, [name]))
    first.merge_state(second)
    assert float(first.compute()) == float(whole.compute())


def test_unknown_clips_and_other_sizes_are_refused():
    clips = torch.zeros(1, 2, 3, 128, 128)
    with pytest.raises(InputError, match="'7'"):
        ObjectNear({}, {}).score(pairs_of(clips, clips, ["7"]))
    with pytest.raises(InputError, match="128x128, not 64x32"):
        ObjectNear({}, {}).score(pairs_of(clips[..., :32, :64], clips[..., :32, :64], ["7"]))


@pytest.mark.parametrize(
    "notes",
    [
        None,
        {"scene": "{}", "final_state": "{}"},
        {"scene": "[" * 100_000, "final_state": "{}"},
        {"scene": json.dumps({"look": 3}), "final_state": "{}"},
        b"no tensors",
    ],
)
def test_other_files_are_refused(tmp_path, notes):
    path = tmp_path / "20000000.safetensors"
    if isinstance(notes, bytes):
        path.write_bytes(notes)
    else:
        save_file({"frames": np.zeros(1, np.uint8)}, path, notes)
    with pytest.raises(InputError, match=r"20000000\.safetensors is no clip") as error:
        rendered_scenes(tmp_path)
    assert "\n" not in str(error.value)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no clips"):
        rendered_scenes(tmp_path)


def test_clips_without_labels_are_refused(opengl, tmp_path):
    from showme.worlds.render import render_dataset

    render_dataset(tmp_path, 1, "test", processes=1, labels=False)
    with pytest.raises(InputError, match="labels"):
        ObjectNear.from_rendered(tmp_path)
