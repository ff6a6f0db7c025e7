"""Networks of transformers with their processors, from this disk or else from the hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .errors import InputError, first_line
from .hub import DAMAGED, from_disk_or_hub


def load_pretrained(
    name: str | Path,
    network: Any,
    processor: Any,
    what: str,
    files: str,
    families: Sequence[str] = (),
    parts: Sequence[str] = (),
    dtype: torch.dtype | str = torch.float32,
) -> tuple[nn.Module, Any]:
    """A network and its processor.

    What is on this disk already is taken without asking the hub. Weights are safetensors, or read weights only; code
    that comes with a model is not run.

    Args:
        name: folder, or name on the hub, as :func:`showme.hub.split_revision` takes it.
        network: class of transformers whose ``from_pretrained`` makes it.
        processor: the same of what prepares its input.
        what: what it should be, for messages, such as ``CLIP model``.
        files: that its folder must hold, for messages.
        families: kinds, ``model_type``, that its configuration may name; none: any that ``network`` takes.
        parts: what the processor must have, such as ``tokenizer``.
        dtype: of the weights; ``auto``: as they were saved.

    Raises:
        MissingModelError: neither on this disk nor to be had from the hub.
        InputError: another network, a package that is not installed, or files that are damaged or missing.
    """
    if Path(name).is_file() or (Path(name).is_absolute() and not Path(name).exists()):
        raise InputError(f"{name} is no folder of a {what}: give one with {files}, or a name on the hub.")
    wanted = _Wanted(network, processor, what, files, families, parts, dtype)
    if not Path(name).is_dir():
        return from_disk_or_hub(name, what, wanted.load)
    if not (Path(name) / "config.json").is_file():
        raise InputError(f"{name} holds no {what} (it has no config.json): give a folder with {files}.")
    try:
        return wanted.load(str(name), local_files_only=True)
    except OSError as error:
        raise InputError(f"{name} holds no {what} ({first_line(error)}): give a folder with {files}.") from error


@dataclass(frozen=True)
class _Wanted:
    """The arguments of :func:`load_pretrained` beside the name."""

    network: Any
    processor: Any
    what: str
    files: str
    families: Sequence[str]
    parts: Sequence[str]
    dtype: torch.dtype | str

    def load(self, name: str, **place: Any) -> tuple[nn.Module, Any]:
        """As :func:`load_pretrained`.

        Raises:
            OSError: files that are not there.
            InputError: files that are there and cannot be used.
        """
        again = "choose another model, or fetch its files again"
        try:
            network, processor, missing = self._load(name, **place)
        except InputError:
            raise
        except ImportError as error:
            raise InputError(
                f"{name} needs a package that is not installed ({first_line(error)}): install it, or choose another "
                "model."
            ) from error
        except DAMAGED as error:
            raise InputError(f"{name} cannot be loaded as a {self.what} ({first_line(error)}): {again}.") from error
        if missing:
            raise InputError(
                f"{name} lacks {len(missing)} of the weights of a {self.what}, {missing[0]} among them: {again}."
            )
        if hasattr(processor, "tokenizer"):
            words = getattr(network.config.get_text_config(), "vocab_size", 0)
            _check_vocabulary(name, processor.tokenizer, words)
        return network, processor

    def _load(self, name: str, **place: Any) -> tuple[Any, Any, list[str]]:
        """Network, processor, and the names of weights that were not there."""
        # Imported here: transformers' registries take seconds.
        from transformers import AutoConfig

        # Code from the hub is never run, and nobody is asked whether it should be.
        common = place | {"trust_remote_code": False}
        found = AutoConfig.from_pretrained(name, **common).model_type
        if self.families and found not in self.families:
            raise InputError(f"{name} is a {found} network, not a {self.what}: choose one with {self.files}.")
        processor = self.processor.from_pretrained(name, **common)
        for part in self.parts:
            if not getattr(processor, part, None):
                raise InputError(
                    f"{name} is no {self.what} (its processor has no {part}): choose one with {self.files}."
                )
        network, report = self.network.from_pretrained(
            name, weights_only=True, dtype=self.dtype, output_loading_info=True, **common
        )
        return network, processor, sorted(report["missing_keys"])


def _check_vocabulary(name: str, tokenizer: Any, words: int) -> None:
    """Refuse a tokenizer that transformers made up, of hardly a word, because its files are missing."""
    if 2 * len(tokenizer) < words:
        raise InputError(
            f"The tokenizer of {name} knows {len(tokenizer)} words and the network {words}: add the tokenizer's files, "
            "tokenizer.json among them."
        )
