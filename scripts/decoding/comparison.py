"""Frames as ShowMe's reader gives them against one decoding of the whole file by the ffmpeg command."""

from __future__ import annotations

import hashlib
import json
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from showme.data.media import Span, Video
from showme.errors import ClipError

from .kinds import FPS

# AVI and raw streams keep no times of display but a rate, and what is copied from them has wrong ones.
_WITHOUT_TIMES = ("avi", "raw")
SPANS, SPAN_SEED = 40, 7


@dataclass
class Outcome:
    """What was compared in a file, and what differs, in words."""

    comparisons: int
    differences: list[str]


@dataclass(frozen=True)
class Truth:
    """By the ffmpeg command, without seeking. digests: of frames' planes. times: seconds on the container's clock."""

    digests: list[str]
    times: np.ndarray


def truth_of(path: Path) -> Truth:
    """Decode a file once with ffmpeg and ffprobe."""
    hashes = _output("ffmpeg", "-v", "error", "-nostdin", "-noautorotate", "-i", str(path), "-map", "0:v:0",
                     "-fps_mode", "passthrough", "-f", "framehash", "-hash", "md5", "-")  # fmt: skip
    digests = [line.split(",")[-1].strip() for line in hashes.splitlines() if not line.startswith("#")]
    probed = json.loads(
        _output("ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "json", "-show_entries",
                "format=start_time:frame=best_effort_timestamp_time", str(path))
    )  # fmt: skip
    if any(word in path.name for word in _WITHOUT_TIMES):
        return Truth(digests, np.arange(len(digests)) / FPS)
    times: list[float] = []
    for frame in probed["frames"]:
        stamp = frame.get("best_effort_timestamp_time")
        times.append(float(stamp) if stamp is not None else times[-1] + 1 / FPS)
    if (np.diff(times) <= 0).any():
        # Program streams need not say it of every frame: then the rate counts.
        return Truth(digests, np.arange(len(digests)) / FPS)
    return Truth(digests, np.array(times) - float(probed["format"].get("start_time", 0)))


def compare(path: Path) -> Outcome:
    """All frames one by one, in random order, and 40 spans in seconds, before colours are converted; then as RGB."""
    truth = truth_of(path)
    outcome = Outcome(0, [])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Video(path).open() as frames:
                if len(frames) != len(truth.digests):
                    outcome.differences.append(f"{len(frames)} frames instead of {len(truth.digests)}")
                    return outcome
                order = np.random.default_rng(SPAN_SEED).permutation(len(frames))
                for index in [*range(len(frames)), *order.tolist()]:
                    _note(outcome, f"frame {index}", list(frames.each([index], digest)), [truth.digests[index]])
                _note(outcome, "all frames", list(frames.each(range(len(frames)), digest)), truth.digests)
                _compare_rgb(outcome, path, np.stack(list(frames.read(range(len(frames))))))
            for span in spans(float(truth.times[-1])):
                _compare_span(outcome, path, span, truth)
        except ClipError as error:
            outcome.differences.append(str(error))
    return outcome


def spans(seconds: float) -> list[Span]:
    """Random ones."""
    generator = np.random.default_rng(SPAN_SEED)
    edges = np.sort(generator.uniform(0, seconds, (SPANS, 2)), axis=1)
    return [Span(float(start), float(max(stop, start + 0.1))) for start, stop in edges if start + 0.1 < seconds]


def digest(frame: av.VideoFrame, *_: object) -> str:
    """Of a decoded frame's planes."""
    found = hashlib.md5()
    size = (frame.format.components[0].bits + 7) // 8
    for plane in frame.planes:
        lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width * size]
        found.update(lines.tobytes())
    return found.hexdigest()


def _compare_span(outcome: Outcome, path: Path, span: Span, truth: Truth) -> None:
    wanted = np.flatnonzero((truth.times >= span.start - 5e-7) & (truth.times < span.stop - 5e-7))
    with Video(path).open(span) as frames:
        got = list(frames.each(range(len(frames)), digest))
    _note(outcome, f"{span.start:.3f} to {span.stop:.3f} s", got, [truth.digests[index] for index in wanted])


def _compare_rgb(outcome: Outcome, path: Path, ours: np.ndarray) -> None:
    """RGB within 1 level of ffmpeg's own exact conversion, of chroma samples that lie where the stream says."""
    place = _output("ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "csv=p=0", "-show_entries",
                    "stream=chroma_location", str(path))  # fmt: skip
    # Of a transport stream it is printed twice.
    left = ":in_h_chr_pos=0:in_v_chr_pos=128" if place.startswith("left") else ""
    exact = f"scale=flags=bilinear+accurate_rnd+full_chroma_int{left},format=gbrp"
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough",
               "-vf", exact, "-f", "rawvideo", "-"]  # fmt: skip
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    count, height, width, _ = ours.shape
    green_first = np.frombuffer(raw, np.uint8).reshape(count, 3, height, width)
    theirs = green_first[:, [2, 0, 1]].transpose(0, 2, 3, 1)
    far = (np.abs(theirs.astype(np.int16) - ours) > 1).any((1, 2, 3))
    outcome.comparisons += count
    if far.any():
        outcome.differences.append(f"RGB: {int(far.sum())} of {count} by more than a level")


def _note(outcome: Outcome, what: str, got: list[str], wanted: list[str]) -> None:
    outcome.comparisons += max(len(wanted), len(got))
    different = sum(a != b for a, b in zip(got, wanted, strict=False)) + abs(len(got) - len(wanted))
    if different:
        outcome.differences.append(f"{what}: {different} of {len(wanted)}")


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
