"""The components of a bundle in torch alone, where it holds nothing but what :mod:`showme.models.plain` knows.

A pipeline of such components is there in a fraction of the seconds that diffusers and transformers take to import, and
makes the same pictures to the bit. Whatever is unlike what is expected here (another class, another setting, a weight
too many) is left to :func:`showme.pipelines.load_pipeline`, which knows everything and says what is wrong.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ..bundle import LORA_CONFIG, BundleFiles
from ..devices import choose_device
from ..hub import DAMAGED
from ..models.plain import DDIMScheduler, PlainAutoencoder, PlainTextEncoder, PlainVisionEncoder
from ..models.plain.clip import ACTIVATIONS
from .plain_video_unet import LoraLinear, Named, PlainProjector, PlainTokenizer, PlainUNet

_NETWORKS: dict[tuple[str, str], tuple[type[nn.Module], str]] = {
    ("showme.models.video_unet.unet", "VideoUNet"): (PlainUNet, "diffusion_pytorch_model.safetensors"),
    ("showme.models.image_projector", "ImageProjector"): (PlainProjector, "diffusion_pytorch_model.safetensors"),
    ("diffusers", "AutoencoderKL"): (PlainAutoencoder, "diffusion_pytorch_model.safetensors"),
    ("transformers", "CLIPTextModel"): (PlainTextEncoder, "model.safetensors"),
    ("transformers", "CLIPVisionModel"): (PlainVisionEncoder, "model.safetensors"),
}
_DRAWN_NOWHERE = (PlainUNet, PlainAutoencoder)
# What the plain classes take for granted, by file.
_EXPECTED: dict[str, dict[str, tuple]] = {
    "vae/config.json": {
        "act_fn": ("silu",),
        "mid_block_add_attention": (False,),
        "use_quant_conv": (True,),
        "use_post_quant_conv": (True,),
    },
    "text_encoder/config.json": {"hidden_act": tuple(ACTIVATIONS)},
    "image_encoder/config.json": {"hidden_act": tuple(ACTIVATIONS)},
    "scheduler/scheduler_config.json": {
        "beta_schedule": ("scaled_linear",),
        "clip_sample": (False,),
        "prediction_type": ("v_prediction", "epsilon"),
        "thresholding": (False,),
        "timestep_spacing": ("trailing",),
        "trained_betas": (None,),
    },
    "tokenizer/tokenizer_config.json": {
        "padding_side": ("right",),
        "tokenizer_class": ("TokenizersBackend",),
        "truncation_side": ("right",),
    },
}
# Settings of the pipeline that bundles of earlier versions do not name.
_LATER_SETTINGS = {"goal_conditioning": False, "long_instructions": "cut"}
_CODEC_BLOCKS = {"DownEncoderBlock2D", "UpDecoderBlock2D"}
_LORA_SETTINGS = {"r", "lora_alpha", "lora_dropout", "rank_pattern", "alpha_pattern", "target_modules"}


@dataclass(frozen=True)
class PlainParts:
    """A bundle in torch alone: components by their names in the pipeline, and its settings."""

    components: dict[str, Any]
    config: Named


class _UnlikeError(ValueError):
    """Something that the plain classes do not know."""


def read_plain(
    files: BundleFiles, device: str | torch.device | None = None, dtype: torch.dtype | None = None
) -> PlainParts | None:
    """The components of an opened bundle in torch alone; None where it needs the whole ones: on a GPU, in another
    precision than fp32, or with parts that are not known here.

    Raises:
        InputError: a device that is not there.
    """
    if choose_device(device).type != "cpu" or dtype not in (None, torch.float32):
        return None
    threads = torch.get_num_threads()
    # Hundreds of small copies: several threads wait for one another longer than they work.
    torch.set_num_threads(1)
    try:
        return _read(files)
    except (OSError, *DAMAGED):
        return None
    finally:
        torch.set_num_threads(threads)


def _read(files: BundleFiles) -> PlainParts:
    index = _json(files.path("model_index.json"))
    for name, expected in _EXPECTED.items():
        found = _json(files.path(name))
        for field, values in expected.items():
            if found[field] not in values:
                raise _UnlikeError(f"{name}: {field}")
    named = {name: value for name, value in index.items() if not isinstance(value, list) and name[0] != "_"}
    config = _LATER_SETTINGS | named
    config |= {"height": files.info.height, "width": files.info.width}
    components = {name: _component(files.path(name), name, *value) for name, value in index.items() if _is_part(value)}
    _check_size(components["vae"], config)
    _adapt_projector(components["image_projector"], _adapters(files, "image_projector"))
    adapters = _adapters(files, "unet")
    for lora in adapters.values():
        _check_fit(components["unet"], lora)
    components["unet"].adapters = adapters
    return PlainParts(components, Named(config))


def _is_part(value: Any) -> bool:
    # What a model does without stands there as two nulls.
    return isinstance(value, list) and value[0] is not None


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _component(place: Path, name: str, library: str, class_name: str) -> Any:
    if (library, class_name) in _NETWORKS:
        return _network(place, *_NETWORKS[library, class_name])
    if name == "scheduler" and (library, class_name) == ("diffusers", "DDIMScheduler"):
        return DDIMScheduler(_json(place / "scheduler_config.json"))
    if name == "tokenizer":
        return _tokenizer(place)
    if (library, class_name) == ("transformers", "CLIPImageProcessor"):
        return Named(_json(place / "preprocessor_config.json"))
    raise _UnlikeError(f"{library}.{class_name}")


def _network(folder: Path, cls: Any, weights: str) -> nn.Module:
    """A network with its weights in fp32, each in its place, in the memory order that suits convolutions."""
    config = {name: value for name, value in _json(folder / "config.json").items() if name[0] != "_"}
    if not _CODEC_BLOCKS.issuperset([*config.get("down_block_types", ()), *config.get("up_block_types", ())]):
        raise _UnlikeError(f"{folder}: blocks")
    # First weights are replaced at once: the large networks draw none. Those that draw from a normal distribution would
    # import the whole of torch's compiler for it on that device; small as they are, they draw, and nobody notices.
    with torch.random.fork_rng(devices=[]), torch.device("meta" if cls in _DRAWN_NOWHERE else "cpu"):
        network = cls(config)
    network.load_state_dict({key: value.float() for key, value in load_file(folder / weights).items()}, assign=True)
    return network.requires_grad_(False).eval().to(memory_format=torch.channels_last)


def _tokenizer(folder: Path) -> PlainTokenizer:
    from tokenizers import Tokenizer

    config = _json(folder / "tokenizer_config.json")
    text = (folder / "tokenizer.json").read_text(encoding="utf-8")
    return PlainTokenizer(Tokenizer.from_str(text), config["model_max_length"], config["pad_token"])


def _check_size(vae: PlainAutoencoder, config: dict[str, Any]) -> None:
    """Pictures come at the model's size, which the codec must take as it is."""
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    if config["height"] % factor or config["width"] % factor:
        raise _UnlikeError("size")


