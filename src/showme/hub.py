"""Models of the hub by name and revision, so that figures of another year were made with the same weights."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError

from .errors import InputError

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

Loaded = TypeVar("Loaded")
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
    """A model's name as a sentence has it: with the beginning of its commit."""
    model, revision = split_revision(name)
    return model if revision == _LATEST else f"{model}@{revision[:8]}"


class MissingModelError(InputError):
    """A model that is neither on this disk nor to be had from the hub; the sentence ends with "give the folder of a
    copy", so that callers can say where."""


def from_disk_or_hub(name: str | Path, what: str, load: Callable[..., Loaded]) -> Loaded:
    """Load a model by its name on the hub: what is on this disk already without asking, else from the hub.

    The hub is asked once whether it has the model before its own libraries try, which do so again and again where
    nothing answers.

    Args:
        name: as :func:`split_revision` takes it; no folder.
        what: it is, for messages.
        load: called with the name, ``revision`` and ``local_files_only``; raises OSError where files are not there,
            InputError where they cannot be used.

    Raises:
        MissingModelError: neither here nor there.
        InputError: as ``load``.
    """
    name, revision = split_revision(name)
    try:
        return load(name, revision=revision, local_files_only=True)
    except (OSError, InputError) as error:
        here = error
    reason, remedy = _refused(name, revision)
    if not reason:
        try:
            return load(name, revision=revision, local_files_only=False)
        except OSError as error:
            reason, remedy = f"it could not be fetched ({type(error).__name__})", "try again"
    if isinstance(here, InputError):
        raise here
    raise MissingModelError(
        f"The {what} {name} at revision {revision} is not on this disk, and {reason}: {remedy}, or give the folder of "
        "a copy."
    )


def _refused(name: str, revision: str) -> tuple[str, str]:
    """Why the hub does not give a model, and what helps; nothing where it does."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        # Of a file, as downloads ask: mirrors know no other questions.
        get_hf_file_metadata(hf_hub_url(name, "config.json", revision=revision))
    except EntryNotFoundError:
        return "", ""
    except GatedRepoError:
        return "the hub asks for consent to its terms first", "accept them on its page and log in with `hf auth login`"
    except RepositoryNotFoundError:
        return "the hub shows no model of that name", "check it, log in with `hf auth login` if it is private"
    except RevisionNotFoundError:
        return "the hub has no such revision of it", "name another as owner/name@revision"
    except HFValidationError:
        return "that is no folder and no name of the hub", "name a model as owner/name"
    except OfflineModeIsEnabled:
        return "HF_HUB_OFFLINE forbids to ask the hub", "unset it"
    # Whatever the client's HTTP library raises is no part of its own hierarchy.
    except Exception as error:
        return f"the hub cannot be reached ({type(error).__name__})", "check the connection"
    return "", ""
