"""Models of the hub by name and revision, so that figures of another year were made with the same weights."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

from safetensors import SafetensorError

# Commits of the hub's repositories. Those without safetensors have ``pytorch_model.bin``, which is read weights only.
PINNED = {
    "openai/clip-vit-base-patch32": "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268",
    "openai/clip-vit-large-patch14": "32bd64288804d66eefd0ccbe215aa642df71cc41",
    "facebook/dinov2-small": "ed25f3a31f01632728cabb09d1542f84ab7b0056",
    "Salesforce/blip-itm-base-coco": "bed8ad38cb2d04a5a4bdf2d071b3c3c0a4aa724c",
    "Salesforce/blip-image-captioning-base": "82a37760796d32b1411fe092ab5d4e227313294b",
    "Salesforce/blip-image-captioning-large": "2227ac38c9f16105cb0412e7cab4759978a8fd90",
    "distilbert-base-uncased": "12040accade4e8a0f71eabdb258fecc2e7e948be",
}
_LATEST = "main"
# What readers of settings and weights raise at files that are damaged or other than they should be.
DAMAGED = (
    SafetensorError,
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
)

# Else transformers asks a robot of the hub to convert what it loads, and loads what that proposes.
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")


def split_revision(name: str | Path) -> tuple[str, str]:
    """A model's name and revision on the hub.

    Args:
        name: ``owner/name``, which means the pinned commit where there is one and else the latest; or
            ``owner/name@revision`` with a branch, a tag or a commit. Folders have no revision.
    """
    name = str(name)
    if Path(name).is_dir():
        return name, _LATEST
    model, _, revision = name.partition("@")
    return model, revision or PINNED.get(model, _LATEST)


def with_revision(name: str) -> str:
    """A model's name as a sentence tells it: with the beginning of its commit."""
    model, revision = split_revision(name)
    return model if revision == _LATEST else f"{model}@{revision[:8]}"
