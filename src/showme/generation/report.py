"""Files and record of a finished run: pictures, film strip, page and ``run.json``."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from ..manifest import sha256_of
from . import folder
from .long_video import LongVideo
from .outputs import make_long_strip, make_strip, write_png, write_video
from .page import Page, Seam, render_page
from .prepared import Prepared
from .record import ClipRecord, InputRecord, ModelRecord, RunRecord, SettingsRecord, machine_record


@dataclass
class Made:
    """What the model made, and the settings that it really used."""

    image: Image.Image | None = None
    frames: list[Image.Image] | None = None
    long: LongVideo | None = None
    region: Image.Image | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str):
        start = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - start, 3)


def write_files(staging: Path, prepared: Prepared, made: Made, pipeline: Any) -> RunRecord:
    """All files into ``staging``, ``run.json`` last: it holds the hashes of the others."""
    fps, enlarged = prepared.files.info.fps, None
    with made.timed("write"):
        write_png(prepared.first_frame, staging / folder.PHOTO)
        if made.image is not None:
            write_png(made.image, staging / folder.RESULT)
        if made.frames is not None:
            enlarged = write_video(made.frames, staging / folder.VIDEO, fps)
        if made.long is not None:
            enlarged = made.long.enlarged
        if made.region is not None:
            write_png(made.region, staging / folder.REGION)
        if made.long is None:
            strip = make_strip(prepared.first_frame, made.image, made.frames, fps)
        else:
            strip = make_long_strip(prepared.first_frame, made.image, made.long.shown, fps)
        write_png(strip, staging / folder.STRIP)
        settings = _settings(prepared, pipeline, enlarged)
        page = render_page(_page(prepared, settings, made))
        (staging / folder.PAGE).write_text(page, encoding="utf-8")
    record = _record(prepared, settings, made, staging)
    (staging / folder.RECORD).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return record


def _settings(prepared: Prepared, pipeline: Any, enlarged: int | None) -> SettingsRecord:
    request, info, config = prepared.request, prepared.files.info, pipeline.config
    return SettingsRecord(
        instruction=prepared.instruction,
        prompt=prepared.prompts[0],
        states=prepared.states[0],
        tasks=prepared.tasks,
        seed=request.seed,
        steps=request.steps or info.default_steps,
        guidance=config.guidance_scale if request.guidance is None else request.guidance,
        guidance_rescale=config.guidance_rescale,
        eta=config.eta,
        frames=request.frames or info.num_frames,
        scalar=prepared.scalar,
        region=request.region,
        enrich=request.enrich,
        goal=request.goal,
        long_instructions=request.long_instructions or config.long_instructions,
        scheduler=type(pipeline.scheduler).__name__,
        device=str(pipeline.device),
        dtype=str(pipeline.dtype).removeprefix("torch."),
        weights=request.weights,
        offload=request.offload,
        video_enlarged=enlarged,
    )


def _page(prepared: Prepared, settings: SettingsRecord, made: Made) -> Page:
    info, photo = prepared.files.info, prepared.photo
    width, height = prepared.fit.source
    table = {
        "Instruction as read": settings.prompt,
        "Model": f"{info.name} ({info.width}x{info.height}), hash {prepared.files.hash[:12]}",
        "Photo": f"{prepared.request.image.name}, {width}x{height}, {photo.format}, fitted by {prepared.fit.mode}",
        "Tasks": ", ".join(settings.tasks),
        "Seed": str(settings.seed),
        "Denoising steps": str(settings.steps),
        "Guidance": f"{settings.guidance:g}",
        "Device": f"{settings.device}, {settings.dtype}",
    }
    if settings.weights is not None or settings.offload:
        waiting = ["blocks wait in main memory"] if settings.offload else []
        table["Weights"] = ", ".join([settings.weights or "bf16", *waiting])
    if prepared.request.motion is not None:
        table["Motion strength"] = f"{prepared.request.motion:g}"
    if made.region is not None:
        table["Region"] = "found by the model" if settings.region is None else settings.region
    if settings.goal:
        table["The video's end"] = "the picture of the result"
    if settings.states is not None:
        table["States"] = " ".join(settings.states) or "none"
    if settings.video_enlarged is not None:
        enlarged = f", enlarged {settings.video_enlarged} times for viewing" if settings.video_enlarged > 1 else ""
        frames = settings.frames if made.long is None else sum(part.frames for part in made.long.parts)
        table["Video"] = f"{frames} frames at {info.fps:g} per second{enlarged}"
    return Page(
        instruction=prepared.instruction,
        shape=(info.width, info.height),
        photo=folder.PHOTO,
        result=folder.RESULT if "image" in prepared.tasks else None,
        video=folder.VIDEO if "video" in prepared.tasks else None,
        strip=folder.STRIP,
        region=folder.REGION if made.region is not None else None,
        seams=_seams(made.long, info.fps),
        notes=prepared.notes,
        settings=table,
    )


def _seams(long: LongVideo | None, fps: float) -> list[Seam]:
    """What the page says of each clip of a video of several."""
    parts = [] if long is None else long.parts
    return [Seam(part.instruction, part.first / fps, part.frames / fps, part.drift) for part in parts]


def _record(prepared: Prepared, settings: SettingsRecord, made: Made, staging: Path) -> RunRecord:
    request, photo, fit, files = prepared.request, prepared.photo, prepared.fit, prepared.files
    width, height = fit.source
    return RunRecord(
        input=InputRecord(
            file=str(request.image),
            sha256=photo.sha256,
            size_bytes=photo.size_bytes,
            format=photo.format,
            width=width,
            height=height,
            fit=fit.mode,
            fit_words=fit.words,
            share_cut_off=round(fit.lost, 6),
            share_border=round(fit.added, 6),
        ),
        model=ModelRecord(
            name=files.info.name,
            asked_for=request.model,
            hash=files.hash,
            height=files.info.height,
            width=files.info.width,
            fps=files.info.fps,
        ),
        settings=settings,
        clips=_clips(prepared, made.long),
        warnings=prepared.notes,
        machine=machine_record(*_machine(settings.device)),
        outputs={path.name: sha256_of(path) for path in sorted(staging.iterdir())},
        seconds=made.seconds,
    )


def _clips(prepared: Prepared, long: LongVideo | None) -> tuple[ClipRecord, ...]:
    if long is None:
        return ()
    return tuple(
        ClipRecord(
            instruction=part.instruction,
            prompt=prompt,
            states=states,
            first_frame=part.first,
            frames=part.frames,
            drift_db=part.drift,
        )
        for part, prompt, states in zip(long.parts, prepared.prompts, prepared.states, strict=True)
    )


def _machine(device: str) -> tuple[str | None, int]:
    """The accelerator's name, and how many CPU threads torch uses."""
    import torch

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    return name, torch.get_num_threads()
