"""Sixteen evenly spaced frames of long videos: ShowMe's reader, decoding everything, OpenCV, decord, torchcodec.

    python benchmarks/decoding.py --clips 100

Videos of 60 s, 1920x1080, H.264, a keyframe every two seconds, are generated once into ``--folder``; ``--distinct`` of
them are encoded, the others are links to these. Every way runs in a process of its own over all clips, two rounds in
turn; printed are the seconds per clip of the faster round, the ratio to ours and the peak memory. Ways whose package is
not installed are named and left out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FRAMES = 16
SECONDS, FPS, WIDTH, HEIGHT, KEYFRAME_SECONDS = 60, 30, 1920, 1080, 2


def main() -> None:
    """Measure all ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--distinct", type=int, default=8)
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-decoding"))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.only, arguments.folder, arguments.clips)))
        return
    make_clips(arguments.folder, arguments.clips, min(arguments.distinct, arguments.clips))
    results: dict[str, list[dict]] = {}
    for _ in range(arguments.rounds):
        for way in WAYS:
            results.setdefault(way, []).append(in_own_process(way, arguments))
    report(results)


def in_own_process(way: str, arguments: argparse.Namespace) -> dict:
    """One way over all clips, in a fresh process."""
    command = [
        sys.executable,
        __file__,
        "--only",
        way,
        "--folder",
        str(arguments.folder),
        "--clips",
        str(arguments.clips),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"missing": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def report(results: dict[str, list[dict]]) -> None:
    """The table."""
    ours = min(result["seconds"] for result in results["showme"])
    print(f"{'way':24}{'s/clip':>9}{'of ours':>9}{'peak MiB':>10}  frames equal to plain decoding")
    for way, rounds in results.items():
        if "missing" in rounds[0]:
            print(f"{way:24}not measured: {rounds[0]['missing']}")
            continue
        seconds = min(result["seconds"] for result in rounds)
        peak = max(result["peak"] for result in rounds)
        print(f"{way:24}{seconds:9.3f}{seconds / ours:9.2f}{peak:10.0f}  {rounds[0]['equal']}")


def measure(way: str, folder: Path, clips: int) -> dict:
    """Seconds per clip and peak memory of one way; and how near its frames are to those of a plain decoding."""
    read = WAYS[way]()
    first = clip_path(folder, 0)
    wanted = np.linspace(0, SECONDS * FPS - 1, FRAMES).round().astype(int).tolist()
    start = time.perf_counter()
    for number in range(clips):
        frames = read(clip_path(folder, number), wanted)
        assert len(frames) == FRAMES
    seconds = (time.perf_counter() - start) / clips
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    frames, truth = read(first, wanted), WAYS["decode all (PyAV)"]()(first, wanted)
    worst = max(int(np.abs(a.astype(int) - b).mean() * 100) for a, b in zip(frames, truth, strict=True)) / 100
    return {"seconds": seconds, "peak": peak, "equal": "yes" if worst == 0 else f"to {worst:g} grey levels"}


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
    "decode all (PyAV)": _decode_all,
    "OpenCV, seeking": _opencv_seek,
    "OpenCV, grabbing all": _opencv_grab,
    "decord": _decord,
    "torchcodec": _torchcodec,
}


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
    main()
