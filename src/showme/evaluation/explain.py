"""A protocol in words: what would be done to the clips, and what a figure under it means."""

from __future__ import annotations

from collections.abc import Callable

from ..hub import with_revision
from .protocol import Protocol, changed_fields

_SAMPLINGS = {
    "evenly_spaced": "evenly spaced, first and last included",
    "evenly_spaced_floor": "evenly spaced, first and last included, each place rounded down",
    "consecutive": "one after the other, from a random start",
    "random_start": "at the largest stride that fits, from a random start",
    "random_stride": "at a random stride that fits, from a random start",
    "last_at_8_fps": "the last ones of every n-th frame, nearest to 8 per second",
    "seer_blend": "each a blend of two neighbours (trilinear resampling of the whole clip; short clips end in grey)",
}
_PREPROCESSINGS = {
    "videogpt": "resized bilinearly to 224 on the short side and cropped in the middle (VideoGPT, TATS, Seer)",
    "stylegan-v": "bent bilinearly to 224x224 (StyleGAN-V)",
    "cd-fvd": "resized as cd-fvd does",
}
_RESIZINGS = {
    "torch-fidelity": "as torch-fidelity resizes, and torchmetrics before 1.8 (TensorFlow 1's bilinear)",
    "torchmetrics": "as torchmetrics resizes from 1.8 on (bilinear with antialiasing)",
    "clean": "as clean-fid resizes (Pillow's bicubic with antialiasing, in floating point)",
    "pytorch-fid": "as pytorch-fid resizes (bilinear without antialiasing)",
}


def explain(protocol: Protocol) -> list[str]:
    """Sentences that say all that the protocol fixes."""
    told = [f"{protocol.name}: {protocol.published}."]
    changed = changed_fields(protocol.model_dump(mode="json"))
    if changed:
        told.append(f"Changed from that: {', '.join(changed)}; figures do not compare with those under it.")
    return [*told, *_clips(protocol), *_compared(protocol), *_metrics(protocol)]


def _clips(protocol: Protocol) -> list[str]:
    shape = f"{protocol.width}x{protocol.height}"
    fit = "scaled until the short side fits and cropped in the middle" if protocol.fit == "crop" else "bent"
    clips = "All true clips count." if protocol.samples is None else (
        f"{protocol.samples:,} of the true clips count, drawn at random with seed {protocol.samples_seed}; "
        "where there are fewer, the evaluation is refused."
    )  # fmt: skip
    told = [
        clips,
        f"Of each, {protocol.frames} frames are taken, {_SAMPLINGS[protocol.sampling]}, and {fit} to {shape} pixels.",
    ]
    if protocol.motion_intensive is not None:
        told.append(
            f"Only the {100 * protocol.motion_intensive:g}% of them with the largest regions of motion of their hands "
            "count."
        )
    if protocol.through_codec:
        told.append("True frames go through the model's autoencoder first, so that its losses count for nobody.")
    if protocol.task == "video":
        exact = protocol.generated_sampling == "exact"
        told.append(
            f"Generated clips must have exactly {protocol.frames} frames."
            if exact
            else f"Of generated clips, which may be longer, {protocol.frames} evenly spaced frames are taken."
        )
    image = protocol.task == "image"
    what, one = ("pictures", "picture") if image else ("clips", "frame")
    own = ", unless it is that of the true clip, which is bent like it" if protocol.fit == "squash" else ""
    told.append(f"Generated {what} are scaled to that size and never cropped; one of another shape is refused{own}.")
    if protocol.generated_range == "min_max":
        told.append(
            f"A quirk of the release: each generated {one} is stretched from its darkest to its brightest value; the "
            "figures without it stand beside."
        )
    return told


def _compared(protocol: Protocol) -> list[str]:
    if protocol.task == "image":
        if protocol.targets == 1:
            return ["The generated picture is compared with the last true frame."]
        return [f"The generated picture is compared with each of the last {protocol.targets} true frames."]
    count = protocol.condition_frames
    if count == 0:
        return ["The model was shown no frame: all count."]
    if count == 1:
        which, are, they = "first frame, which the model was shown,", "is", "counts as it came"
    else:
        which, are, they = f"first {count} frames, which the model was shown,", "are", "count as they came"
    true = "the true one" if count == 1 else "the true ones"
    return {
        "as_generated": [f"The {which} {they} out."],
        "truth": [f"The {which} {are} replaced by {true} before anything is compared."],
        "left_out": [f"The {which} {are} left out: {protocol.compared} frames of each clip are compared."],
    }[protocol.shown_frames]


