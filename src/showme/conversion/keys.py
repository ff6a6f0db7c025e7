"""What the families' key layouts have in common, and the one place where renamed weights are checked and loaded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from torch import Tensor, nn

from ..errors import ConversionError

# Inside a transformer both families use the diffusers names of 2022: one block, indexed; feed-forward as a list.
_TRANSFORMER_LEAVES = (
    (re.compile(r"^transformer_blocks\.0\."), ""),
    (re.compile(r"\bto_out\.0\."), "to_out."),
    (re.compile(r"^ff\.net\.0\.proj\."), "ff.proj_in."),
    (re.compile(r"^ff\.net\.2\."), "ff.proj_out."),
)
_TEMPORAL_CONV_LEAF = re.compile(r"^conv(\d)\.(\d)\.(weight|bias)$")


def transformer_leaf(leaf: str) -> str:
    """``transformer_blocks.0.attn1.to_out.0.bias`` -> ``attn1.to_out.bias``."""
    for pattern, replacement in _TRANSFORMER_LEAVES:
        leaf = pattern.sub(replacement, leaf)
    return leaf


def temporal_conv_leaf(leaf: str) -> str:
    """``conv2.0.weight`` -> ``norms.1.weight``; ``conv2.3.weight`` -> ``convs.1.weight``."""
    match = _TEMPORAL_CONV_LEAF.match(leaf)
    if match is None:
        raise ConversionError(f"unknown temporal convolution key {leaf!r}")
    number, position, kind = match.groups()
    return f"{'norms' if position == '0' else 'convs'}.{int(number) - 1}.{kind}"


def rename(keys: Iterable[str], prefixes: Mapping[str, tuple[str, Callable[[str], str]]]) -> dict[str, str]:
    """Original key -> our key, by the longest matching prefix and that prefix's rule for the rest of the key.

    Raises:
        ConversionError: a key without a place, or two keys with the same place.
    """
    by_length = sorted(prefixes, key=len, reverse=True)
    renamed: dict[str, str] = {}
    homeless = []
    for key in keys:
        prefix = next((p for p in by_length if key.startswith(p)), None)
        if prefix is None:
            homeless.append(key)
            continue
        target, leaf_rule = prefixes[prefix]
        renamed[key] = target + leaf_rule(key[len(prefix) :])
    if homeless:
        count = "1 key has" if len(homeless) == 1 else f"{len(homeless)} keys have"
        raise ConversionError(f"{count} no place in the model, the first: {homeless[0]}")
    if len(set(renamed.values())) != len(renamed):
        raise ConversionError("two keys of the checkpoint claim the same weight of the model")
    return renamed


def numbered(keys: Iterable[str], prefix: str) -> int:
    """How many numbered parts there are: 1 + the largest N of the keys that begin with ``prefix`` + ``N.``

    Raises:
        ConversionError: none at all.
    """
    parts = [key[len(prefix) :].split(".", 1)[0] for key in keys if key.startswith(prefix)]
    numbers = [int(part) for part in parts if part.isdecimal()]
    if not numbers:
        raise ConversionError(f"the checkpoint lacks all of {prefix}0, {prefix}1, ...")
    return max(numbers) + 1


def shape_of(weights: Mapping[str, Tensor], key: str) -> tuple[int, ...]:
    """Shape of one weight, from which a size of the network is read.

    Raises:
        ConversionError: the weight is missing.
    """
    if key not in weights:
        raise ConversionError(f"the checkpoint lacks {key}")
    return tuple(weights[key].shape)


def count_heads(width: int, head_width: int) -> int:
    """Number of attention heads of ``head_width`` that fill ``width``.

    Raises:
        ConversionError: they do not fill it.
    """
    if width % head_width:
        raise ConversionError(f"heads of width {head_width} do not fill a layer of width {width}")
    return width // head_width


def load_renamed(model: nn.Module, weights: Mapping[str, Tensor], renamed: Mapping[str, str]) -> None:
    """Fill ``model`` with ``weights`` under their new names, each weight exactly once.

    Temporal kernels lose their trailing 1 (ours are 2-D, see TemporalConvolution) and 1x1 kernels become linear maps;
    nothing else is reshaped.

    Raises:
        ConversionError: a weight missing, left over, or of another shape.
    """
    expected = model.state_dict()
    missing = sorted(set(expected) - set(renamed.values()))
    if missing:
        raise ConversionError(f"the checkpoint lacks {len(missing)} weights of the model, the first: {missing[0]}")
    state = {}
    for source, target in renamed.items():
        if target not in expected:
            raise ConversionError(f"{source} would become {target}, which the model does not have")
        weight = weights[source]
        while weight.ndim > expected[target].ndim and weight.shape[-1] == 1:
            weight = weight.squeeze(-1)
        if weight.shape != expected[target].shape:
            raise ConversionError(
                f"{source} has shape {tuple(weight.shape)}; the model wants {tuple(expected[target].shape)}"
            )
        state[target] = weight
    model.load_state_dict(state, assign=expected[next(iter(expected))].is_meta)