def _adapters(files: BundleFiles, component: str) -> dict[str, dict[str, tuple[Tensor, Tensor]]]:
    """The adapters of a component by name, their tensors in fp32 by layer."""
    return {path.stem: _lora(path) for path in files.adapters(component)}


def _lora(path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    with safe_open(path, "pt") as file:
        settings = json.loads((file.metadata() or {})[LORA_CONFIG])
    same_scale = settings["lora_alpha"] == settings["r"]
    if not (same_scale and settings.get("alpha_pattern") == settings.get("rank_pattern")):
        raise _UnlikeError(f"{path}: scale")
    if set(settings) - _LORA_SETTINGS:
        raise _UnlikeError(f"{path}: settings")
    state = {key: value.float() for key, value in load_file(path).items()}
    places = {key.rsplit(".lora_", 1)[0] for key in state}
    if len(state) != 2 * len(places):
        raise _UnlikeError(f"{path}: keys")
    return {place: (state[f"{place}.lora_A.weight"], state[f"{place}.lora_B.weight"]) for place in sorted(places)}


def _check_fit(network: nn.Module, lora: dict[str, tuple[Tensor, Tensor]]) -> None:
    for place, (a, b) in lora.items():
        layer = network.get_submodule(place)
        if type(layer) is not nn.Linear or (b.shape[0], a.shape[1], a.shape[0]) != (*layer.weight.shape, b.shape[1]):
            raise _UnlikeError(place)


def _adapt_projector(projector: nn.Module, adapters: dict[str, dict[str, tuple[Tensor, Tensor]]]) -> None:
    """Lay the resampler's adapter beside its layers, where peft leaves it; of several, peft runs one alone."""
    if len(adapters) > 1:
        raise _UnlikeError("adapters of the resampler")
    for lora in adapters.values():
        _check_fit(projector, lora)
        for place, (a, b) in lora.items():
            parent, _, name = place.rpartition(".")
            layer = cast(nn.Linear, projector.get_submodule(place))
            setattr(projector.get_submodule(parent), name, LoraLinear(layer, a, b))
