"""How well a model fits the tabletop world: does it predict the end, does it listen, does the object arrive?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from showme.data.sampling import evenly_spaced
from showme.evaluation.intervals import Interval, bootstrap
from showme.evaluation.metrics.named_object import most_changed
from showme.evaluation.metrics.tabletop_object import is_near
from showme.losses.motion import divergence_over_time, pooled_flow_magnitude
from showme.losses.structure import depth_reward, edge_reward
from showme.methods.showme import ShowMePipeline
from showme.perception import depth_estimator, edge_estimator, flow_estimator
from showme.pictures.psnr import psnr
from showme.worlds.tabletop import Clip, render, wrong_instruction
from showme.worlds.tabletop.locator import locate

TASKS = ("image", "video")
# Errors of edges and depth are small numbers: they are reported in thousandths.
_THOUSAND = 1e3
_FLOW_GRID = (16, 16)
# Equal pictures agree without bound, and a mean must not.
_EQUAL_DB = 100.0
# Levels within which a pixel of the true last frame is as it was in the first.
_STILL_LEVELS = 12


@dataclass(frozen=True)
class SceneScore:
    """One scene's figures; those of a task by the task's name.

    first_frame_psnr: of the first frame against the true last one, dB. codec_psnr: of the true last frame through
    the codec. gain, wrong_gain: PSNR of the generated end minus first_frame_psnr, dB, with the right and with a wrong
    instruction. near: the named object, located in the generated end, lies within 8 pixels of its true place. named: of
    the things on the table, its place changed most. background: PSNR where nothing happens in truth, dB. edge, depth:
    mean squared error of Sobel edges and of normalised disparity of the generated against the true end, in thousandths.
    motion: KL of when each place of the generated video moves, by optical flow; None without a video. agreement: PSNR
    of the video's last frame against the picture of the result, dB, 100 at most; None without both. locator_near: the
    locator's own answer on the true last frame is near; true_named: the same of ``named``. stayed_near: its answer on
    the first frame is near, so that standing still would count.
    """

    seed: int
    action: str
    first_frame_psnr: float
    codec_psnr: float
    gain: dict[str, float]
    wrong_gain: dict[str, float]
    near: dict[str, bool]
    named: dict[str, bool]
    background: dict[str, float]
    edge: dict[str, float]
    depth: dict[str, float]
    motion: float | None
    agreement: float | None
    locator_near: bool
    true_named: bool
    stayed_near: bool


class Judge:
    """Scores scenes, with the offline estimators.

    Args:
        pipeline: the model.
        tasks: which of ``image`` and ``video`` it is asked for, in one call.
        goal: whether the video is to end with the picture of the result.
        num_frames: of the video; None: the model's.

    Raises:
        InputError: OpenCV is missing, which videos need.
    """

    def __init__(
        self,
        pipeline: ShowMePipeline,
        tasks: Sequence[str] = TASKS,
        goal: bool = False,
        num_frames: int | None = None,
    ):
        self.pipeline, self.tasks, self.goal = pipeline, tuple(tasks), goal
        self.num_frames = num_frames or pipeline.config.num_frames
        self.edges, self.depth = edge_estimator("sobel"), depth_estimator("tabletop")
        self.flow = flow_estimator("dis") if "video" in self.tasks else None

    def score(self, clip: Clip, seed: int) -> SceneScore:
        """Generate the end of ``clip`` by every task, with its own and a wrong instruction, and compare."""
        first, last = clip.frames[0], clip.frames[-1]
        ends, frames = self._generate(first, clip.instruction, seed)
        wrong_ends, _ = self._generate(first, wrong_instruction(clip.scene), seed)
        baseline = psnr(first, last)
        figures = {task: figures_of(end, clip) for task, end in ends.items()}
        true, still = (figures_of(end, clip) for end in (last, first))
        return SceneScore(
            seed=clip.scene.seed,
            action=clip.scene.action,
            first_frame_psnr=baseline,
            codec_psnr=psnr(_through_codec(self.pipeline, last), last),
            gain={task: own["gain"] for task, own in figures.items()},
            wrong_gain={task: psnr(end, last) - baseline for task, end in wrong_ends.items()},
            near={task: bool(own["near"]) for task, own in figures.items()},
            named={task: bool(own["named"]) for task, own in figures.items()},
            background={task: min(own["background"], _EQUAL_DB) for task, own in figures.items()},
            edge={task: self._difference(edge_reward, self.edges, end, last) for task, end in ends.items()},
            depth={task: self._difference(depth_reward, self.depth, end, last) for task, end in ends.items()},
            motion=None if frames is None else self._motion(frames, clip.frames),
            agreement=min(psnr(ends["video"], ends["image"]), _EQUAL_DB) if len(ends) == len(TASKS) else None,
            locator_near=bool(true["near"]),
            true_named=bool(true["named"]),
            stayed_near=bool(still["near"]),
        )

    def _generate(
        self, first: np.ndarray, instruction: str, seed: int
    ) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """The ends by task, and the video's frames (T, H, W, 3)."""
        output = self.pipeline(
            Image.fromarray(first), instruction, self.tasks, goal=self.goal, num_frames=self.num_frames, seed=seed
        )
        ends, frames = {}, None
        if output.image is not None:
            ends["image"] = np.asarray(output.image)
        if output.frames is not None:
            frames = np.stack([np.asarray(frame) for frame in output.frames])
            ends["video"] = frames[-1]
        return ends, frames

    @torch.no_grad()
    def _difference(self, error: Callable, estimator: Callable, end: np.ndarray, last: np.ndarray) -> float:
        seen, true = estimator(_pixels(np.stack([end, last]))).split(1)
        return _THOUSAND * float(error(seen, true))

    def _motion(self, frames: np.ndarray, true: np.ndarray) -> float:
        assert self.flow is not None
        true = true[evenly_spaced(len(true), len(frames))]
        ours, theirs = (pooled_flow_magnitude(self.flow(_pixels(clip)[None]), _FLOW_GRID) for clip in (frames, true))
        return float(divergence_over_time(theirs, ours))


