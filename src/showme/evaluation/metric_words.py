"""What each metric of a protocol measures and with which settings, in words."""

from __future__ import annotations

from collections.abc import Callable

from ..hub import with_revision
from .protocol import Protocol
from .request import Weights

# Sentences about a protocol's metrics.
Words = Callable[[Protocol], list[str]]

_PREPROCESSINGS = {
    "videogpt": "resized bilinearly to 224 on the short side and cropped in the middle (VideoGPT, TATS, Seer)",
    "stylegan-v": "squashed bilinearly to 224x224 (StyleGAN-V)",
    "cd-fvd": "resized as cd-fvd does",
}
_RESIZINGS = {
    "torch-fidelity": "as torch-fidelity resizes, and torchmetrics before 1.8 (TensorFlow 1's bilinear)",
    "torchmetrics": "as torchmetrics resizes from 1.8 on (bilinear with antialiasing)",
    "clean": "as clean-fid resizes (Pillow's bicubic with antialiasing, in floating point)",
    "pytorch-fid": "as pytorch-fid resizes (bilinear without antialiasing)",
}
_EGOVLP = {"egovlp", "egovlp_plus", "egovlp_to_text", "blip_caption_base", "blip_caption_large"}
_HANDS = {"hand_structure_error", "hand_structure_error_matched", "hand_coverage", "region_of_motion_iou"}


def words_of_metrics(protocol: Protocol) -> list[str]:
    """Sentences about all metrics that the protocol lists, each once."""
    named = set(protocol.metrics)
    return [sentence for names, words in _OF_METRICS if named & names for sentence in words(protocol)]


def _says(sentence: str) -> Words:
    return lambda protocol: [sentence]


def _fvd(protocol: Protocol) -> list[str]:
    return [
        "FVD and KVD compare logits of I3D (Kinetics-400), averaged over time, on frames "
        f"{_PREPROCESSINGS[protocol.fvd_preprocessing]} with values in [-1, 1].",
        f"I3D's normalisation adds {protocol.i3d_epsilon:g} to the variance; FVD's covariances are "
        f"{protocol.covariance}, in float64.",
        "FVD falls as clips are added, so it says their number, and its value for infinitely many stands beside it.",
    ]


def _kvd(protocol: Protocol) -> list[str]:
    sentences = ["KVD is the unbiased squared MMD with the kernel (x.y / 400 + 1)^3 over all clips."]
    if protocol.kvd_centred:
        sentences.append(
            "A quirk of the release: both means are taken away before KVD, because computing FVD's covariance changes "
            "the features in place; the figure without it stands beside."
        )
    return sentences


def _fid(protocol: Protocol) -> list[str]:
    return [f"FID compares Inception's 2048 features of every frame, {_RESIZINGS[protocol.fid_resizing]}."]


def _lpips(protocol: Protocol) -> list[str]:
    quirk = "; a quirk of the release, as the network knows [-1, 1]" if protocol.lpips_range == "[0,1]" else ""
    return [f"LPIPS uses {protocol.lpips_net} on values in {protocol.lpips_range}{quirk}."]


def _clip(protocol: Protocol) -> list[str]:
    squash = ", whole pictures squashed to its size" if protocol.clip_resize == "squash" else ""
    return [f"CLIP is {with_revision(protocol.clip)}{squash}; cosines, averaged over frames and then over clips."]


def _egovlp(protocol: Protocol) -> list[str]:
    return [f"EgoVLP looks at {protocol.egovlp_frames} frames; a picture is repeated. Its values are cosines."]


def _caption(size: str) -> Words:
    model = with_revision(Weights.model_fields[f"blip_caption_{size}"].default)
    return _says(
        f"blip_caption_{size} is the cosine, as EgoVLP's text tower sees it, of the instruction and of what {model} "
        'says of each frame: "a picture of", continued by beam search.'
    )


def _vqa(protocol: Protocol) -> list[str]:
    model = with_revision(protocol.vqa)
    return [f"VQAScore asks {model}; the published one asks another model and does not compare."]


def _flow(protocol: Protocol) -> list[str]:
    return [
        f"Optical flow is by {protocol.flow.upper()}; middle frames are made by {protocol.interpolator}, where VBench "
        "has AMT-S and does not compare."
    ]


def _hands(protocol: Protocol) -> list[str]:
    whose = "MediaPipe's, at most two" if protocol.hands == "torch" else f"what the network {protocol.hands} finds, one"
    return [f"Hands are {whose}, of confidence {protocol.hand_confidence:g} or more, in every frame."]


