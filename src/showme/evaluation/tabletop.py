"""How well a model foretells the tabletop world: does it predict the end, does it listen, does the object arrive?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from ..methods.showme import ShowMePipeline
from ..worlds.tabletop import Clip, render, wrong_instruction
from ..worlds.tabletop.locator import locate
from .intervals import Interval, bootstrap
from .metrics.psnr import psnr

NEAR_PIXELS = 8.0
TASKS = ("image", "video")


@dataclass(frozen=True)
class SceneScore:
    """One scene's figures.

    first_frame_psnr: of the first frame against the true last one, dB. codec_psnr: of the true last frame through
    the codec. gain, wrong_gain: PSNR of the generated end minus first_frame_psnr, dB, with the right and with a wrong
    instruction. near: the named object, located in the generated end, lies within 8 pixels of its true place.
    locator_near: the locator's own answer on the true last frame does. stayed_near: its answer on the first frame does,
    so that standing still would count.
    """

    seed: int
    action: str
    first_frame_psnr: float
    codec_psnr: float
    gain: dict[str, float]
    wrong_gain: dict[str, float]
    near: dict[str, bool]
    locator_near: bool
    stayed_near: bool


def score_scene(pipeline: ShowMePipeline, clip: Clip, seed: int) -> SceneScore:
    """Generate the end of ``clip`` by both tasks, with its own and a wrong instruction, and compare."""
    first, last = clip.frames[0], clip.frames[-1]
    ends = _ends(pipeline, first, clip.instruction, seed)
    wrong_ends = _ends(pipeline, first, wrong_instruction(clip.scene), seed)
    baseline = psnr(first, last)
    truth = clip.final_state["visible_centroid"]
    return SceneScore(
        seed=clip.scene.seed,
        action=clip.scene.action,
        first_frame_psnr=baseline,
        codec_psnr=psnr(_through_codec(pipeline, last), last),
        gain={task: psnr(end, last) - baseline for task, end in ends.items()},
        wrong_gain={task: psnr(end, last) - baseline for task, end in wrong_ends.items()},
        near={task: _near(locate(end, clip.scene, first), truth) for task, end in ends.items()},
        locator_near=_near(locate(last, clip.scene, first), truth),
        stayed_near=_near(locate(first, clip.scene, first), truth),
    )


def score_split(
    pipeline: ShowMePipeline, split: str, count: int, progress: Callable[[Iterable], Iterator] = iter
) -> list[SceneScore]:
    """Score the first ``count`` scenes of a split."""
    return [score_scene(pipeline, render(seed, split), seed) for seed in progress(range(count))]


def summarise(scores: list[SceneScore]) -> dict[str, Interval]:
    """Every figure's mean and 95% interval over the scenes."""
    rows: dict[str, list[float]] = {
        "first frame repeated, PSNR (dB)": [s.first_frame_psnr for s in scores],
        "true last frame through the codec, PSNR (dB)": [s.codec_psnr for s in scores],
    }
    for task in TASKS:
        rows[f"{task}: gain over the first frame (dB)"] = [s.gain[task] for s in scores]
        rows[f"{task}: the same with a wrong instruction (dB)"] = [s.wrong_gain[task] for s in scores]
        rows[f"{task}: fall by the wrong instruction (dB)"] = [s.gain[task] - s.wrong_gain[task] for s in scores]
        rows[f"{task}: object within 8 pixels"] = [float(s.near[task]) for s in scores]
    rows["object within 8 pixels if it had stayed in place"] = [float(s.stayed_near) for s in scores]
    rows["locator on true last frames, within 8 pixels"] = [float(s.locator_near) for s in scores]
    return {name: bootstrap(values) for name, values in rows.items()}


def _ends(pipeline: ShowMePipeline, first: np.ndarray, instruction: str, seed: int) -> dict[str, np.ndarray]:
    output = pipeline(Image.fromarray(first), instruction, task="both", seed=seed)
    return {"image": np.asarray(output.image), "video": np.asarray(output.frames[-1])}


@torch.no_grad()
def _through_codec(pipeline: ShowMePipeline, picture: np.ndarray) -> np.ndarray:
    pixels = pipeline.image_processor.preprocess(Image.fromarray(picture)).to(pipeline.vae.device, pipeline.vae.dtype)
    decoded = pipeline.decode_latents(pipeline.encode_latents(pixels))[0].permute(1, 2, 0)
    return np.round(decoded.float().cpu().numpy() * 255).astype(np.uint8)


def _near(found: tuple[float, float] | None, truth: list[float] | None) -> bool:
    return found is not None and truth is not None and float(np.hypot(*np.subtract(found, truth))) <= NEAR_PIXELS
