"""What a method is: the contract that training, bundles, generation and evaluation ask, and all that they know of it.

A method is a :class:`Method`: names and settings, known without torch. Its pipeline makes what a user asked for; a
:class:`Stage` is one run of its training, made once of settings and pipeline.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.utils.data import Dataset

    from ..bundle import BundleFiles, BundleInfo
    from ..data.cache import Part
    from ..data.clips import Look
    from ..data.rows import ClipRows
    from ..run_config import RunConfig
    from .cached import CachedClips

# A diffusers.DiffusionPipeline, or what answers like one. Called as ``pipeline(image, instruction, task, num_frames=,
# num_inference_steps=, guidance_scale=, scalar=, long_instructions=, seed=, goal=, callback_on_step_end=)`` it gives
# ``.image`` and ``.frames``; its ``config`` has guidance_scale, guidance_rescale, num_inference_steps, eta, height,
# width, long_instructions, and its ``backbone`` is the :class:`showme.backbones.base.Backbone` of its components.
Pipeline = Any


class Method(ABC):
    """One paper."""

    #: Of recipes and bundles.
    name: ClassVar[str]
    #: What its models make, in the order of their making: of ``image`` and ``video``.
    tasks: ClassVar[tuple[str, ...]]
    #: What its pipeline does beside the tasks with adapters of its own, such as finding a region.
    parts: ClassVar[tuple[str, ...]] = ()
    #: Names of the backbones that it can be run on; None: any.
    backbones: ClassVar[tuple[str, ...] | None] = None

    #: Whether its pipeline takes ``region=``, a picture of where the action happens, and gives ``.region``.
    regions: ClassVar[bool] = False

    def check_backbone(self, files: BundleFiles) -> None:
        """Refuse a model whose network cannot carry the method.

        Raises:
            InputError: it cannot; names the backbones that can.
        """
        if self.backbones is not None and files.info.backbone not in self.backbones:
            *most, last = self.backbones
            others = ", ".join(most)
            raise InputError(
                f"The method {self.name} cannot be run on {files.info.name}, whose backbone is {files.info.backbone}: "
                f"choose a model on {' or '.join(filter(None, (others, last)))}."
            )

    @abstractmethod
    def settings(self) -> type[RunConfig]:
        """The class of a run's settings; importing it needs no torch."""

    @abstractmethod
    def pipeline(self) -> Any:
        """The class of its pipelines, a ``diffusers.DiffusionPipeline``."""

    @abstractmethod
    def stage(self, config: Any, pipeline: Pipeline) -> Stage:
        """One run of training; nothing is changed in the pipeline yet.

        Raises:
            InputError: a backbone that cannot carry the method.
        """

    def active_adapters(self, task: str) -> Sequence[str]:
        """Names of the denoiser's adapters that a task or a part runs with, those that are there."""
        return ()

    def read_plain(
        self, files: BundleFiles, device: str | torch.device | None, dtype: torch.dtype | None
    ) -> Pipeline | None:
        """A pipeline that needs torch alone; None where there is none, as for most."""
        return None

    def check_region(self, files: BundleFiles) -> None:
        """Refuse a region for a model that takes none.

        Raises:
            InputError: it takes none.
        """
        if not self.regions:
            raise InputError(f"The model {files.info.name} takes no region: leave --region out, or choose one of IVG.")

    def check_motion(self, files: BundleFiles) -> None:
        """Refuse a motion strength for a model that was not trained with one.

        Raises:
            InputError: it was not.
        """
        raise InputError(f"The model {files.info.name} was not trained with motion strengths: leave --motion out.")

    def check_states(self, files: BundleFiles) -> None:
        """Refuse states between beginning and end for a model that reads none.

        Raises:
            InputError: it reads none.
        """
        raise InputError(f"The model {files.info.name} reads no states: leave --states out, or choose one of AID.")

    def check_goal(self, files: BundleFiles) -> None:
        """Refuse a video that is to end with a given picture, where a model was not trained to reach one.

        Raises:
            InputError: it was not.
        """
        raise InputError(f"The model {files.info.name} was not trained to reach a goal: leave --goal out.")


class Stage(ABC):
    """One run of a method's training: its settings and the pipeline whose networks are trained.

    The order of calls: ``parts``, then ``prepare``, then ``objective`` and ``samples``; after the last step ``finish``
    on a pipeline that was read anew.
    """

    #: What validation asks the pipeline for: ``image``, ``video`` or ``region``.
    task: str

    def __init__(self, config: Any, pipeline: Pipeline):
        self.config, self.pipeline = config, pipeline

    @property
    def caches_predictions(self) -> bool:
        """Whether ``parts`` ask the denoiser, which else stays in main memory until training begins."""
        return False

    @abstractmethod
    def parts(self, rows: ClipRows) -> list[Part]:
        """What of each clip is computed once: by the frozen networks and estimators."""

    def blank(self, look: Look, latents: torch.Tensor) -> dict[str, torch.Tensor]:
        """What ``parts`` keep of one clip beside what every method reads of it, in zeros: of such clips it is said
        before training how much memory that takes.

        Args:
            look: how clips are looked at.
            latents: of such a clip (T', C, h, w), as they are kept.
        """
        return {}

    @abstractmethod
    def prepare(self) -> None:
        """Add what is trained to the pipeline's networks, and let nothing else take gradients.

        Raises:
            InputError: the model has what the settings do not expect.
        """

    @abstractmethod
    def samples(self, clips: CachedClips) -> Dataset:
        """Position -> a dict of tensors; ``describe(positions) -> str`` names them in messages."""

    @abstractmethod
    def objective(self) -> nn.Module:
        """``forward(batch) -> {term: scalar}`` on the pipeline's networks, in training mode.

        Its ``trained`` maps names of the backbone's networks to those of them that checkpoints keep, its
        ``shard_units`` lists the modules that FSDP2 gathers one at a time.
        """

    @property
    def rewritten(self) -> tuple[str, ...]:
        """Components without weights that are another than the model's own, and are written with a thin model too."""
        return ()

    def finish(self, info: BundleInfo) -> BundleInfo:
        """What the trained pipeline's settings and its bundle say, where that is another than before."""
        return info
