"""FVD of many clips: ShowMe's runner against the usual script, which loads every clip and loops over batches.

    python benchmarks/evaluation.py --clips 256

Clips of 16 frames, 256x256, H.264, are made once into ``--folder``; I3D has its full size and random weights. Both ways
judge the same generated clips against the same true ones, each in a process of its own; printed are seconds, the peak
memory and the FVD that they find. The usual script's network pads and pools as pytorch-i3d does, which all published
FVD code contains: the same numbers, by explicit zeros around every layer.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import av
import numpy as np
import torch
import torch.nn.functional as F
import typer
from safetensors.torch import load_file, save_file

from showme.evaluation.metrics.frechet import frechet_distance_of
from showme.evaluation.networks.i3d import I3D, ConvolutionUnit, MaxPool, same_padding
from showme.evaluation.protocol import load_protocol
from showme.evaluation.request import Request, Weights
from showme.evaluation.runner import Evaluation

FRAMES, SIZE, BATCH = 16, 256, 16
# As the protocol seer has it.
EPSILON = 1e-5


def main(
    clips: Annotated[int, typer.Option(help="generated, and as many true ones")] = 256,
    folder: Annotated[Path, typer.Option(help="where they are kept")] = Path("runs/benchmark-evaluation"),
    only: Annotated[str | None, typer.Option(help="one way alone, its figures as JSON")] = None,
) -> None:
    """Measure both ways and print the table."""
    if only:
        print(json.dumps(measure(only, folder, clips)))
        return
    make_clips(folder, clips)
    results = {way: in_own_process(way, folder, clips) for way in WAYS}
    ours = results["showme"]
    print(f"{clips} generated and {clips} true clips of {FRAMES} frames, {SIZE}x{SIZE}\n")
    print("| way | seconds | times ours | peak MiB | times ours | FVD |\n|---|---|---|---|---|---|")
    for way, result in results.items():
        ratios = result["seconds"] / ours["seconds"], result["peak"] / ours["peak"]
        figures = (
            f"{result['seconds']:.1f} | {ratios[0]:.2f} | {result['peak']:.0f} | {ratios[1]:.2f} | {result['fvd']:.6g}"
        )
        print(f"| {way} | {figures} |")


def in_own_process(way: str, folder: Path, clips: int) -> dict:
    """One way, in a fresh process."""
    command = [sys.executable, __file__, "--only", way, "--folder", str(folder), "--clips", str(clips)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def measure(way: str, folder: Path, clips: int) -> dict:
    """Seconds, peak memory and FVD of one way."""
    start = time.perf_counter()
    fvd = WAYS[way](folder, clips)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "fvd": fvd}


def _showme(folder: Path, clips: int) -> float:
    shutil.rmtree(folder / "out", ignore_errors=True)
    settings = [f"frames={FRAMES}", "condition_frames=1", "shown_frames=as_generated", "sampling=evenly_spaced"]
    protocol = load_protocol("seer", [*settings, "metrics=[fvd]", "bootstrap=100"])
    request = Request(
        reference=str(folder / "true"),
        protocol=protocol,
        out=folder / "out",
        generated=folder / "made",
        weights=Weights(i3d=folder / "i3d.safetensors"),
        device="cpu",
    )
    evaluation = Evaluation(request)
    return evaluation.judge(evaluation.candidate).figures["fvd"].value


@torch.no_grad()
def _usual(folder: Path, clips: int) -> float:
    network = I3D(EPSILON)
    network.load_state_dict(load_file(folder / "i3d.safetensors"))
    for module in network.modules():
        if isinstance(module, ConvolutionUnit):
            module.forward = partial(_padded_convolution, module)
        elif isinstance(module, MaxPool):
            module.forward = partial(_padded_pool, module)
    sides = []
    for side in ("made", "true"):
        videos = torch.stack([_read(path) for path in sorted((folder / side).glob("*.mp4"))])
        features = []
        for batch in videos.split(BATCH):
            frames = F.interpolate(batch.flatten(0, 1), (224, 224), mode="bilinear", align_corners=False)
            features.append(network(2 * frames.unflatten(0, batch.shape[:2]) - 1))
        sides.append(torch.cat(features))
    return float(frechet_distance_of(*sides))


def _padded_convolution(unit: ConvolutionUnit, x: torch.Tensor) -> torch.Tensor:
    padding = same_padding(x.shape[2:], unit.conv3d.kernel_size, unit.conv3d.stride)
    return F.relu(unit.bn(unit.conv3d(F.pad(x, [zeros for pair in reversed(padding) for zeros in pair]))))


def _padded_pool(pool: MaxPool, x: torch.Tensor) -> torch.Tensor:
    padding = same_padding(x.shape[2:], pool.kernel, pool.stride)
    padded = F.pad(x, [zeros for pair in reversed(padding) for zeros in pair])
    return F.max_pool3d(padded, pool.kernel, pool.stride)


def _read(path: Path) -> torch.Tensor:
    """All frames of a video, (T, 3, H, W) in [0, 1]."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float() / 255


WAYS = {"showme": _showme, "load all, loop over batches": _usual}


def make_clips(folder: Path, count: int) -> None:
    """Encode the clips that are not there yet, and draw the network's weights."""
    for side, seed in (("true", 0), ("made", 1)):
        (folder / side).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            path = folder / side / f"{number:04d}.mp4"
            if not path.exists():
                encode(path, moving_texture(10_000 * seed + number))
        for path in sorted((folder / side).glob("*.mp4"))[count:]:
            path.unlink()
    torch.manual_seed(0)
    save_file(I3D(EPSILON).state_dict(), folder / "i3d.safetensors")


def encode(path: Path, frames: np.ndarray) -> None:
    """H.264 of the frames' own size."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=8, options={"crf": "14", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def moving_texture(seed: int) -> np.ndarray:
    """uint8 (T, H, W, 3): a coarse texture that drifts at its own speed."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 255, (SIZE // 16, SIZE // 16, 3), dtype=np.uint8)
    ground = np.kron(coarse, np.ones((16, 16, 1), np.uint8))
    speed = int(generator.integers(1, 6))
    return np.stack([np.roll(ground, speed * time, axis=1) for time in range(FRAMES)])


if __name__ == "__main__":
    typer.run(main)
