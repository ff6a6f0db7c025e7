"""Sixteen evenly spaced frames of long videos: ShowMe's reader, decoding everything, OpenCV, decord, torchcodec.

    python benchmarks/decoding.py --clips 100

Videos of 60 s, 1920x1080, H.264, a keyframe every two seconds, are generated once into ``--folder``; ``--distinct`` of
them are encoded, the others are links to these. The ways take turns, ten clips at a time, each in a process of its own:
what else the machine does meets all of them. Printed are the seconds per clip, the ratio to ours and the peak memory.
Ways whose package is not installed are named and left out; the habit of turning every frame into an array, which takes
11 GB, is measured on two clips alone.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import av
import numpy as np
import typer

FRAMES = 16
SECONDS, FPS, WIDTH, HEIGHT, KEYFRAME_SECONDS = 60, 30, 1920, 1080, 2


_TURN = 10


def main(
    clips: Annotated[int, typer.Option(help="videos")] = 100,
    distinct: Annotated[int, typer.Option(help="of them, encoded; the others are links")] = 8,
    folder: Annotated[Path, typer.Option(help="where they are kept")] = Path("runs/benchmark-decoding"),
    only: Annotated[str | None, typer.Option(help="one way alone, its figures as JSON")] = None,
    first: Annotated[int, typer.Option(help="with --only: the first clip")] = 0,
) -> None:
    """Measure all ways and print the table."""
    if only:
        print(json.dumps(measure(only, folder, range(first, clips))))
        return
    make_clips(folder, clips, min(distinct, clips))
    results: dict[str, list[dict]] = {way: [] for way in WAYS}
    for start in range(0, clips, _TURN):
        for way, turns in results.items():
            if way in _DEAR and turns:
                continue
            stop = min(start + (2 if way in _DEAR else _TURN), clips)
            turns.append(in_own_process(way, folder, start, stop))
    report(results)


def in_own_process(way: str, folder: Path, start: int, stop: int) -> dict:
    """One way over some clips, in a fresh process."""
    command = [sys.executable, __file__, "--only", way, "--folder", str(folder), "--first", str(start)]
    done = subprocess.run([*command, "--clips", str(stop)], capture_output=True, text=True)
    if done.returncode:
        return {"missing": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def report(results: dict[str, list[dict]]) -> None:
    """The table: medians over the turns."""
    ours = statistics.median(turn["seconds"] for turn in results["showme"])
    print("| way | s per clip | times ours | peak MiB | frames against plain decoding |\n|---|---|---|---|---|")
    for way, turns in results.items():
        if "missing" in turns[0]:
            print(f"| {way} | not measured: {turns[0]['missing']} | | | |")
            continue
        seconds = statistics.median(turn["seconds"] for turn in turns)
        peak = max(turn["peak"] for turn in turns)
        print(f"| {way} | {seconds:.3f} | {seconds / ours:.2f} | {peak:.0f} | {turns[0]['equal']} |")


def measure(way: str, folder: Path, numbers: range) -> dict:
    """Seconds per clip and peak memory of one way; and how near its frames are to those of a plain decoding."""
    read = WAYS[way]()
    wanted = np.linspace(0, SECONDS * FPS - 1, FRAMES).round().astype(int).tolist()
    start = time.perf_counter()
    for number in numbers:
        frames = read(clip_path(folder, number), wanted)
        assert len(frames) == FRAMES
    seconds = (time.perf_counter() - start) / len(numbers)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {"seconds": seconds, "peak": peak}
    if numbers.start:
        return result
    first = clip_path(folder, 0)
    pairs = zip(read(first, wanted), _decode_all()(first, wanted), strict=True)
    worst = max(float(np.abs(a.astype(int) - b).mean()) for a, b in pairs)
    return result | {"equal": "equal" if worst == 0 else f"{worst:.2f} grey levels apart"}


def _showme() -> Callable:
    from showme.data.media import Video

    def read(path: Path, wanted: list[int]) -> list[np.ndarray]:
        with Video(path).open() as frames:
            return list(frames.read(wanted))

    return read


def _decode_all() -> Callable:
    def read(path: Path, wanted: list[int]) -> list[np.ndarray]:
        chosen = set(wanted)
        with av.open(str(path)) as container:
            container.streams.video[0].thread_type = "AUTO"
            decoded = enumerate(container.decode(video=0))
            return [frame.to_ndarray(format="rgb24") for index, frame in decoded if index in chosen]

    return read


def _arrays_of_all() -> Callable:
    def read(path: Path, wanted: list[int]) -> list[np.ndarray]:
        with av.open(str(path)) as container:
            container.streams.video[0].thread_type = "AUTO"
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        return [frames[index] for index in wanted]

    return read


def _opencv_seek() -> Callable:
    import cv2

    def read(path: Path, wanted: list[int]) -> list[np.ndarray]:
        capture = cv2.VideoCapture(str(path))
        frames = []
        for index in wanted:
            capture.set(cv2.CAP_PROP_POS_FRAMES, index)
            frames.append(cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB))
        return frames

    return read


def _opencv_grab() -> Callable:
    import cv2

    def read(path: Path, wanted: list[int]) -> list[np.ndarray]:
        capture, chosen, frames = cv2.VideoCapture(str(path)), set(wanted), []
        for index in range(wanted[-1] + 1):
            capture.grab()
            if index in chosen:
                frames.append(cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB))
        return frames

    return read


def _decord() -> Callable:
    import decord

    return lambda path, wanted: list(
        decord.VideoReader(str(path), num_threads=os.cpu_count()).get_batch(wanted).asnumpy()
    )


def _torchcodec() -> Callable:
    from torchcodec.decoders import VideoDecoder

    def read(path: Path, wanted: list[int]) -> list[np.ndarray]:
        decoder = VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=0)
        return list(decoder.get_frames_at(wanted).data.numpy())

    return read


WAYS: dict[str, Callable[[], Callable]] = {
    "showme": _showme,
    "decode all, convert 16": _decode_all,
    "decode and convert all": _arrays_of_all,
    "OpenCV, seeking": _opencv_seek,
    "OpenCV, grabbing all": _opencv_grab,
    "decord": _decord,
    "torchcodec": _torchcodec,
}
# Takes 11 GB and ten times as long.
_DEAR = {"decode and convert all"}


def clip_path(folder: Path, number: int) -> Path:
    """Where a clip lies."""
    return folder / f"{number:03d}.mp4"


def make_clips(folder: Path, count: int, distinct: int) -> None:
    """Encode the distinct clips that are not there yet, and link the others to them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = clip_path(folder, number)
        if path.exists():
            continue
        if number < distinct:
            encode(path, number)
        else:
            path.hardlink_to(clip_path(folder, number % distinct))


def encode(path: Path, seed: int) -> None:
    """A textured picture that drifts, with squares that move over it."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    ground = np.kron(coarse, np.ones((8, 8, 1), np.uint8)) // 2 + generator.integers(
        0, 60, (HEIGHT, WIDTH, 3), np.uint8
    )
    staged = path.with_suffix(".partial")
    with av.open(str(staged), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "bf": "3"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = FPS * KEYFRAME_SECONDS
        for number in range(SECONDS * FPS):
            picture = np.roll(ground, number // 2, axis=1)
            left, top = 40 + number * 7 % (WIDTH - 280), 60 + number * 5 % (HEIGHT - 260)
            picture[top : top + 200, left : left + 200] = 255 - picture[top : top + 200, left : left + 200]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    staged.replace(path)


if __name__ == "__main__":
    typer.run(main)
