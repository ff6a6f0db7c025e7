"""A model on disk: a diffusers folder with named adapters, a description, and a manifest that vouches for every byte.

::

    model_index.json  unet/  vae/  image_projector/  text_encoder/  tokenizer/  image_encoder/  ...
    adapters/state_image.safetensors  adapters/state_video.safetensors
    bundle.json       what it is: size, frames, words it knows (BundleInfo)
    README.md         the model card
    manifest.json     size and SHA-256 of every other file, written last

Finding, checking and describing a bundle needs neither torch nor diffusers, so that a wrong name or a damaged file is
told at once; only :func:`save_bundle` and :func:`load_pipeline` import them.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from packaging.specifiers import SpecifierSet
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .errors import InputError
from .installation import first_unmet
from .instruction import KnownWords
from .manifest import MANIFEST, verify_manifest, write_manifest

if TYPE_CHECKING:
    import torch

    from .methods.showme import ShowMePipeline

INFO = "bundle.json"
CARD = "README.md"
_ASSETS = Path(__file__).parent / "assets"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# Never a pickle: weights come as safetensors, everything else as text.
# transformers 5.6 gave the CLIP networks other names of weights. An older one fills them with random numbers.
_READ_BY: dict[Literal["diffusers", "peft", "transformers"], str] = {"transformers": ">=5.6"}
_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.md", "*.model"]


class BundleInfo(BaseModel):
    """What a bundle is and what it knows (``bundle.json``)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="what the model is called")
    method: Literal["showme"] = Field("showme", description="the pipeline that runs it")
    height: int = Field(ge=8, description="height of its pictures, pixels")
    width: int = Field(ge=8, description="width of its pictures, pixels")
    num_frames: int = Field(ge=1, description="frames of its videos")
    fps: float = Field(gt=0, description="frames per second at which its videos play")
    default_steps: int = Field(50, ge=1, description="denoising steps per task")
    default_scalar: float | None = Field(None, description="frame stride or fps condition; None: the network's own")
    vocabulary: tuple[str, ...] | None = Field(None, description="every word it knows; None: it knows them all")
    synonyms: dict[str, str] = Field({}, description="unknown word -> the known word that means the same")
    instruction_examples: tuple[str, ...] = Field((), description="instructions that it was trained for")
    familiarity: dict[str, Any] | None = Field(
        None, description="statistics of its training pictures (showme.generation.familiarity); None: it knows any"
    )
    requires: dict[Literal["diffusers", "peft", "transformers"], str] = Field(
        _READ_BY, description="package -> versions that read its files"
    )

    @property
    def known_words(self) -> KnownWords:
        """What instructions are compared with."""
        return KnownWords(self.vocabulary, self.synonyms, self.instruction_examples)

    @field_validator("requires")
    @classmethod
    def _check_versions(cls, value: dict[str, str]) -> dict[str, str]:
        for versions in value.values():
            SpecifierSet(versions)
        return value


