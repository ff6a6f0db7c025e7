"""Parts of a published folder in diffusers' layout: text and safetensors, every weight in its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from diffusers import ModelMixin

from ..errors import ConversionError, InputError, first_line
from ..pipeline_files import stored_dtype


def check_parts(source: Path, parts: tuple[str, ...], what: str) -> None:
    """Refuse a folder that lacks a part.

    Raises:
        InputError: names it.
    """
    for part in parts:
        if not (source / part).is_dir():
            raise InputError(f"{source} has no folder {part}: give {what}'s whole folder, as it is published.")


def read_network(cls: Any, folder: Path, **settings: Any) -> Any:
    """A network of diffusers or transformers; nothing but tensors is unpickled.

    Raises:
        InputError: it cannot be read.
        ConversionError: a weight is missing, unknown or misshapen.
    """
    # transformers reads the precision of the files by itself, diffusers does not.
    files = sorted(folder.glob("*.safetensors"))
    dtype = stored_dtype(folder) if files and issubclass(cls, ModelMixin) else None
    settings = {
        "local_files_only": True,
        "output_loading_info": True,
        "torch_dtype": dtype if issubclass(cls, ModelMixin) else "auto",
    } | settings
    try:
        network, found = cls.from_pretrained(folder, **settings)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise InputError(f"{folder} cannot be read ({first_line(error)}): fetch it again.") from error
    for what, keys in (("lacks", found["missing_keys"]), ("holds unknown", found["unexpected_keys"])):
        if keys:
            raise ConversionError(f"{folder} {what} {sorted(keys)[0]}")
    return network


def read_json(path: Path) -> dict[str, Any]:
    """A file of settings.

    Raises:
        InputError: it cannot be read.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({first_line(error)}): fetch it again.") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no settings by name: fetch it again.")
    return found
