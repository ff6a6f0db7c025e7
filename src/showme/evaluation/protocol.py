"""Protocols: all that must agree before two figures may stand in one column, as data.

The published ones are YAML files in ``protocols/``; any of their fields can be changed, and a result carries them all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from ..config import Settings, load_config
from ..data.sampling import ClipPolicy
from ..errors import InputError

FOLDER = Path(__file__).parent / "protocols"

MetricName = Literal[
    "fvd",
    "kvd",
    "fid",
    "psnr",
    "ssim",
    "lpips",
    "clip_to_truth",
    "clip_to_text",
    "clip_to_consecutive",
    "clip_video_to_text",
    "dino_to_truth",
    "egovlp",
    "egovlp_plus",
    "egovlp_to_text",
    "viclip_to_text",
    "blip_itm",
    "blip_caption_base",
    "blip_caption_large",
    "vqa_score",
    "motion_smoothness",
    "dynamic_degree",
    "flow_magnitude_error",
    "hand_structure_error",
    "hand_structure_error_matched",
    "hand_coverage",
    "region_of_motion_iou",
    "background_stability",
    "hand_psnr",
    "final_frame_gain",
    "picture_video_agreement",
    "object_within_8_pixels",
    "named_object_moved",
    "instruction_accuracy",
]


class Protocol(Settings):
    """How clips are read, brought to one form and compared."""

    quirks: ClassVar[dict[str, object]] = {"kvd_centred": False, "generated_range": "as_is", "lpips_range": "[-1,1]"}

    name: str = Field(description="of the protocol")
    published: str = Field(description="where it comes from")
    task: Literal["video", "image"] = Field(description="what is judged: clips, or pictures of the result")
    metrics: Annotated[list[MetricName], Field(min_length=1)] = Field(description="what is measured, in this order")

    frames: int = Field(16, ge=1, le=1024, description="T, of each clip, before any is left out")
    sampling: ClipPolicy = Field("evenly_spaced", description="which frames of a true clip")
    generated_sampling: Literal["exact", "evenly_spaced"] = Field(
        "exact",
        description="exact: generated clips must have just T frames; evenly_spaced: T of theirs, which have more",
    )
    height: int = Field(256, ge=8, le=4096, description="pixels that clips are brought to")
    width: int = Field(256, ge=8, le=4096, description="pixels that clips are brought to")
    fit: Literal["crop", "squash"] = Field(
        "crop", description="crop: the middle; squash: all of it, brought to the shape"
    )
    condition_frames: int = Field(
        1, ge=0, description="true frames, from the first on, that the model was shown; 0: it makes clips from nothing"
    )
    shown_frames: Literal["as_generated", "truth", "left_out"] = Field(
        "as_generated", description="what counts in the place of these: what came out, the true ones, or none"
    )
    targets: int = Field(
        1, ge=1, description="with task image: the last so many true frames, each compared with the picture"
    )
    through_codec: bool = Field(False, description="compare with true frames that went through the model's autoencoder")
    generated_range: Literal["as_is", "min_max"] = Field(
        "as_is", description="min_max: each generated frame is stretched from its darkest to its brightest value"
    )
    samples: int | None = Field(None, ge=2, description="so many true clips, drawn at random; null: all")
    samples_seed: int = Field(0, ge=0, description="of this draw")
    motion_intensive: float | None = Field(
        None,
        gt=0,
        le=1,
        description="only this share of the clips, those with the largest regions of motion; null: all",
    )

    fvd_preprocessing: Literal["videogpt", "stylegan-v", "cd-fvd"] = Field(
        "videogpt", description="how frames become I3D's 224x224: short side and middle, squashed, or as cd-fvd does"
    )
    i3d_epsilon: float = Field(
        1e-5,
        gt=0,
        description="of I3D's normalisation: 1e-5 in VideoGPT, TATS and Seer, 1e-3 in TensorFlow, StyleGAN-V",
    )
    covariance: Literal["unbiased", "biased"] = Field("unbiased", description="of FVD: divided by N - 1, or by N")
    kvd_centred: bool = Field(False, description="KVD of features whose means were taken away before")
    fid_resizing: Literal["torch-fidelity", "torchmetrics", "clean", "pytorch-fid"] = Field(
        "torch-fidelity", description="whose way frames become Inception's 299x299; torchmetrics: from 1.8 on"
    )
    lpips_net: Literal["squeeze", "alex", "vgg"] = Field("squeeze", description="network of LPIPS")
    lpips_range: Literal["[-1,1]", "[0,1]"] = Field("[-1,1]", description="values that LPIPS is given")
    clip: str = Field("openai/clip-vit-base-patch32", description="CLIP, by hub name, or name@revision")
    clip_resize: Literal["processor", "squash"] = Field(
        "processor", description="how frames become CLIP's: short side and middle, or squashed"
    )
    dino: str = Field("facebook/dinov2-small", description="DINOv2, by hub name")
    egovlp_frames: Literal[4, 16] = Field(16, description="that EgoVLP looks at")
    vqa: str = Field("Salesforce/instructblip-flan-t5-xl", description="model that is asked for VQAScore, by hub name")
    flow: Literal["raft", "dis"] = Field("raft", description="optical flow")
    interpolator: Literal["flow"] = Field("flow", description="what makes the middle frame for motion smoothness")
    hands: Literal["torch", "tabletop", "tabletop-judge"] = Field(
        "torch", description="what finds hands: MediaPipe's networks, or one of those for the tabletop world"
    )
    hand_confidence: float = Field(0.1, ge=0, le=1, description="least confidence of a palm and of a hand")
    background_margin: float = Field(
        1 / 16, ge=0, le=1, description="that the region of motion is widened by, as a share of the short side"
    )

    bootstrap: int = Field(1000, ge=100, description="resamples of an interval")
    seed: int = Field(0, ge=0, lt=2**32, description="of resampling and of generation: clip n is made with seed + n")

    @model_validator(mode="after")
    def _fits(self) -> Protocol:
        if self.condition_frames >= self.frames and self.task == "video":
            raise ValueError(f"condition_frames {self.condition_frames}: less than frames, {self.frames}")
        if self.targets > self.frames:
            raise ValueError(f"targets {self.targets}: at most frames, {self.frames}")
        if len(set(self.metrics)) < len(self.metrics):
            raise ValueError("metrics: name each once")
        return self

    @property
    def compared(self) -> int:
        """Frames of each clip that are compared."""
        if self.task == "image":
            return self.targets
        return self.frames - (self.condition_frames if self.shown_frames == "left_out" else 0)

    def without_quirks(self) -> Protocol:
        """The same with every quirk off; itself where it has none."""
        return self.model_copy(update=self.quirks)


def changed_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields in which a protocol differs from the published one of its name; none where that is one's own.

    Which metrics are asked for is no change: tables show it.

    Args:
        fields: all fields of the protocol, as a result has them.
    """
    if fields.get("name") not in protocol_names():
        return {}
    published = load_protocol(fields["name"]).model_dump(mode="json", exclude={"metrics", "published"})
    return {name: value for name, value in fields.items() if name in published and value != published[name]}


def protocol_title(fields: Mapping[str, Any]) -> str:
    """The protocol's name, and what was changed in it: ``embedded with frames=8``; empty without a name."""
    name = str(fields.get("name", ""))
    values = {
        field: value if isinstance(value, str) else json.dumps(value) for field, value in changed_fields(fields).items()
    }
    changed = [f"{field}={value}" for field, value in values.items()]
    return f"{name} with {', '.join(changed)}" if changed else name


def protocol_names() -> list[str]:
    """The published protocols."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_protocol(name: str, fields: Sequence[str] = ()) -> Protocol:
    """A protocol by name, or of a YAML file of one's own.

    Args:
        name: of a published one, or a path.
        fields: ``field=value`` each, to change.

    Raises:
        InputError: no such protocol, or a wrong field.
    """
    path = Path(name)
    if path.suffix.lower() not in (".yaml", ".yml"):
        path = FOLDER / f"{name}.yaml"
        if name not in protocol_names():
            raise InputError(
                f"There is no protocol {name!r}: choose {', '.join(protocol_names())}, or give a YAML file."
            )
    return load_config(path, Protocol, fields)
