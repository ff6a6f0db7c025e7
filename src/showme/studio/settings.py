"""What a studio is started with."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class StudioSettings(BaseModel):
    """Where the studio keeps its things, whom it answers, and how much it takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path = Field(Path("showme-studio"), description="runs, photos and the index of both")
    models: Path = Field(Path(), description="folder whose bundles can be chosen, beside embedded and any hub id")
    runs: Path | None = Field(None, description="folder of trainings and evaluations to look at; None: none are")
    studies: Path | None = Field(None, description="folder of clips to compare in preference studies; None: none are")
    device: str | None = Field(None, description="of the models; None: a GPU when there is one")
    host: str = Field("127.0.0.1", description="address that is listened at")
    port: int = Field(7860, ge=1, le=65535, description="port")
    root_path: str = Field("", pattern=r"^(/[\w.~-]+)*$", description="prefix under which a proxy shows the page")
    password: str | None = Field(None, min_length=8, description="asked of everybody")
    token: str | None = Field(None, min_length=16, description="asked of everybody, as part of a link or a header")
    hub: bool | None = Field(
        None, description="whether visitors may name models of the hub, which are then fetched; None: on 127.0.0.1"
    )
    demo: bool = Field(False, description="read-only: runs can be looked at, none made or deleted")
    max_bytes: int = Field(32 * 2**20, gt=0, description="of an uploaded file")
    max_pixels: int = Field(50_000_000, gt=0, description="of a photo")
    max_waiting: int = Field(8, gt=0, description="jobs of one visitor that wait or run")
    max_queue: int = Field(1_000, gt=0, description="jobs of all")
    max_steps: int = Field(100, gt=0, description="denoising steps that a visitor may ask for")
    max_clips: int = Field(16, gt=0, description="clips of a video that a visitor may ask for")
    warm_models: int = Field(2, gt=0, description="models that stay in memory")
