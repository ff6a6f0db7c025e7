"""AID's three adapters (arXiv 2406.06465): small networks beside a frozen one, which begin as nothing.

Where each stands, its activation and what it mixes are the paper's; widths, kernel and heads are not given there: the
defaults are those of the first author's earlier code (SimDA) where it has such.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from .dot_product import dot_product_attention

KINDS = ("spatial", "short_term", "long_term")


class SpatialBottleneck(nn.Module):
    """W_up GELU(W_down x) beside spatial attention: (n, length, width) -> like it."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.down, self.up = nn.Linear(width, inner), _zero(nn.Linear(inner, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.up(F.gelu(self.down(x)))


class ShortTermBottleneck(nn.Module):
    """W_up of a depth-wise 3-D convolution of W_down x, after the convolutions of a layer.

    Args:
        width, inner: channels outside and inside.
        kernel: over time, height and width, odd.
    """

    def __init__(self, width: int, inner: int, kernel: Sequence[int]):
        super().__init__()
        self.down = nn.Conv2d(width, inner, 1)
        self.mix = nn.Conv3d(inner, inner, tuple(kernel), padding=tuple(k // 2 for k in kernel), groups=inner)  # type: ignore[arg-type]
        self.up = _zero(nn.Conv2d(inner, width, 1))

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """x (B*T, C, h, w) -> like x."""
        inner = self.down(x).unflatten(0, (-1, frames)).transpose(1, 2)
        return self.up(self.mix(inner).transpose(1, 2).flatten(0, 1))


class LongTermBottleneck(nn.Module):
    """W_up of the self-attention of W_down x over all frames at a place: (n, T, width) -> like it."""

    def __init__(self, width: int, inner: int, head_dim: int):
        super().__init__()
        self.heads = max(inner // head_dim, 1)
        self.down = nn.Linear(width, inner)
        self.to_q, self.to_k, self.to_v = (nn.Linear(inner, inner, bias=False) for _ in range(3))
        self.up = _zero(nn.Linear(inner, width))

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.to_q, self.to_k, self.to_v)
        )
        return self.up(dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Bottlenecks(ModelMixin, ConfigMixin):
    """The adapters of one denoiser, by the names of the layers that they stand beside or after.

    They are no part of the denoiser: :meth:`attach` puts hooks on its layers, so that no weight of it is renamed.

    Args:
        sites: kind -> name of the layer -> its width.
        spatial_ratio, short_term_ratio, long_term_ratio: of the inner width to the outer one.
        kernel: of the short-term adapter's convolution.
        head_dim: of the long-term adapter's attention.

    Raises:
        ValueError: an unknown kind, or no site at all.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        sites: dict[str, dict[str, int]] | None = None,
        spatial_ratio: float = 0.25,
        short_term_ratio: float = 0.5,
        long_term_ratio: float = 0.25,
        kernel: Sequence[int] = (3, 1, 1),
        head_dim: int = 64,
    ):
        super().__init__()
        sites = sites or {}
        if not sites or not set(sites) <= set(KINDS):
            raise ValueError(
                f"adapters stand at sites of the kinds {', '.join(KINDS)}, not {', '.join(sites) or 'none'}."
            )
        make: dict[str, Callable[[int], nn.Module]] = {
            "spatial": lambda width: SpatialBottleneck(width, max(round(width * spatial_ratio), 1)),
            "short_term": lambda width: ShortTermBottleneck(width, max(round(width * short_term_ratio), 1), kernel),
            "long_term": lambda width: LongTermBottleneck(
                width, _whole_heads(width * long_term_ratio, head_dim), head_dim
            ),
        }
        for kind, places in sites.items():
            # Module names hold no points.
            modules = {name.replace(".", "_"): make[kind](width) for name, width in places.items()}
            self.add_module(kind, nn.ModuleDict(modules))

    def attach(
        self, denoiser: nn.Module, frames_of: Mapping[str, Callable[[Any, Tensor], int]]
    ) -> list[RemovableHandle]:
        """Let every adapter add to what its layer gives; the handles take it back.

        Args:
            denoiser: whose layers have the sites' names.
            frames_of: name of a layer with a short-term adapter -> (its arguments, named ones last, its result) -> T.
        """
        handles = []
        for kind, places in self.config.sites.items():
            for name in places:
                adapter = getattr(self, kind)[name.replace(".", "_")]
                layer = denoiser.get_submodule(name)
                if kind == "short_term":
                    handles.append(layer.register_forward_hook(_after(adapter, frames_of[name]), with_kwargs=True))
                else:
                    handles.append(layer.register_forward_hook(_beside(adapter)))
        return handles


def _beside(adapter: nn.Module) -> Callable[..., Tensor]:
    """In parallel: what went in is read, and nothing of it passes by the adapter."""

    def hook(layer: nn.Module, arguments: tuple, result: Tensor) -> Tensor:
        return result + adapter(arguments[0])

    return hook


def _after(adapter: nn.Module, frames_of: Callable[[Any, Tensor], int]) -> Callable[..., Tensor]:
    """In series: what comes out is read and passes by."""

    def hook(layer: nn.Module, arguments: tuple, named: dict[str, Any], result: Tensor) -> Tensor:
        return result + adapter(result, frames_of((*arguments, *named.values()), result))

    return hook


def _whole_heads(width: float, head_dim: int) -> int:
    """The next width that whole heads fill."""
    return max(round(width / head_dim), 1) * head_dim


def _zero(layer: nn.Module) -> nn.Module:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
