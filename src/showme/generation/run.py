"""The whole of ``showme generate``: check, load, make the picture and the video, write the page.

Every check that can refuse the input runs before torch is imported, so that bad input is refused in well under two
seconds. The files appear together at the end (:mod:`.folder`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from PIL import Image

from ..arguments import MAX_SEED
from ..bundle import BundleFiles
from ..long_text import truncation_reported
from ..quantization import Base, Precision
from . import folder
from .long_video import LongVideo, make_long_video
from .prepared import Prepared, prepare
from .record import RunRecord
from .report import Made, write_files
from .request import GenerateRequest

# Of a method, whole or plain: torch must not be imported here, and diffusers adds a pipeline's parts only at
# run time.
Pipeline = Any
# Called as progress(stage, step, steps); stages are load, image, video and write.
Progress = Callable[[str, int, int], None]
# Called as load(files, device); gives a pipeline that shows no progress of its own.
Load = Callable[[BundleFiles, str | None], Pipeline]


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


def load_model(files: BundleFiles, device: str | None, base: Base | None = None) -> Pipeline:
    """A bundle's pipeline on a device, in torch alone where that will do.

    Args:
        files: of the bundle.
        device: None: a GPU when there is one.
        base: what becomes of the weights; None: they are as they are stored, on a CPU fp32.

    Raises:
        InputError: weights that this machine cannot run, or a denoiser without blocks that can wait.
    """
    import torch

    from ..backbones.waiting import bring
    from ..pipelines import load_pipeline, read_plain

    # Same seed, same bytes, on a GPU too: no autotuned and no unordered kernels.
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    if base is None:
        pipeline = read_plain(files, device) or load_pipeline(files, device)
    else:
        pipeline = load_pipeline(files, device, base=base)
        for network in pipeline.backbone.networks.values():
            bring(network, pipeline.backbone.device)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generate(
    request: GenerateRequest,
    progress: Progress | None = None,
    load: Load | None = None,
    shown: Callable[[Image.Image], None] | None = None,
) -> GenerateResult:
    """Make what was asked for.

    Args:
        request: the photo, the instruction and the settings.
        progress: called at every stage and denoising step; what it raises ends the run, and nothing is written.
        load: opens the model in place of :func:`load_model`: a server keeps it.
        shown: called with the picture of the result when it is there, long before the video is.

    Raises:
        InputError: the input is at fault; nothing was written.
    """
    report = progress or (lambda stage, step, steps: None)
    prepared = prepare(request)
    with folder.staged(request.out) as staging:
        made = Made()
        report("load", 0, 1)
        with made.timed("load"):
            pipeline = (load or _opener(request))(prepared.files, request.device)
        for task in prepared.tasks:
            with made.timed(task):
                if task == "video" and request.clips > 1:
                    made.long = _run_clips(pipeline, prepared, staging / folder.VIDEO, report)
                else:
                    _run_task(pipeline, prepared, task, made, report)
            if task == "image" and shown is not None and made.image is not None:
                shown(made.image)
        report("write", 0, 1)
        record = write_files(staging, prepared, made, pipeline)
    return _result(request.out, prepared, record)


def _opener(request: GenerateRequest) -> Load:
    """What opens the model, with its weights as they were asked for."""
    if request.weights is None and not request.offload:
        return load_model
    base = Base(cast(Precision, request.weights or "bf16"), request.offload, ("--weights", "--offload"))
    return partial(load_model, base=base)


def _run_task(pipeline: Pipeline, prepared: Prepared, task: str, made: Made, report: Progress) -> None:
    request = prepared.request
    more = {} if prepared.region is None else {"region": prepared.region}
    goal = made.image if request.goal and task == "video" else False
    output = _call(pipeline, prepared, task, 0, prepared.first_frame, report, goal=goal, **more)
    made.image = output.image or made.image
    made.frames = output.frames or made.frames
    made.region = output.region or made.region


def _run_clips(pipeline: Pipeline, prepared: Prepared, path: Path, report: Progress) -> LongVideo:
    """A video of several clips, into its file."""

    def make(number: int, given: list[Image.Image]) -> list[Image.Image]:
        image = given if len(given) > 1 else given[0]
        return _call(pipeline, prepared, "video", number, image, report).frames

    references = pipeline.config.get("references", 1)
    return make_long_video(prepared.first_frame, prepared.instructions, references, make, path, prepared.files.info.fps)


def _call(
    pipeline: Pipeline, prepared: Prepared, task: str, clip: int, image: Any, report: Progress, **more: Any
) -> Any:
    """The pipeline's answer for a task, and of a video of several clips for one of them."""
    request, info, states = prepared.request, prepared.files.info, prepared.states[clip]
    steps = request.steps or info.default_steps
    done, all_steps = clip * steps, steps * (request.clips if task == "video" else 1)

    def after_step(_pipeline, step: int, _timestep, tensors: dict) -> dict:
        report(task, done + step + 1, all_steps)
        return tensors

    report(task, done, all_steps)
    if states is not None:
        more["states"] = list(states) or "none"
    # A note says it, and each task would say it again.
    with truncation_reported():
        return pipeline(
            image,
            prepared.prompts[clip],
            task,
            num_frames=request.frames or info.num_frames,
            num_inference_steps=steps,
            guidance_scale=request.guidance,
            scalar=prepared.scalar,
            long_instructions=request.long_instructions,
            seed=(request.seed + clip) % (MAX_SEED + 1),
            callback_on_step_end=after_step,
            **more,
        )


def _result(out: Path, prepared: Prepared, record: RunRecord) -> GenerateResult:
    return GenerateResult(
        out=out,
        page=out / folder.PAGE,
        strip=out / folder.STRIP,
        result=out / folder.RESULT if "image" in prepared.tasks else None,
        video=out / folder.VIDEO if "video" in prepared.tasks else None,
        notes=prepared.notes,
        record=record,
    )
