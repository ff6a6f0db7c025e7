"""What a method may ask of a video model, whatever its make: the contract of :mod:`showme.backbones`.

Shapes: B clips, T frames, T' latent slots, C latent channels, (h, w) latent places, L text tokens, N image tokens, D
widths. Pixels that go in are in [-1, 1]; pictures that come out are about [0, 1].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..long_text import LongInstructions
from .paths import NoisePath


@dataclass(frozen=True)
class Facts:
    """How a backbone's latents lie over a clip.

    Attributes:
        space: pixels per latent place, along each side.
        time: frames per slot after the first; 1: a slot for every frame.
    """

    space: int
    time: int = 1

    def slots(self, frames: int) -> int:
        """T' of T frames.

        Raises:
            InputError: the codec would leave frames out in silence; names the nearest numbers that fit.
        """
        if (frames - 1) % self.time:
            below = (frames - 1) // self.time * self.time + 1
            raise InputError(
                f"{frames} frames do not fit this model, which keeps {self.time} frames in a latent: choose {below} or "
                f"{below + self.time} frames."
            )
        return (frames - 1) // self.time + 1

    def frames(self, slots: int) -> int:
        """T of T' slots."""
        return (slots - 1) * self.time + 1

    def slot(self, frame: int) -> int:
        """The slot that holds a frame."""
        return -(-frame // self.time)


@dataclass(frozen=True)
class Known:
    """What is known of a clip.

    Attributes:
        latents: (B, C, T', h, w); in the other slots what the family puts there: zeros, say, or the latent of grey.
        where: (B, 1, T', 1, 1), 1 at known slots and 0 elsewhere.
    """

    latents: Tensor
    where: Tensor


@dataclass(frozen=True)
class Conditions:
    """Everything that a prediction depends on beside the noisy latents and their level.

    Attributes:
        text: (B, L, D), or (B, T', L, D) where every slot has its own.
        image: projected tokens of the image encoder (B, N, D), as :meth:`Backbone.project` makes them.
        known: of the clip.
        scalar: (B,); None: the network's default.
        region: (B, 1, 1, h, w) in {0, 1}, where the action happens; None: unknown.
    """

    text: Tensor
    image: Tensor | None
    known: Known
    scalar: Tensor | None = None
    region: Tensor | None = None

    def repeated(self, count: int) -> Conditions:
        """The same with known latents of one clip for ``count`` of them, as the branches of guidance need."""
        latents, where = (each.expand(count, -1, -1, -1, -1) for each in (self.known.latents, self.known.where))
        return replace(self, known=Known(latents, where))

    def rows(self, chosen: slice) -> Conditions:
        """Those of some of the clips or branches."""
        known = Known(self.known.latents[chosen], self.known.where[chosen])
        image, scalar, region = (
            None if each is None else each[chosen] for each in (self.image, self.scalar, self.region)
        )
        return Conditions(self.text[chosen], image, known, scalar, region)


@dataclass(frozen=True)
class Still:
    """How a transformer whose attention knows no temporal half makes a single picture.

    Attributes:
        slots: 2: the given picture and the wanted one; 1: the wanted one alone, the given one in its condition.
        position: where the wanted one lies in time, the given one at 0; RoPE's index.
        folded: names of adapters that act on attention which is folded slot by slot.
    """

    slots: int = 2
    position: int = 1
    folded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Site:
    """A layer of the denoiser where a small network may stand.

    Attributes:
        width: channels of what the layer takes, and gives.
        frames: (the layer's arguments, named ones last; its result) -> T, where frames lie in the batch; None where
            they lie in a dimension of their own.
    """

    width: int
    frames: Callable[[Any, Tensor], int] | None = None


class Backbone(ABC):
    """A video diffusion model as methods see it; it holds no weights of its own.

    Args:
        parts: what holds the networks by the names of a pipeline's components: the pipeline itself. Components that
            are exchanged on it are exchanged here.
    """

    #: Name of the component that removes the noise.
    denoiser: ClassVar[str]
    #: Components whose weights a method may train, the denoiser first.
    trainable: ClassVar[tuple[str, ...]]

    def __init__(self, parts: Any):
        self.parts = parts

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Trainable components by name, those that the model has, and what a method has added to them."""
        names = (*self.trainable, *getattr(self.parts, "added_networks", ()))
        found = {name: getattr(self.parts, name, None) for name in names}
        return {name: network for name, network in found.items() if network is not None}

    @property
    def experts(self) -> list[Any]:
        """The networks that remove the noise, the denoiser first; where there are two, each does so on one side of the
        boundary."""
        return [self.networks[self.denoiser]]

    @property
    def boundary(self) -> float | None:
        """The level below which the second expert works, and the first from there on; None: there is one."""
        return None

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """Of the components as they are."""

    @property
    @abstractmethod
    def path(self) -> NoisePath:
        """From latents to noise."""

    @property
    def widths(self) -> tuple[int, int | None, int]:
        """D of the text encoder's tokens, of the image encoder's (None: the model has none), and of the context that
        the denoiser's cross-attention reads."""
        raise InputError(f"{type(self).__name__} reads no text: choose a model of another family.")

    @property
    def text_length(self) -> int:
        """L, tokens of a sentence."""
        raise InputError(f"{type(self).__name__} reads no text: choose a model of another family.")

    @property
    def scales_input(self) -> bool:
        """Whether :meth:`predict` scales noisy latents itself, so that a scheduler's own scaling must not be seen."""
        return False

    @property
    def knows_frames(self) -> bool:
        """Whether known frames have to be given as pictures, to :meth:`known_frames`, because they are encoded with
        what lies between them; else :meth:`known` takes their latents."""
        return False

    @property
    def holds_known(self) -> bool:
        """Whether known latents take the place of noisy ones, so that nothing is predicted of them."""
        return False

    @property
    def blocks_wait(self) -> bool:
        """Whether the denoiser's blocks can wait in main memory for their turn."""
        return False

    @property
    def stills_beside(self) -> bool:
        """Whether a still is made beside the given picture, in slots of their own, so that the choices of a
        :class:`Still` say something."""
        return False

    def check_still(self, choices: Still) -> None:
        """Refuse choices of single pictures that the family does not have.

        Raises:
            InputError: names the field.
        """
        if not self.stills_beside:
            raise InputError(
                f"{type(self).__name__} makes a picture with its temporal half off: leave still and adapter.attention "
                "out, which are of Wan."
            )

    @property
    def units(self) -> list[nn.Module]:
        """Modules that are gathered one at a time when the network is sharded; none: the whole."""
        return []

    @property
    def device(self) -> torch.device:
        """Where the codec and the encoders run. The denoiser may wait in main memory while they fill a cache."""
        return next(self.encoders["latents"].parameters()).device

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Of the pixels that codec and encoders take."""

    @property
    @abstractmethod
    def encoders(self) -> Mapping[str, nn.Module]:
        """The frozen networks whose weights decide what is cached as ``latents``, ``text`` and ``image``; the last is
        absent where there is no image encoder."""

    def release_encoders(self) -> None:
        """Let go of the encoders of text and images: where all that they say is cached, they only fill memory. The
        codec stays, which rewards decode with."""
        released = [encoder for name, encoder in self.encoders.items() if name != "latents"]
        for name, component in self.parts.components.items():
            if any(component is each for each in released):
                self.parts.register_modules(**{name: None})

    @property
    @abstractmethod
    def vocabulary(self) -> Any:
        """What decides, beside the encoder's weights, how sentences are read: JSON."""

    @abstractmethod
    def encode(self, pixels: Tensor) -> Tensor:
        """Clips (B, T, 3, H, W) -> normalised latents (B, C, T', h, w), the mode of the codec's posterior.

        Raises:
            InputError: a T that the codec does not take.
        """

    @abstractmethod
    def decode(self, latents: Tensor, together: int | None = None) -> Tensor:
        """Latents (B, C, T', h, w) -> pictures (B, T, 3, H, W), with gradient. Nothing is cut off at 0 and 1: there the
        gradient would end.

        Args:
            latents: normalised; T' = 1 is a still.
            together: how many slots at a time, for less memory; None: all.
        """

    @abstractmethod
    def known(self, latents: Tensor, slots: Sequence[int], count: int) -> Known:
        """Latents of single pictures (B, C, K, h, w), encoded alone, at ``slots`` of ``count``; -1 is the last."""

    def known_frames(self, pixels: Tensor, frames: Sequence[int], count: int) -> Known:
        """Frames (B, K, 3, H, W) that are known of clips of ``count``; -1 is the last.

        Raises:
            InputError: a count that the codec does not take.
        """
        latents = torch.cat([self.encode(pixels[:, k : k + 1]) for k in range(len(frames))], dim=2)
        slots = [self.facts.slot(frame % count) for frame in frames]
        return self.known(latents, slots, self.facts.slots(count))

    def end(self, pixels: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) -> the slots (B, C, 1, h, w) of clips that end with them: where a slot holds several
        frames, all of these are the picture."""
        time = self.facts.time
        held = pixels[:, None].expand(-1, time + 1 if time > 1 else 1, -1, -1, -1)
        return self.encode(held)[:, :, -1:]

    @abstractmethod
    def encode_text(self, sentences: Sequence[str], *, device: torch.device | None = None, **choices: Any) -> Tensor:
        """Sentences -> (n, L, D)."""

    def text_choices(self, sentences: Sequence[str]) -> dict[str, Any]:
        """Choices of :meth:`encode_text` that give all of these sentences equally many tokens."""
        return {}

    def check_lengths(  # noqa: B027 (a backbone that reads all of a sentence has nothing to check)
        self,
        sentences: Sequence[str],
        places: Sequence[str] | None = None,
        long_instructions: LongInstructions | None = None,
    ) -> None:
        """Warn, once, of sentences that are longer than the text encoder reads; or refuse them.

        Args:
            sentences: any number.
            places: where each stands, such as ``clip '7'``, for the message.
            long_instructions: ``cut``, ``chunk`` or ``refuse``; None: as the model's settings say.

        Raises:
            InputError: one is too long, with ``refuse``.
        """

    def encode_image(self, pixels: Tensor) -> Tensor | None:
        """Pictures (n, 3, H, W) -> tokens of the frozen image encoder (n, N, D); None: the model has none."""
        return None

    def encode_none_and_image(self, pixels: Tensor) -> Tensor | None:
        """Pictures (n, 3, H, W) -> (2 n, N, D): what stands for no picture, n times, then their tokens. By default a
        grey picture stands for none."""
        return self.encode_image(torch.cat([torch.zeros_like(pixels), pixels]))

    def project(self, image: Tensor | None) -> Tensor | None:
        """Tokens of the image encoder as the network takes them, through a trainable projector where there is one: once
        per sample, whatever the number of steps."""
        return image

    @abstractmethod
    def predict(self, noisy: Tensor, level: Tensor, conditions: Conditions, still: bool = False) -> Tensor:
        """What :meth:`NoisePath.target` should be, by one forward pass.

        Args:
            noisy: (B, C, T', h, w).
            level: (B,) or (), of the path.
            conditions: with projected image tokens.
            still: a single picture is wanted: T' = 1, and a temporal half, where there is one, is off.

        Returns:
            Like ``noisy``.
        """

    def hold(self, latents: Tensor, known: Known) -> Tensor:
        """Latents after a step of the sampler, with known slots back in place where the family keeps them there."""
        return latents

    def targets(self, half: str, feed_forward: bool = True) -> list[str]:
        """Names of the denoiser's layers that LoRA adapts.

        Args:
            half: ``spatial``, ``temporal`` or ``all``. Where one attention does both, each names it.
            feed_forward: whether feed-forward layers are among them.
        """
        raise InputError(f"{type(self).__name__} names no layers for LoRA: choose another backbone or full tuning.")

    @property
    def takes_region(self) -> bool:
        """Whether the denoiser has a place for :attr:`Conditions.region`."""
        return False

    def add_region(self, adapter: str) -> None:
        """Give the denoiser a place for :attr:`Conditions.region`, which changes nothing yet and is kept with an
        adapter; a denoiser whose base has one is left as it is.

        Raises:
            InputError: the family has no such place.
        """
        raise InputError(f"{type(self).__name__} has no place for a region: choose a model of another family.")

    def sites(self, kind: str) -> dict[str, Site]:
        """Names of the denoiser's layers where an adapter may stand that is none of LoRA's.

        Args:
            kind: ``spatial``: self-attention over places; ``long_term``: over frames; ``short_term``: what ends the
                convolutions of a layer.
        """
        raise InputError(f"{type(self).__name__} names no places for adapters: choose a model of another family.")

    def cross_attention_targets(self) -> list[str]:
        """Names of the denoiser's layers that read text: queries, keys, values and what follows."""
        raise InputError(f"{type(self).__name__} names no cross-attention: choose a model of another family.")

    def projector_targets(self) -> dict[str, int]:
        """Names of the image projector's layers that LoRA adapts, with the multiple of the rank that each gets; none
        where there is no projector."""
        return {}

    def adapted(self, names: Sequence[str]) -> AbstractContextManager[None]:
        """While open, the denoiser runs with those of the named adapters that it has, and no others."""
        raise InputError(f"{type(self).__name__} takes no adapters: choose another backbone.")
