"""The whole of ``showme generate``: check, load, make the picture and the video, write the page.

Every check that can refuse the input runs before torch is imported, so that bad input is refused in well under two
seconds. The files appear together at the end (:mod:`.folder`).
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from ..bundle import BundleFiles, BundleInfo, open_bundle
from ..instruction import check_instruction, note_on_length, prompt_for, unknown_words, warnings_for
from ..long_text import truncation_reported
from ..manifest import sha256_of
from ..methods import find_method
from ..pictures.fit import Fit, fit_photo
from ..pictures.photo import Photo, open_photo
from . import folder
from .enrichment import enrich
from .familiarity import is_unfamiliar
from .outputs import make_strip, write_png, write_video
from .page import Page, render_page
from .record import InputRecord, ModelRecord, RunRecord, SettingsRecord, machine_record
from .region import read_region
from .request import GenerateRequest, check_request, tasks_of

# Of a method, whole or plain: torch must not be imported here, and diffusers adds a pipeline's parts only at
# run time.
Pipeline = Any
# Called as progress(stage, step, steps); stages are load, image, video and write.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class GenerateResult:
    """Where the files are (None for a task that was not asked for), what to know, and the record of the run."""

    out: Path
    page: Path
    strip: Path
    result: Path | None
    video: Path | None
    notes: tuple[str, ...]
    record: RunRecord


@dataclass(frozen=True)
class _Prepared:
    """The checked input: everything that the model and the page need."""

    request: GenerateRequest
    tasks: tuple[str, ...]
    instruction: str
    prompt: str
    photo: Photo
    first_frame: Image.Image
    fit: Fit
    files: BundleFiles
    notes: tuple[str, ...]
    region: Image.Image | str | None = None

    @property
    def scalar(self) -> float | None:
        """Frame stride, frames per second or motion strength."""
        return self.files.info.default_scalar if self.request.motion is None else self.request.motion


@dataclass
class _Made:
    """What the model made, and the settings that it really used."""

    image: Image.Image | None = None
    frames: list[Image.Image] | None = None
    region: Image.Image | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str):
        start = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - start, 3)


def generate(request: GenerateRequest, progress: Progress | None = None) -> GenerateResult:
    """Make what was asked for.

    Args:
        request: the photo, the instruction and the settings.
        progress: called at every stage and denoising step.

    Raises:
        InputError: the input is at fault; nothing was written.
    """
    report = progress or (lambda stage, step, steps: None)
    prepared = _prepare(request)
    with folder.staged(request.out) as staging:
        made = _Made()
        report("load", 0, 1)
        with made.timed("load"):
            pipeline = _load(prepared.files, request.device)
        for task in prepared.tasks:
            with made.timed(task):
                _run_task(pipeline, prepared, task, made, report)
        report("write", 0, 1)
        record = _write(staging, prepared, made, pipeline)
    return _result(request.out, prepared, record)


def _prepare(request: GenerateRequest) -> _Prepared:
    """Everything that can be refused, cheapest first."""
    check_request(request)
    instruction = check_instruction(request.instruction)
    folder.check_folder(request.out, request.image)
    photo = open_photo(request.image)
    files = open_bundle(request.model)
    info = files.info
    method = find_method(info.method)
    method.check_backbone(files)
    tasks = tasks_of(request, info.name, method.tasks)
    if request.goal:
        method.check_goal(files)
    if request.motion is not None:
        method.check_motion(files)
    first_frame, fit = fit_photo(photo.image, info.height, info.width, request.fit)
    region = None
    if request.region is not None:
        method.check_region(files)
        region = read_region(request.region, photo.image, (info.height, info.width), request.fit)
    # Last of all that asks others: what can be refused without a chat model is refused without one.
    said = instruction if request.enrich is None else enrich(instruction, first_frame, request.enrich)
    prompt = prompt_for(said, info.vocabulary, info.synonyms)
    length = note_on_length(prompt, files.path, request.long_instructions)
    unknown = unknown_words(said, info.vocabulary, info.synonyms)
    shape = [fit.words] if fit.changed else []
    notes = [*photo.notes, *shape, *warnings_for(unknown, info.instruction_examples)]
    if is_unfamiliar(first_frame, info.familiarity):
        notes.append(_outside(request, info))
    if "video" in tasks and request.frames not in (None, info.num_frames):
        notes.append(f"The model was trained on videos of {info.num_frames} frames, not {request.frames}.")
    if length is not None:
        notes.append(length)
    return _Prepared(request, tasks, instruction, prompt, photo, first_frame, fit, files, tuple(notes), region)


def _outside(request: GenerateRequest, info: BundleInfo) -> str:
    command = shlex.join(["showme", "generate", str(request.image), request.instruction, "--model"])
    return (
        f"The photo is unlike those that the model {info.name} was trained on, so its answer means little: use a large "
        f"model, `{command} dynamicrafter-512` (made by `showme convert dynamicrafter SOURCE dynamicrafter-512`)."
    )


def _load(files: BundleFiles, device: str | None) -> Pipeline:
    import torch

    from ..pipelines import load_pipeline, read_plain

    # Same seed, same bytes, on a GPU too: no autotuned and no unordered kernels.
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    pipeline = read_plain(files, device) or load_pipeline(files, device)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _run_task(pipeline: Pipeline, prepared: _Prepared, task: str, made: _Made, report: Progress) -> None:
    request, info = prepared.request, prepared.files.info
    steps = request.steps or info.default_steps

    def after_step(_pipeline, step: int, _timestep, tensors: dict) -> dict:
        report(task, step + 1, steps)
        return tensors

    report(task, 0, steps)
    more = {} if prepared.region is None else {"region": prepared.region}
    # A note says it, and each task would say it again.
    with truncation_reported():
        output = pipeline(
            prepared.first_frame,
            prepared.prompt,
            task,
            num_frames=request.frames or info.num_frames,
            num_inference_steps=steps,
            guidance_scale=request.guidance,
            scalar=prepared.scalar,
            long_instructions=request.long_instructions,
            seed=request.seed,
            goal=made.image if request.goal and task == "video" else False,
            callback_on_step_end=after_step,
            **more,
        )
    made.image = output.image or made.image
    made.frames = output.frames or made.frames
    made.region = output.region or made.region


def _write(staging: Path, prepared: _Prepared, made: _Made, pipeline: Pipeline) -> RunRecord:
    """All files into ``staging``, ``run.json`` last: it holds the hashes of the others."""
    fps, enlarged = prepared.files.info.fps, None
    with made.timed("write"):
        write_png(prepared.first_frame, staging / folder.PHOTO)
        if made.image is not None:
            write_png(made.image, staging / folder.RESULT)
        if made.frames is not None:
            enlarged = write_video(made.frames, staging / folder.VIDEO, fps)
        if made.region is not None:
            write_png(made.region, staging / folder.REGION)
        write_png(make_strip(prepared.first_frame, made.image, made.frames, fps), staging / folder.STRIP)
        settings = _settings(prepared, pipeline, enlarged)
        page = render_page(_page(prepared, settings, made.region is not None))
        (staging / folder.PAGE).write_text(page, encoding="utf-8")
    record = _record(prepared, settings, made.seconds, staging)
    (staging / folder.RECORD).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return record


def _settings(prepared: _Prepared, pipeline: Pipeline, enlarged: int | None) -> SettingsRecord:
    request, info, config = prepared.request, prepared.files.info, pipeline.config
    return SettingsRecord(
        instruction=prepared.instruction,
        prompt=prepared.prompt,
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
        video_enlarged=enlarged,
    )


def _page(prepared: _Prepared, settings: SettingsRecord, region: bool) -> Page:
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
    if prepared.request.motion is not None:
        table["Motion strength"] = f"{prepared.request.motion:g}"
    if region:
        table["Region"] = "found by the model" if settings.region is None else settings.region
    if settings.goal:
        table["The video's end"] = "the picture of the result"
    if settings.video_enlarged is not None:
        enlarged = f", enlarged {settings.video_enlarged} times for viewing" if settings.video_enlarged > 1 else ""
        table["Video"] = f"{settings.frames} frames at {info.fps:g} per second{enlarged}"
    return Page(
        instruction=prepared.instruction,
        shape=(info.width, info.height),
        photo=folder.PHOTO,
        result=folder.RESULT if "image" in prepared.tasks else None,
        video=folder.VIDEO if "video" in prepared.tasks else None,
        strip=folder.STRIP,
        region=folder.REGION if region else None,
        notes=prepared.notes,
        settings=table,
    )


def _record(prepared: _Prepared, settings: SettingsRecord, seconds: dict[str, float], staging: Path) -> RunRecord:
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
        warnings=prepared.notes,
        machine=machine_record(*_machine(settings.device)),
        outputs={path.name: sha256_of(path) for path in sorted(staging.iterdir())},
        seconds=seconds,
    )


def _machine(device: str) -> tuple[str | None, int]:
    """The accelerator's name, and how many CPU threads torch uses."""
    import torch

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    return name, torch.get_num_threads()


def _result(out: Path, prepared: _Prepared, record: RunRecord) -> GenerateResult:
    return GenerateResult(
        out=out,
        page=out / folder.PAGE,
        strip=out / folder.STRIP,
        result=out / folder.RESULT if "image" in prepared.tasks else None,
        video=out / folder.VIDEO if "video" in prepared.tasks else None,
        notes=prepared.notes,
        record=record,
    )
