"""``run.json``: everything needed to make the same result again, and what came of it.

Two runs with the same settings on the same machine, with the same number of CPU threads, write the same bytes, except
for the field ``seconds``.
"""

from __future__ import annotations

import importlib.metadata
import platform

from pydantic import BaseModel, ConfigDict, Field

from .. import __version__

_PACKAGES = ("torch", "diffusers", "transformers", "peft", "av", "pillow", "numpy")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputRecord(_Record):
    """The photo: its file, and how it became a picture of the model's size."""

    file: str = Field(description="the path as given")
    sha256: str
    size_bytes: int
    format: str = Field(description="as Pillow names it")
    width: int = Field(description="pixels, upright")
    height: int
    fit: str = Field(description="crop or pad")
    fit_words: str = Field(description="what happened to the borders")
    share_cut_off: float = Field(description="of the photo, 0 to 1")
    share_border: float = Field(description="of the picture, 0 to 1")


class ModelRecord(_Record):
    """The model: its name and the SHA-256 of its manifest, which names every byte of it."""

    name: str
    asked_for: str = Field(description="--model as given")
    hash: str
    height: int
    width: int
    fps: float


class ClipRecord(_Record):
    """One clip of a video of several."""

    instruction: str
    prompt: str = Field(description="what the model read")
    states: tuple[str, ...] | None = Field(None, description="between beginning and end, where the model read such")
    first_frame: int = Field(description="number of its first new frame in the video")
    frames: int = Field(description="new ones")
    drift_db: float | None = Field(
        description="PSNR of its last frame and the photo, where nothing has moved so far; null: everything has"
    )


class SettingsRecord(_Record):
    """Every setting as used, defaults filled in."""

    instruction: str
    prompt: str = Field(description="what the model read: the instruction with known synonyms put in")
    tasks: tuple[str, ...]
    seed: int
    steps: int
    guidance: float
    guidance_rescale: float
    eta: float = Field(description="stochasticity of the sampler, 0 to 1")
    frames: int
    scalar: float | None = Field(description="frame stride, fps or motion strength; null: the network's own")
    region: str | None = Field(None, description="--region as given; null: the model's own, or it takes none")
    enrich: str | None = Field(None, description="captioner whose words the model read in place of the instruction")
    states: tuple[str, ...] | None = Field(None, description="between beginning and end, where the model read such")
    goal: bool = Field(description="whether the video was to end with the picture of the result")
    long_instructions: str = Field(description="what becomes of an instruction longer than the model reads")
    scheduler: str
    device: str
    dtype: str
    weights: str | None = Field(None, description="--weights as given; null: as the model is stored, on a CPU fp32")
    offload: bool = Field(False, description="whether the denoiser's blocks waited in main memory")
    video_enlarged: int | None = Field(description="factor by which action.mp4 is enlarged for viewing")


class MachineRecord(_Record):
    """What it ran on."""

    platform: str
    python: str
    showme: str
    packages: dict[str, str]
    accelerator: str | None
    threads: int = Field(description="of the CPU: sums in another order round differently")


class RunRecord(_Record):
    """The whole run."""

    input: InputRecord
    model: ModelRecord
    settings: SettingsRecord
    clips: tuple[ClipRecord, ...] = Field((), description="of a video of several; empty: it is one")
    warnings: tuple[str, ...] = Field(description="what a user should know, as on the page")
    machine: MachineRecord
    outputs: dict[str, str] = Field(description="file name -> SHA-256")
    seconds: dict[str, float] = Field(description="per stage; the only field that differs between equal runs")


def machine_record(accelerator: str | None, threads: int) -> MachineRecord:
    """Versions and platform of this machine."""
    return MachineRecord(
        platform=platform.platform(),
        python=platform.python_version(),
        showme=__version__,
        packages={name: importlib.metadata.version(name) for name in _PACKAGES},
        accelerator=accelerator,
        threads=threads,
    )
