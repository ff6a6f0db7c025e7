"""What the files of networks for videos and sentences have in common: a network from its weights, and a tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from accelerate import init_empty_weights
from torch import Tensor, nn

from ...conversion.keys import numbered
from ...errors import ConversionError, InputError, first_line
from ...hub import from_disk_or_hub

# Both networks' tokenizers have it on the hub.
_FILE = "tokenizer.json"

Network = TypeVar("Network", bound=nn.Module)


def network_from(
    make: Callable[[Mapping[str, Tensor]], Network], weights: Mapping[str, Tensor], path: Path, what: str
) -> Network:
    """A network that takes every one of the weights and needs no other, in fp32, frozen.

    It is made without memory of its own: what a file claims to hold costs nothing until it is there.

    Args:
        make: the network for weights whose sizes it reads.
        weights: name -> tensor, of a file that :func:`check_sizes` passed.
        path: of the file, for messages.
        what: the network's name, for messages.

    Raises:
        InputError: weights missing, left over or of other shapes.
    """
    try:
        with init_empty_weights():
            network = make(weights)
        network.load_state_dict(weights, assign=True)
    except (LookupError, RuntimeError, TypeError, ValueError, ZeroDivisionError) as error:
        reason = str(error).strip().splitlines()[-1].strip().rstrip(".")[:300]
        raise InputError(f"{path} does not hold {what}'s weights ({reason}): give the file of {what}.") from error
    return network.float().requires_grad_(False).eval()


def check_sizes(weights: Mapping[str, Tensor], path: Path, what: str) -> None:
    """Refuse weights that say they are larger than their file: views that repeat a few bytes without end.

    Raises:
        InputError: they do.
    """
    if sum(weight.numel() * weight.element_size() for weight in weights.values()) > path.stat().st_size:
        raise InputError(f"{path} claims larger weights than it holds: fetch {what}'s file anew.")


def count_blocks(weights: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered blocks there are.

    Raises:
        ConversionError: none, or a number that so few weights cannot reach.
    """
    blocks = numbered(weights, prefix)
    if blocks > len(weights):
        raise ConversionError(f"there is a block {prefix}{blocks - 1} among {len(weights)} weights")
    return blocks


def load_tokenizer(name: str | Path, loader: Any, words: int, wanted: str) -> Any:
    """A tokenizer of transformers; what is on this disk already is taken without asking the hub.

    Args:
        name: folder, or name on the hub, as :func:`showme.hub.split_revision` takes it.
        loader: class whose ``from_pretrained`` makes it.
        words: how many the network knows.
        wanted: the tokenizer that belongs to it, for messages.

    Raises:
        InputError: nothing there, the hub cannot be reached, damaged files, or another network's tokenizer.
    """
    source = _place_of(name, loader, wanted)
    try:
        tokenizer = loader.from_pretrained(**source)
    # The library of tokenizers has no class of its own for what it raises at damaged files.
    except Exception as error:
        raise InputError(f"The tokenizer {name} cannot be loaded ({first_line(error)}): give {wanted}.") from error
    if len(tokenizer) != words:
        raise InputError(f"The tokenizer {name} knows {len(tokenizer)} words, and the network {words}: give {wanted}.")
    return tokenizer


def _place_of(name: str | Path, loader: Any, wanted: str) -> dict[str, Any]:
    """Where the files are. It is asked first: without any, transformers makes up a tokenizer of no words.

    Raises:
        InputError: nowhere.
    """
    if Path(name).is_dir():
        files = {loader.vocab_files_names[kind] for kind in ("tokenizer_file", "vocab_file")}
        if not any((Path(name) / file).is_file() for file in files):
            raise InputError(f"{name} holds no tokenizer ({' or '.join(sorted(files))}): give the folder of {wanted}.")
        return {"pretrained_model_name_or_path": str(name), "local_files_only": True}
    return from_disk_or_hub(name, "tokenizer", _fetched)


def _fetched(name: str, **place: Any) -> dict[str, Any]:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HFValidationError

    try:
        hf_hub_download(name, _FILE, **place)
    except HFValidationError as error:
        raise OSError from error
    return {"pretrained_model_name_or_path": name, **place}
