"""Wan's published folder into a thin bundle that stands on it: nothing of it is copied but a few settings."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..base_model import record_base
from ..bundle import INDEX, BundleInfo, fetch_published
from ..bundle_folder import describe, staged_bundle
from ..errors import InputError
from .diffusers_folder import check_parts, read_json

_PARTS = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")
_CLASS = ["showme.models.wan_transformer", "WanTransformer"]
_WAN, _SKYREELS = "WanTransformer3DModel", "SkyReelsV2Transformer3DModel"
# Frames per second, frames and steps as the authors run them: in place, concatenated, and SkyReels-V2.
_IN_PLACE, _CONCATENATED, _SKYREELS_RUN = (24.0, 121, 50), (16.0, 81, 40), (24.0, 97, 50)
_LICENCES = {
    _WAN: "Wan's weights are under Apache-2.0",
    _SKYREELS: "SkyReels-V2's weights are under the Skywork community licence: read it before you publish or sell",
}
_GUIDANCE = 5.0
_MASK = 4


class Converted(NamedTuple):
    """A bundle's folder, and under which licence the weights are that it stands on, a clause."""

    folder: Path
    licence: str


def convert_folder(
    source: str,
    dest: Path,
    size: tuple[int, int],
    frames: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Converted:
    """Write a thin bundle over a folder in diffusers' layout.

    Args:
        source: the folder, or a hub id, which is fetched.
        dest: folder of the bundle.
        size: (height, width) of its pictures.
        frames: of its videos; None: as the authors run it.
        progress: called with the name of each step as it begins.

    Raises:
        InputError: a part that is missing or of another kind, a checkpoint that makes videos of text alone, a size or a
            number of frames that the codec does not take, or ``dest`` holds something else than a bundle.
        OutsideError: a hub that does not answer.
    """
    report = progress or (lambda step: None)
    report(f"looking for {source}")
    folder = Path(source) if Path(source).is_dir() else fetch_published(source)
    check_parts(folder, _PARTS, "Wan")
    index = read_json(folder / INDEX)
    network, codec = (read_json(folder / part / "config.json") for part in ("transformer", "vae"))
    in_place, family = _form(folder, index, network, codec), network["_class_name"]
    concatenated = _SKYREELS_RUN if family == _SKYREELS else _CONCATENATED
    fps, usual, steps = _IN_PLACE if in_place else concatenated
    frames = usual if frames is None else frames
    _check_shape(codec, network, size, frames)
    report("reading the weights' hashes")
    info = BundleInfo(
        name="skyreels-v2" if family == _SKYREELS else f"wan-{'in-place' if in_place else 'concatenated'}",
        backbone="wan",
        base=record_base(source, folder),
        height=size[0],
        width=size[1],
        num_frames=frames,
        fps=fps,
        default_steps=steps,
    )
    report(f"writing {dest}")
    with staged_bundle(dest) as staging:
        settings = {"num_frames": frames, "num_inference_steps": steps, "guidance_scale": _GUIDANCE}
        (staging / INDEX).write_text(json.dumps(_index(index, settings), indent=2) + "\n", encoding="utf-8")
        if (folder / "image_processor").is_dir() and index.get("image_encoder", [None])[0]:
            shutil.copytree(folder / "image_processor", staging / "feature_extractor")
        describe(staging, info)
    return Converted(dest, _LICENCES[family])


def _form(folder: Path, index: dict[str, Any], network: dict[str, Any], codec: dict[str, Any]) -> bool:
    """Whether known frames stand in place of noisy ones.

    Raises:
        InputError: it is no Wan, or one that takes no picture.
    """
    if network.get("_class_name") not in _LICENCES or codec.get("_class_name") != "AutoencoderKLWan":
        kind = network.get("_class_name", "nothing")
        raise InputError(f"{folder} holds a {kind}: this is for {' or '.join(_LICENCES)} with AutoencoderKLWan.")
    if network.get("inject_sample_info") or network.get("num_frame_per_block", 1) > 1:
        raise InputError(
            f"{folder} makes videos block by block (diffusion forcing, DF), which is not done: fetch SkyReels-V2-I2V."
        )
    if network.get("pos_embed_seq_len") is not None:
        raise InputError(
            f"{folder} reads first and last frame at once (FLF2V), which is not done: fetch the one for image to video "
            "(I2V), which takes a last frame too."
        )
    channels, latent = network.get("in_channels", 16), codec.get("z_dim", 16)
    if bool(index.get("expand_timesteps")) and channels == latent:
        return True
    if channels == 2 * latent + _MASK:
        return False
    raise InputError(
        f"{folder} takes {channels} channels, and a picture to begin with needs {2 * latent + _MASK}: this checkpoint "
        f"is for {'text alone' if channels == latent else 'something else'}, fetch the one for image to video (I2V)."
    )


def _check_shape(codec: dict[str, Any], network: dict[str, Any], size: tuple[int, int], frames: int) -> None:
    patch = network.get("patch_size", [1, 2, 2])[1]
    multiple = codec.get("scale_factor_spatial", 8) * patch
    for name, side in zip(("--height", "--width"), size, strict=True):
        if side % multiple:
            low = side // multiple * multiple
            raise InputError(f"{name} {side}: this codec takes multiples of {multiple}, like {low or multiple}.")
    time = codec.get("scale_factor_temporal", 4)
    if frames < 1 or (frames - 1) % time:
        low = max((frames - 1) // time * time, 0) + 1
        raise InputError(f"--frames {frames}: this codec takes {low} or {low + time}, of which none is left out.")


def _index(published: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Our pipeline over the published components."""
    parts = {name: value for name, value in published.items() if isinstance(value, list) and value[0] is not None}
    for name in ("transformer", "transformer_2"):
        if name in parts:
            parts[name] = _CLASS
    if "image_processor" in parts:
        processor = parts.pop("image_processor")
        if "image_encoder" in parts:
            # SkyReels has a tokenizer with it, which nothing is asked of.
            parts["feature_extractor"] = [processor[0], "CLIPImageProcessor"]
    # Whatever the tokenizer's class is called in the version that is installed.
    parts["tokenizer"] = ["transformers", "AutoTokenizer"]
    own = {name: published[name] for name in ("expand_timesteps", "boundary_ratio") if published.get(name) is not None}
    return {"_class_name": "ShowMePipeline", **parts, **own, **settings}
