"""Settings that a training run has whatever its method: what is tuned, on which clips, where, and how it is watched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from .config import Settings, TrainingConfig
from .data.sampling import ClipPolicy, is_random
from .data.sources import AnySource
from .long_text import LongInstructions
from .quantization import Precision


class DataConfig(Settings):
    """Which clips, and what becomes of them."""

    source: AnySource = Field(description="folder or list of clips, a YAML of a source, or its fields, with kind first")
    cache: Path = Field(Path("runs/cache"), description="folder of what is computed from the clips once")
    enrichment: Path | None = Field(
        None,
        description="list of `showme data annotate` with labels=[enrichment], labels.jsonl: how each action is done, "
        "read in place of the instructions",
    )
    clips: int | None = Field(None, ge=1, description="the first so many alone; null: all")
    frames: int = Field(16, ge=2, le=1024, description="T, of the sampling")
    sampling: ClipPolicy = Field("evenly_spaced", description="which frames: a policy of showme.data.sampling")
    draws: int = Field(1, ge=1, description="rows per clip, each drawn anew, with a random sampling")
    fit: Literal["crop", "squash"] = Field(
        "crop", description="crop: the middle; squash: all of it, brought to the model's shape"
    )
    long_instructions: LongInstructions | None = Field(
        None,
        description="of more tokens than the text encoder reads; cut: their end is left out; chunk: they are read in "
        "windows; refuse: an error; null: as the model that is tuned",
    )
    frame_stride: Annotated[float, Field(gt=0)] | Literal["clip"] | None = Field(
        None,
        description="a number above 0, given to the network; clip: that of each clip; null: the network's default",
    )

    @model_validator(mode="after")
    def _draws_are_random(self) -> DataConfig:
        if self.draws > 1 and not is_random(self.sampling):
            raise ValueError(
                f"draws is {self.draws}, but {self.sampling} takes the same frames each time: set draws to 1"
            )
        return self


class ValidationConfig(Settings):
    """Fixed scenes that the public pipeline is shown during training."""

    source: AnySource | None = Field(None, description="as data.source; null: the training clips")
    enrichment: Path | None = Field(
        None, description="as data.enrichment, which counts where the clips are those of the training"
    )
    scenes: int = Field(4, ge=0, description="the first so many of it; 0: no validation")
    steps: int | None = Field(None, ge=1, description="denoising steps; null: the model's own")


class MemoryConfig(Settings):
    """What becomes of the weights that are not trained, so that a large model fits; `showme doctor --config` forecasts.
    Trained weights and adapters are fp32 in any case."""

    base: Precision = Field(
        "fp32",
        description="fp32, bf16, fp8, int8 or int4: of the frozen weights; below 16 bits that of the denoiser's linear "
        "layers, with all else in bf16",
    )
    offload: bool = Field(
        False,
        description="the denoiser's frozen blocks wait in main memory and come one ahead of their turn; with "
        "training.gradient_checkpointing",
    )


class RunConfig(Settings):
    """One run; a method adds its own fields."""

    method: str = Field("showme", min_length=1, description="the paper: a name of showme.methods")
    model: str = Field("embedded", min_length=1, description="what is tuned: embedded, a model's folder, or a hub id")
    out: Path = Field(description="folder of the run: log, checkpoints, validation page, and the model at the end")
    bundle: Literal["whole", "thin"] = Field(
        "whole", description="the model at the end; thin: what was trained alone, with the base by name and SHA-256"
    )
    data: DataConfig
    validation: ValidationConfig = ValidationConfig()
    training: TrainingConfig
    memory: MemoryConfig = MemoryConfig()

    @model_validator(mode="after")
    def _narrow_weights_compute_narrowly(self) -> RunConfig:
        if self.memory.base != "fp32" and self.training.precision == "fp32":
            raise ValueError(f"memory.base is {self.memory.base}, which computes in bf16: set training.precision to it")
        return self

    @model_validator(mode="after")
    def _offload_recomputes(self) -> RunConfig:
        if self.memory.offload and not self.training.gradient_checkpointing:
            raise ValueError("memory.offload brings blocks back to recompute them: set training.gradient_checkpointing")
        if self.memory.offload and self.memory.base == "int4":
            raise ValueError("memory.offload moves weights, and int4's cannot be: set memory.base to int8, fp8 or bf16")
        return self

    @model_validator(mode="after")
    def _out_is_named(self) -> RunConfig:
        if self.out == Path():
            raise ValueError("out: name a folder of the run's own")
        return self

    @property
    def training_here(self) -> TrainingConfig:
        """As the trainer is to take it: narrow weights leave it no choice of the precision that it computes in."""
        if self.memory.base == "fp32":
            return self.training
        return self.training.model_copy(update={"precision": "bf16"})

    @property
    def label(self) -> str:
        """What is trained, in a word: folders of studies begin with it."""
        return self.method

    @property
    def title(self) -> str:
        """What the progress bar and the page of validation call the run."""
        return f"{self.label} of {self.out.name}"
