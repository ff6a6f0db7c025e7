"""A protocol in words: what would be done to the clips, and what a figure under it means."""

from __future__ import annotations

from .metric_words import words_of_metrics
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


def explain(protocol: Protocol) -> list[str]:
    """Sentences that say all that the protocol fixes."""
    sentences = [f"{protocol.name}: {protocol.published}."]
    changed = changed_fields(protocol.model_dump(mode="json"))
    if changed:
        sentences.append(f"Changed from that: {', '.join(changed)}; figures do not compare with those under it.")
    return [*sentences, *_clips(protocol), *_compared(protocol), *_metrics(protocol)]


def _clips(protocol: Protocol) -> list[str]:
    shape = f"{protocol.width}x{protocol.height}"
    fit = "scaled until the short side fits and cropped in the middle" if protocol.fit == "crop" else "squashed"
    clips = "All true clips count." if protocol.samples is None else (
        f"{protocol.samples:,} of the true clips count, drawn at random with seed {protocol.samples_seed}; "
        "where there are fewer, the evaluation is refused."
    )  # fmt: skip
    sentences = [
        clips,
        f"Of each, {protocol.frames} frames are taken, {_SAMPLINGS[protocol.sampling]}, and {fit} to {shape} pixels.",
    ]
    if protocol.motion_intensive is not None:
        sentences.append(
            f"Only the {100 * protocol.motion_intensive:g}% of them with the largest regions of motion of their hands "
            "count."
        )
    if protocol.through_codec:
        sentences.append(
            "True frames go through the model's autoencoder first, so that its losses count for nobody; so the true "
            "clip through the codec is no baseline here."
        )
    if protocol.task == "video":
        exact = protocol.generated_sampling == "exact"
        sentences.append(
            f"Generated clips must have exactly {protocol.frames} frames."
            if exact
            else f"Of generated clips, which may be longer, {protocol.frames} evenly spaced frames are taken."
        )
    image = protocol.task == "image"
    what, one = ("pictures", "picture") if image else ("clips", "frame")
    own = ", unless it is that of the true clip, which is squashed like it" if protocol.fit == "squash" else ""
    sentences.append(
        f"Generated {what} are scaled to that size and never cropped; one of another shape is refused{own}."
    )
    if protocol.generated_range == "min_max":
        sentences.append(
            f"A quirk of the release: each generated {one} is stretched from its darkest to its brightest value; the "
            "figures without it stand beside."
        )
    return sentences


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
    return [
        f"Measured: {', '.join(protocol.metrics)}.",
        *words_of_metrics(protocol),
        f"Values in float32, statistics in float64. Intervals hold 95% of {protocol.bootstrap} bootstrap resamples of "
        f"the clips, seed {protocol.seed}.",
        f"A model that is asked on the fly answers clip n with seed {protocol.seed} + n.",
    ]
