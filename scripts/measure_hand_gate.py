"""At which noise a frame that one step predicts shows hands: what IVG's `hands.least_log10_snr` should be.

    python scripts/measure_hand_gate.py --model embedded --scenes 64

Noise is put on the latents of validation clips, the network takes it off in one step, and the joint network looks at
the decoded frame where the true hand is. Printed for every timestep: log10 of the signal's over the noise's power,
presence, and the distance of the joints, in pixels, beside that of the true frame through the codec and of the first
frame, which shows the hand where it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import track

from showme.backbones.base import Conditions
from showme.perception import hand_landmarks
from showme.perception.hands.landmarks import regions_of_joints
from showme.pipelines import load_bundle
from showme.worlds.tabletop import render

_LEVELS = (999, 950, 900, 850, 800, 700, 600, 500, 400, 300, 200, 100)
_FRAMES = (4, 8, 12)


@torch.no_grad()
def main(
    model: Annotated[str, typer.Option(help="a bundle that makes videos")] = "embedded",
    scenes: Annotated[int, typer.Option(help="of the validation split, the first so many")] = 64,
    hands: Annotated[
        str, typer.Option(help="the network with a gradient: tabletop, torch, or either with :FILE")
    ] = "tabletop",
    out: Annotated[Path | None, typer.Option(help="file for the table, as well")] = None,
) -> None:
    """Print the table."""
    pipeline, landmarks = load_bundle(model, dtype=torch.float32).pipeline, hand_landmarks(hands)
    sums: dict[object, list[tuple[float, float]]] = {}
    for seed in track(range(scenes), description="looking"):
        clip = render(seed, "validation", labels=False)
        pixels = torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255
        # The world counts from the corner of the picture.
        joints = torch.from_numpy(clip.joints[list(_FRAMES), 0] - 0.5)
        for name, frames in frames_of(pipeline, pixels, clip.instruction, seed):
            seen = landmarks(frames, regions_of_joints(joints))
            distance = (seen.joints[..., :2] - joints).norm(dim=-1).mean()
            sums.setdefault(name, []).append((float(seen.presence.mean()), float(distance)))
    lines = ["| frames | log10 SNR | presence | distance, pixels |", "|---|---|---|---|"]
    for name, values in sums.items():
        presence, distance = torch.tensor(values).mean(0).tolist()
        power = f"{log10_snr(pipeline, name):.2f}" if isinstance(name, int) else ""
        label = f"one step from t = {name}" if isinstance(name, int) else name
        lines.append(f"| {label} | {power} | {presence:.2f} | {distance:.2f} |")
    print("\n".join(lines))
    if out is not None:
        out.write_text("\n".join(lines) + "\n")


def frames_of(pipeline, pixels: torch.Tensor, instruction: str, seed: int):
    """(name, frames (F, 3, H, W) in [0, 1]) of a clip: true, through the codec, standing still, one step from t."""
    backbone, chosen = pipeline.backbone, list(_FRAMES)
    latents = backbone.encode(pixels[None] * 2 - 1)
    given = pipeline.given(pixels[:1], instruction, False, None)
    known = backbone.known(given.first, (0,), latents.shape[2])
    conditions = Conditions(given.text, given.image, known)
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed))
    yield "true", pixels[chosen]
    yield "true, through the codec", backbone.decode(latents[:, :, chosen])[0].clamp(0, 1)
    yield "the first", pixels[:1].expand(len(chosen), -1, -1, -1)
    with backbone.adapted(pipeline.active_adapters["video"]):
        for t in _LEVELS:
            level = torch.tensor([t])
            noisy = backbone.path.noised(latents, noise, level)
            prediction = backbone.predict(noisy, level, conditions, False)
            clean = backbone.path.clean(noisy, prediction, level)
            yield t, backbone.decode(clean[:, :, chosen])[0].clamp(0, 1)


def log10_snr(pipeline, level: int) -> float:
    """Of a timestep on the model's path."""
    return float(pipeline.backbone.path.log_snr(torch.tensor([level]))) / 2.302585


if __name__ == "__main__":
    typer.run(main)