@dataclass(frozen=True)
class BundleFiles:
    """A bundle that was found, verified and read, but not yet loaded. ``hash`` is its manifest's SHA-256."""

    folder: Path
    info: BundleInfo
    hash: str


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle in memory, ready to generate."""

    pipeline: ShowMePipeline
    info: BundleInfo
    folder: Path
    hash: str


def save_bundle(
    pipeline: ShowMePipeline,
    info: BundleInfo,
    folder: str | Path,
    card: str | None = None,
    dtype: torch.dtype | None = None,
) -> str:
    """Write a pipeline as a bundle: staged beside ``folder``, moved there when whole. The pipeline is left as it is.

    Args:
        pipeline: its components, and the adapters in its UNet if there are any.
        info: the description.
        folder: where; an older bundle there is replaced.
        card: text of the model card (Markdown); a short one is made from ``info`` without it.
        dtype: precision of the weights on disk, bf16 or fp16 for half the size; None keeps each one's own.

    Returns:
        The bundle's hash.

    Raises:
        InputError: ``folder`` holds something else than a bundle.
    """
    from .bundle_weights import write_pipeline

    folder = Path(folder).absolute()
    refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
    try:
        write_pipeline(pipeline, staging, dtype)
        info = info.model_copy(update={"requires": _READ_BY})
        (staging / INFO).write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (staging / CARD).write_text(card or _default_card(info), encoding="utf-8")
        bundle_hash = write_manifest(staging)
        _make_readable(staging)
        _replace(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return bundle_hash


def verify_bundle(folder: str | Path) -> str:
    """Check that every file of the bundle is there and unharmed; returns the bundle's hash.

    Raises:
        InputError: the file that is missing or damaged, and what to do.
    """
    return verify_manifest(Path(folder))


def open_bundle(name_or_folder: str | Path) -> BundleFiles:
    """Find a bundle, verify it and read its description, without loading torch.

    Raises:
        InputError: no such model, a damaged one, or one that the installed packages do not read.
    """
    folder = resolve_model(name_or_folder)
    bundle_hash = verify_bundle(folder)
    try:
        info = BundleInfo.model_validate_json((folder / INFO).read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "its JSON"
        raise InputError(f"{folder / INFO}: {field}: {first['msg']}; save the model again.") from error
    if unmet := first_unmet(info.requires.items()):
        raise InputError(f"{folder} cannot be read here ({unmet.words}): {unmet.remedy}.")
    return BundleFiles(folder, info, bundle_hash)


def load_pipeline(
    files: BundleFiles, device: str | torch.device | None = None, dtype: torch.dtype | None = None
) -> ShowMePipeline:
    """Build the pipeline of an opened bundle.

    Args:
        files: what :func:`open_bundle` returned.
        device: where to; a GPU when there is one, when None.
        dtype: precision in memory; when None, fp32 on a CPU and the precision on disk elsewhere.

    Raises:
        InputError: weights that do not fit their networks, or a device that is not there.
    """
    from .bundle_weights import read_pipeline

    pipeline = read_pipeline(files.folder, device, dtype)
    pipeline.register_to_config(height=files.info.height, width=files.info.width)
    pipeline.known_words = files.info.known_words
    return pipeline


def load_bundle(
    name_or_folder: str | Path, device: str | torch.device | None = None, dtype: torch.dtype | None = None
) -> LoadedBundle:
    """Find, verify and load a model; arguments and errors as :func:`open_bundle` and :func:`load_pipeline`."""
    files = open_bundle(name_or_folder)
    return LoadedBundle(load_pipeline(files, device, dtype), files.info, files.folder, files.hash)


def resolve_model(name: str | Path) -> Path:
    """The folder of a model: ``embedded``, a bundle's folder, or a Hugging Face hub id ``owner/name``.

    Raises:
        InputError: nothing of that name, with the nearest that exists.
    """
    text = str(name)
    if text == "embedded" or _kind(_ASSETS / text / MANIFEST) == "file":
        if not (_ASSETS / text / MANIFEST).is_file():
            raise InputError("The embedded model is not in this installation: reinstall showme-video, or give --model.")
        return _ASSETS / text
    path = Path(text)
    if text and _kind(path) == "folder":
        if not (path / INFO).is_file():
            how = "convert a published checkpoint with `showme convert` first"
            if (path / "model_index.json").is_file():
                how = "write a pipeline with showme.bundle.save_bundle, or load it with ShowMePipeline.from_pretrained"
            raise InputError(f"{path} is a folder but no ShowMe model (it has no {INFO}): {how}.")
        return path
    if _kind(path) == "file":
        raise InputError(f"{path} is a file: give the folder of a model, or convert it with `showme convert` first.")
    if _HUB_ID.fullmatch(text) and not text.startswith("."):
        return _from_hub(text)
    raise InputError(_unknown(text))


def _kind(path: Path) -> str | None:
    """What lies there; a name that no disk takes (too long, a NUL in it) is nothing."""
    try:
        return "folder" if path.is_dir() else ("file" if path.is_file() else None)
    except (OSError, ValueError):
        return None


def available_models() -> list[str]:
    """Names that :func:`resolve_model` knows here: those in the package and the bundles in the working folder."""
    packaged = [path.parent.name for path in _ASSETS.glob(f"*/{MANIFEST}")]
    local = [path.parent.as_posix() for path in Path().glob(f"*/{INFO}")]
    return sorted(packaged) + sorted(local)


def _unknown(name: str) -> str:
    names = available_models()
    near = difflib.get_close_matches(name, names, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    have = f"{', '.join(names)}, " if names else ""
    shown = name if len(name) <= 60 else f"{name[:60]}..."
    folder = "a model's folder (converted, or trained by an earlier run)"
    return f"There is no model {shown!r}: {meant}choose {have}{folder}, or a hub id owner/name."


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except GatedRepoError as error:
        raise InputError(f"The model {name} asks you to accept its terms on huggingface.co first.") from error
    except RepositoryNotFoundError as error:
        raise InputError(f"There is no model {name} on huggingface.co and no folder of that name here.") from error
    except OSError as error:
        raise InputError(
            f"There is no folder {name} here, and the Hugging Face hub cannot be reached to look for that model: "
            "check the name or the network."
        ) from error


def refuse_foreign(folder: Path) -> None:
    """Check that a bundle may be written to ``folder``: nothing there, an empty folder, or an older bundle.

    Raises:
        InputError: a file, or a folder with other things in it.
    """
    if folder.is_file():
        raise InputError(f"{folder} is a file: choose another folder for the model.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / INFO).is_file():
        raise InputError(f"{folder} holds other files: choose an empty folder for the model.")


def _replace(staging: Path, folder: Path) -> None:
    """Move ``staging`` to ``folder``; a folder cannot replace a filled one, so the older bundle steps aside first."""
    if not folder.exists():
        staging.replace(folder)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent))
    folder.replace(aside)
    staging.replace(folder)
    shutil.rmtree(aside)


def _make_readable(folder: Path) -> None:
    """mkdtemp and safetensors make private files; a model is to be read by all whom the umask lets."""
    umask = os.umask(0)
    os.umask(umask)
    for path in [folder, *folder.rglob("*")]:
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)


def _default_card(info: BundleInfo) -> str:
    words = "every word" if info.vocabulary is None else f"{len(info.vocabulary)} words"
    settings = json.dumps(info.model_dump(exclude={"familiarity", "vocabulary", "synonyms"}), indent=2)
    return (
        f"# {info.name}\n\nA ShowMe model: one photo ({info.width}x{info.height}) and one instruction become the "
        f"picture of the result and a video of {info.num_frames} frames. It knows {words}.\n\n"
        f"```json\n{settings}\n```\n"
    )
