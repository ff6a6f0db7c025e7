"""Networks of transformers with their processors, from this disk or else from the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...errors import InputError
from ...hub import DAMAGED, split_revision
from ...perception.similarity import check_vocabulary


def load_pretrained(
    name: str | Path, loader: Any, family: str | None, wanted: str, dtype: torch.dtype = torch.float32
) -> tuple[nn.Module, Any]:
    """A network and its processor.

    What is on this disk already is taken without asking the hub. Weights are safetensors, or read weights only; code
    that comes with a model is not run.

    Args:
        name: folder, or name on the hub, as :func:`showme.hub.split_revision` takes it.
        loader: class whose ``from_pretrained`` makes the network.
        family: ``model_type`` that its configuration must have; None: any that ``loader`` takes.
        wanted: what the folder must hold, for messages.
        dtype: of the weights.

    Raises:
        InputError: nothing there, the hub cannot be reached, another network, or weights that are damaged or missing.
    """
    name, revision = split_revision(name)
    if Path(name).is_dir():
        if not (Path(name) / "config.json").is_file():
            raise InputError(f"{name} holds no such network (it has no config.json): give the folder of a {wanted}.")
        try:
            return _load(name, loader, family, wanted, dtype, {"local_files_only": True})
        except OSError as error:
            raise InputError(
                f"{name} holds no such network ({_reason(error)}): give the folder of a {wanted}."
            ) from error
    place = {"revision": revision}
    try:
        return _load(name, loader, family, wanted, dtype, place | {"local_files_only": True})
    except OSError:
        pass
    try:
        return _load(name, loader, family, wanted, dtype, place | {"local_files_only": False})
    except OSError as error:
        raise InputError(
            f"{name} at revision {revision} is not on this disk and could not be fetched from the hub: check its "
            f"name and the connection, or give the folder of a {wanted}."
        ) from error


def _load(
    name: str, loader: Any, family: str | None, wanted: str, dtype: torch.dtype, place: dict[str, Any]
) -> tuple[nn.Module, Any]:
    """As :func:`load_pretrained`.

    Raises:
        OSError: files that are not there.
        InputError: files that are there and cannot be used.
    """
    # Imported here: transformers' registries take seconds.
    from transformers import AutoConfig, AutoProcessor

    # Code from the hub is never run, and nobody is asked whether it should be.
    common = place | {"trust_remote_code": False}
    try:
        found = AutoConfig.from_pretrained(name, **common).model_type
        if family not in (None, found):
            raise InputError(f"{name} is a {found} network, not a {family} one: choose a {wanted}.")
        processor: Any = AutoProcessor.from_pretrained(name, **common)
        if not hasattr(processor, "image_processor") or not hasattr(processor, "tokenizer"):
            raise InputError(f"{name} has no processor for pictures and words: choose a {wanted}.")
        network, report = loader.from_pretrained(
            name, weights_only=True, dtype=dtype, output_loading_info=True, **common
        )
    except InputError:
        raise
    except ImportError as error:
        raise InputError(
            f"{name} needs a package that is not installed ({_reason(error)}): install it, or choose another model."
        ) from error
    except DAMAGED as error:
        raise InputError(
            f"{name} cannot be loaded ({_reason(error)}): give a {wanted}, or fetch its files again."
        ) from error
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise InputError(
            f"{name} lacks {len(missing)} of the network's weights, {missing[0]} among them: give a {wanted}, or fetch "
            "its files again."
        )
    words = getattr(network.config.get_text_config(), "vocab_size", 0)
    check_vocabulary(name, processor.tokenizer, words)
    return network, processor


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".")[:200] if lines else type(error).__name__
