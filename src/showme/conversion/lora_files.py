"""Adapters of Wan out of a model, for other tools, and into one, from theirs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from safetensors.torch import load_file

from ..backbones.lora import attach_adapter, write_adapter
from ..base_model import record_base
from ..bundle import INDEX, BundleFiles, adapter_folder, open_bundle
from ..bundle_folder import describe, staged_bundle
from ..errors import InputError
from ..methods.showme.tasks import FAST
from ..models.wan_transformer import WanTransformer
from .wan_lora import Tool, read_lora, write_lora

Expert = Literal["high", "low"]
# By the noise that they remove.
_NETWORKS: dict[Expert, str] = {"high": "transformer", "low": "transformer_2"}


class Added(NamedTuple):
    """A LoRA that was read in.

    Attributes:
        asked: what ``--model`` takes for it: with the adapters that the model has already, where it has some.
        left_out: layers that it says nothing of, though it adapts others of their kind: of another release of Wan.
    """

    asked: str
    left_out: list[str]


def export_lora(model: str, path: Path, to: Tool, adapter: str | None = None, expert: Expert | None = None) -> str:
    """Write an adapter of a model's denoiser as another tool reads it.

    Args:
        model: a bundle.
        path: the file.
        to: the tool.
        adapter: which; None: the only one.
        expert: of which of two networks; each has a file of its own, as they are published.

    Returns:
        The adapter's name.

    Raises:
        InputError: no such model or adapter, several where none is named, or one that is more than LoRA.
    """
    files = _of_wan(model)
    found = {each.stem: each for each in files.adapters(_network(files, model, expert))}
    if adapter is None and len(found) == 1:
        adapter = next(iter(found))
    if adapter not in found:
        have = ", ".join(sorted(found)) or "none"
        asked = "name one with --adapter" if adapter is None else f"{adapter!r} is none of them"
        raise InputError(f"The model {model} has these adapters: {have}; {asked}.")
    state = load_file(found[adapter])
    other = next((key for key in state if ".lora_" not in key), None)
    if other is not None:
        raise InputError(f"The adapter {adapter} holds {other}, which is no LoRA: other tools cannot read it.")
    write_lora(state, path, to)
    return adapter


def import_lora(file: Path, dest: Path, model: str, steps: int, guidance: float, expert: Expert | None = None) -> Added:
    """Write a thin bundle that adds another tool's LoRA to a model, to be asked as ``MODEL+DEST`` or, over a model
    without adapters of its own, alone.

    Args:
        file: the LoRA, of any of the tools.
        dest: folder of the bundle.
        model: what it belongs to.
        steps, guidance: that it was made for.
        expert: which of two networks it is for.

    Raises:
        InputError: no such file or model, a model that has such an adapter, or a LoRA with keys or shapes that have no
            place.
    """
    config, state = read_lora(file)
    files = _of_wan(model)
    name = _network(files, model, expert)
    own = {path.stem for each in files.stack for path in (each.folder / adapter_folder(name)).glob("*.safetensors")}
    if FAST in own:
        raise InputError(f"{model} has an adapter {FAST} already, which a LoRA becomes: choose a model without.")
    with torch.device("meta"):
        network = WanTransformer.from_config(json.loads(files.path(f"{name}/config.json").read_text()))
    attach_adapter(network, FAST, config, state, file)
    index = json.loads(files.path(INDEX).read_text())
    index |= {"num_inference_steps": steps, "guidance_scale": guidance}
    base = files.info.base or record_base(model, files.folder)
    called = "-".join(filter(None, (files.info.name, FAST, expert)))
    info = files.info.model_copy(update={"name": called, "base": base, "default_steps": steps})
    with staged_bundle(dest) as staging:
        (staging / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        if (files.folder / "feature_extractor").is_dir():
            shutil.copytree(files.folder / "feature_extractor", staging / "feature_extractor")
        write_adapter(state, config, staging / adapter_folder(name) / f"{FAST}.safetensors")
        describe(staging, info)
    return Added(f"{model}+{dest}" if own else str(dest), _left_out(network, state))


def _of_wan(model: str) -> BundleFiles:
    files = open_bundle(model)
    if files.info.backbone != "wan":
        raise InputError(f"{model} is a {files.info.backbone}, and this is for LoRA of Wan: choose another model.")
    return files


def _network(files: BundleFiles, model: str, expert: Expert | None) -> str:
    """The component that is meant.

    Raises:
        InputError: a model of two networks and none named, or one named where there is one.
    """
    two = files.path(f"{_NETWORKS['low']}/config.json").is_file()
    if two and expert is None:
        raise InputError(f"{model} has two networks, for much noise and for little: say --expert high or --expert low.")
    if expert is not None and not two:
        raise InputError(f"{model} has one network: leave --expert out.")
    return _NETWORKS[expert or "high"]


def _left_out(network: WanTransformer, state: dict[str, torch.Tensor]) -> list[str]:
    """Attention to pictures that a LoRA of text to video knows nothing of, for one."""
    adapted = {key.split(".", 2)[2].rsplit(".lora_", 1)[0] for key in state}
    images = [name for name in ("attn2.add_k_proj", "attn2.add_v_proj") if network.config.added_kv_proj_dim is not None]
    attention = any(name.startswith("attn2.") for name in adapted)
    return [name for name in images if attention and name not in adapted]