def _background(protocol: Protocol) -> list[str]:
    return [
        "background_stability is how much later frames differ from the first, in 8-bit levels, further from the region "
        f"of motion of the true hands than {protocol.background_margin:.3g} of the short side."
    ]


# Of all metrics, what their sentences say.
_OF_METRICS: list[tuple[set[str], Words]] = [
    ({"fvd", "kvd"}, _fvd),
    ({"kvd"}, _kvd),
    ({"fid"}, _fid),
    ({"psnr"}, _says("PSNR is of each frame, 100 dB at most, averaged over frames and then over clips.")),
    (
        {"ssim"},
        _says("SSIM is of each channel, with a Gaussian window of 11x11 pixels, sigma 1.5, and mirrored borders."),
    ),
    ({"lpips"}, _lpips),
    ({"clip_to_truth", "clip_to_text", "clip_to_consecutive", "clip_video_to_text"}, _clip),
    (
        {"clip_video_to_text"},
        _says(
            "clip_video_to_text takes the mean of the features of all frames, brought to length 1; it rises with what "
            "frames differ in."
        ),
    ),
    ({"dino_to_truth"}, lambda p: [f"DINOv2 is {with_revision(p.dino)}; cosines of class tokens."]),
    (_EGOVLP, _egovlp),
    (
        {"egovlp_plus"},
        _says("EgoVLP+ begins both clips with the true first frame, for half of the frames; it is higher for it."),
    ),
    ({"viclip_to_text"}, _says("ViCLIP looks at 8 frames; its values are cosines.")),
    (
        {"blip_itm"},
        _says(
            f"BLIP is {with_revision(Weights.model_fields['blip_itm'].default)}; the probability that a frame and the "
            "instruction match, averaged over frames."
        ),
    ),
    ({"blip_caption_base"}, _caption("base")),
    ({"blip_caption_large"}, _caption("large")),
    ({"vqa_score"}, _vqa),
    ({"dynamic_degree", "flow_magnitude_error", "motion_smoothness"}, _flow),
    (
        {"dynamic_degree"},
        _says("dynamic_degree is the share of clips that move: more motion is not better in itself."),
    ),
    (
        {"flow_magnitude_error"},
        _says("flow_magnitude_error is how far the mean length of a clip's flow lies from the true clip's."),
    ),
    (_HANDS, _hands),
    (
        {"hand_structure_error"},
        _says(
            "hand_structure_error is the mean squared distance of joints, in coordinates divided by width and height, "
            "hands taken in the order in which they are found; a hand that is missing lies in the upper left corner."
        ),
    ),
    (
        {"hand_structure_error_matched"},
        _says(
            "hand_structure_error_matched pairs the hands of a frame so that they lie nearest, and divides distances "
            "by the size of the true hand; hands without a partner count nothing, hand_coverage reports their share."
        ),
    ),
    (
        {"hand_coverage"},
        _says("hand_coverage is the share of true hands that have a partner in the generated frame."),
    ),
    (
        {"region_of_motion_iou"},
        _says("region_of_motion_iou is of the regions that the hands of both clips pass over, all frames united."),
    ),
    ({"background_stability"}, _background),
    ({"hand_psnr"}, _says("hand_psnr is the PSNR within the hulls of the true hands' joints, averaged over frames.")),
    (
        {"final_frame_gain"},
        _says("final_frame_gain is the PSNR of the last frame less that of the true first frame in its place."),
    ),
    (
        {"picture_video_agreement"},
        _says(
            "picture_video_agreement is the PSNR of a clip's last frame and the picture of the result that was "
            "generated beside it; it does not say whether either is right."
        ),
    ),
    (
        {"object_within_8_pixels"},
        _says(
            "object_within_8_pixels is the share of clips in whose last frame the named object lies so near to its "
            "true place; it is found by its colour."
        ),
    ),
    (
        {"named_object_moved"},
        _says(
            "named_object_moved is the share of clips in which, of the things on the table, the place of the named one "
            "changed most between first and last frame, outside the true hand."
        ),
    ),
    (
        {"instruction_accuracy"},
        _says(
            "instruction_accuracy is the share of clips in which a classifier, trained on true renders, sees the "
            "action that was asked for; its own accuracy, on true renders of 16 frames, stands beside."
        ),
    ),
]