def figures_of(end: np.ndarray, clip: Clip) -> dict[str, float]:
    """Of a generated end uint8 (H, W, 3) beside a labelled clip's own: gain, near, named and background, as above."""
    first, last = clip.frames[0], clip.frames[-1]
    still = np.abs(last.astype(int) - first.astype(int)).max(axis=-1) <= _STILL_LEVELS
    assert clip.hand_masks is not None
    return {
        "gain": psnr(end, last) - psnr(first, last),
        "near": is_near(locate(end, clip.scene, first), clip.final_state["visible_centroid"]),
        "named": most_changed(first, end, clip.scene, clip.hand_masks[-1]) == clip.scene.target,
        "background": psnr(end[still], last[still]),
    }


def score_split(
    judge: Judge, split: str, count: int, progress: Callable[[Iterable], Iterator] = iter, seed: int = 0
) -> list[SceneScore]:
    """Score the first ``count`` scenes of a split; scene n is generated with ``seed`` + n."""
    return [judge.score(render(scene, split), seed + scene) for scene in progress(range(count))]


def summarise(scores: list[SceneScore]) -> dict[str, Interval]:
    """Every figure's mean and 95% interval over the scenes."""
    rows: dict[str, list[float]] = {
        "first frame repeated, PSNR (dB)": [s.first_frame_psnr for s in scores],
        "true last frame through the codec, PSNR (dB)": [s.codec_psnr for s in scores],
    }
    for task in scores[0].gain:
        rows[f"{task}: gain over the first frame (dB)"] = [s.gain[task] for s in scores]
        rows[f"{task}: the same with a wrong instruction (dB)"] = [s.wrong_gain[task] for s in scores]
        rows[f"{task}: fall by the wrong instruction (dB)"] = [s.gain[task] - s.wrong_gain[task] for s in scores]
        rows[f"{task}: object within 8 pixels"] = [float(s.near[task]) for s in scores]
        rows[f"{task}: the named object is the one that moved"] = [float(s.named[task]) for s in scores]
        rows[f"{task}: background, PSNR (dB)"] = [s.background[task] for s in scores]
        rows[f"{task}: error of edges (thousandths)"] = [s.edge[task] for s in scores]
        rows[f"{task}: error of depth (thousandths)"] = [s.depth[task] for s in scores]
    for name, values in (
        ("video: KL of motion over time", [s.motion for s in scores]),
        ("agreement of the video's last frame with the picture, PSNR (dB)", [s.agreement for s in scores]),
    ):
        if None not in values:
            rows[name] = [float(value) for value in values if value is not None]
    rows["object within 8 pixels if it had stayed in place"] = [float(s.stayed_near) for s in scores]
    rows["the named object moved in true last frames"] = [float(s.true_named) for s in scores]
    rows["locator on true last frames, within 8 pixels"] = [float(s.locator_near) for s in scores]
    return {name: bootstrap(values) for name, values in rows.items()}


def _pixels(frames: np.ndarray) -> torch.Tensor:
    """uint8 (N, H, W, 3) -> (N, 3, H, W) in [0, 1]."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def _through_codec(pipeline: ShowMePipeline, picture: np.ndarray) -> np.ndarray:
    backbone = pipeline.backbone
    pixels = pipeline.image_processor.preprocess(Image.fromarray(picture)).to(backbone.device, backbone.dtype)
    decoded = backbone.decode(backbone.encode(pixels[None]))[0, 0].clamp(0, 1).permute(1, 2, 0)
    return np.round(decoded.float().cpu().numpy() * 255).astype(np.uint8)