def _metrics(protocol: Protocol) -> list[str]:
    named = set(protocol.metrics)
    told = [f"Measured: {', '.join(protocol.metrics)}."]
    for names, sentences in _OF_METRICS:
        if named & names:
            told += sentences(protocol)
    told += [
        f"Values in float32, statistics in float64. Intervals hold 95% of {protocol.bootstrap} bootstrap resamples of "
        f"the clips, seed {protocol.seed}.",
        f"A model that is asked on the fly answers clip n with seed {protocol.seed} + n.",
    ]
    return told


def _fvd(protocol: Protocol) -> list[str]:
    return [
        "FVD and KVD compare logits of I3D (Kinetics-400), averaged over time, on frames "
        f"{_PREPROCESSINGS[protocol.fvd_preprocessing]} with values in [-1, 1].",
        f"I3D's normalisation adds {protocol.i3d_epsilon:g} to the variance; FVD's covariances are "
        f"{protocol.covariance}, in float64.",
        "FVD falls as clips are added, so it says their number, and its value for infinitely many stands beside it.",
    ]


def _kvd(protocol: Protocol) -> list[str]:
    told = ["KVD is the unbiased squared MMD with the kernel (x.y / 400 + 1)^3 over all clips."]
    if protocol.kvd_centred:
        told.append(
            "A quirk of the release: both means are taken away before KVD, because computing FVD's covariance changes "
            "the features in place; the figure without it stands beside."
        )
    return told


def _lpips(protocol: Protocol) -> list[str]:
    quirk = "; a quirk of the release, as the network knows [-1, 1]" if protocol.lpips_range == "[0,1]" else ""
    return [f"LPIPS uses {protocol.lpips_net} on values in {protocol.lpips_range}{quirk}."]


def _clip(protocol: Protocol) -> list[str]:
    squash = ", whole pictures bent to its size" if protocol.clip_resize == "squash" else ""
    return [f"CLIP is {with_revision(protocol.clip)}{squash}; cosines, averaged over frames and then over clips."]


def _vqa(protocol: Protocol) -> list[str]:
    model = with_revision(protocol.vqa)
    return [f"VQAScore asks {model}; the published one asks another model and does not compare."]


# For metrics of these names, what their sentences say.
_OF_METRICS: list[tuple[set[str], Callable[[Protocol], list[str]]]] = [
    ({"fvd", "kvd"}, _fvd),
    ({"kvd"}, _kvd),
    ({"fid"}, lambda p: [f"FID compares Inception's 2048 features of every frame, {_RESIZINGS[p.fid_resizing]}."]),
    ({"lpips"}, _lpips),
    ({"clip_to_truth", "clip_to_text", "clip_to_consecutive", "clip_video_to_text"}, _clip),
    ({"dino_to_truth"}, lambda p: [f"DINOv2 is {with_revision(p.dino)}; cosines of class tokens."]),
    (
        {"egovlp", "egovlp_plus", "egovlp_to_text", "blip_caption_base", "blip_caption_large"},
        lambda p: [f"EgoVLP looks at {p.egovlp_frames} frames; a picture is repeated."],
    ),
    ({"viclip_to_text"}, lambda p: ["ViCLIP looks at 8 frames."]),
    ({"vqa_score"}, _vqa),
    (
        {"dynamic_degree", "flow_magnitude_error", "motion_smoothness"},
        lambda p: [
            f"Optical flow is by {p.flow.upper()}; middle frames are made by {p.interpolator}, where VBench has "
            "AMT-S and does not compare."
        ],
    ),
    (
        {"hand_structure_error", "hand_structure_error_matched", "hand_coverage", "region_of_motion_iou"},
        lambda p: [f"Hands are MediaPipe's, of confidence {p.hand_confidence:g} or more."],
    ),
    (
        {"background_stability"},
        lambda p: [
            "Background is what lies further from the region of motion of the true hands than "
            f"{p.background_margin:.3g} of the short side."
        ],
    ),
]
