"""A model on disk: a diffusers folder with named adapters, a description, and a manifest that vouches for every byte.

::

    model_index.json  unet/  vae/  image_projector/  text_encoder/  tokenizer/  image_encoder/  ...
    adapters/state_image.safetensors  adapters/state_video.safetensors
    bundle.json       what it is: size, frames, words it knows (BundleInfo)
    README.md         the model card
    manifest.json     size and SHA-256 of every other file, written last

A thin bundle holds adapters, what else was trained, and a description that names its base and the SHA-256 of each of
the base's weight files (:mod:`.base_model`). Finding and checking a bundle needs neither torch nor diffusers, so that
a wrong name or a damaged file is refused at once; :mod:`.pipelines` loads and saves.
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from packaging.specifiers import SpecifierSet
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .base_model import BaseModelRecord, find_base, verify_base
from .errors import InputError
from .installation import first_unmet
from .instruction import KnownWords
from .manifest import MANIFEST, read_manifest, sha256_of, verify_manifest

INFO = "bundle.json"
CARD = "README.md"
INDEX = "model_index.json"
ADAPTER_FOLDER = "adapters"
# Under this name an adapter's settings stand in its file's header.
LORA_CONFIG = "lora_config"
# Their adapters lie in the folder itself; those of every other component in a folder of its name.
DENOISERS = ("unet", "transformer")
# The same, of Wan's two experts each one.
EXPERTS = (*DENOISERS, "transformer_2")
_ASSETS = Path(__file__).parent / "assets"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# transformers 5.6 gave the CLIP networks other names of weights. An older one fills them with random numbers.
READ_BY: dict[Literal["diffusers", "peft", "transformers"], str] = {"transformers": ">=5.6"}
# Never a pickle: weights come as safetensors, everything else as text.
_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.md", "*.model"]


class BundleInfo(BaseModel):
    """What a bundle is and what it knows (``bundle.json``)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="what the model is called")
    method: str = Field("showme", min_length=1, description="whose pipeline runs it: a name of showme.methods")
    backbone: str = Field("video_unet", min_length=1, description="the family of its network: of showme.backbones")
    base: BaseModelRecord | None = Field(None, description="of a thin bundle: what the adapters belong to; None: whole")
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
        READ_BY, description="package -> versions that read its files"
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
    """A bundle that was found, verified and read, but not yet loaded.

    Attributes:
        folder: the bundle's own.
        info: its description.
        own_hash: its manifest's SHA-256.
        base: of a thin bundle, the folder of what it stands on.
        below: in a stack, the thin bundle under this one.
    """

    folder: Path
    info: BundleInfo
    own_hash: str
    base: Path | None = None
    below: BundleFiles | None = None

    @property
    def hash(self) -> str:
        """Names this exact model: the manifest's SHA-256, or one over those of a stack."""
        hashes = " ".join(files.own_hash for files in self.stack)
        return hashlib.sha256(hashes.encode()).hexdigest() if self.below else self.own_hash

    @property
    def stack(self) -> list[BundleFiles]:
        """The bundles from the lowest up; one, unless several are stacked."""
        return [*(self.below.stack if self.below else []), self]

    def path(self, name: str) -> Path:
        """Where a file or a component's folder lies: in the topmost bundle whose manifest names it, or in the base.

        What a manifest does not name was never verified, and is passed over."""
        holders = (files.folder for files in reversed(self.stack) if _names(files.folder, name))
        found = next(holders, None)
        if found is None and self.base is not None and (self.base / name).exists():
            found = self.base
        return (found or self.folder) / name

    def adapters(self, component: str) -> list[Path]:
        """The files of a component's adapters, the lowest bundle's first."""
        folder = adapter_folder(component)
        names = ((files.folder, name) for files in self.stack for name in sorted(read_manifest(files.folder)))
        return [place / name for place, name in names if Path(name).parent.as_posix() == folder]

    def weight_hashes(self) -> dict[str, str]:
        """Files of weights that the model is made of -> SHA-256; those of a base stand under their own names."""
        recorded = self.info.base.weights if self.info.base else {}
        hashes = {name: digest for name, digest in recorded.items() if name.endswith(".safetensors")}
        for files in self.stack:
            entries = read_manifest(files.folder)
            hashes |= {name: entries[name]["sha256"] for name in entries if name.endswith(".safetensors")}
        return hashes


def _names(folder: Path, name: str) -> bool:
    """Whether a bundle's manifest has a file of this name, or files in a folder of it."""
    return any(entry == name or entry.startswith(f"{name}/") for entry in read_manifest(folder))


def adapter_folder(component: str) -> str:
    """Where in a bundle the adapters of a component lie."""
    return ADAPTER_FOLDER if component in DENOISERS else f"{ADAPTER_FOLDER}/{component}"


def verify_bundle(folder: str | Path) -> str:
    """Check that every file of the bundle is there and unharmed; returns the bundle's hash.

    Raises:
        InputError: the file that is missing or damaged, and what to do.
    """
    return verify_manifest(Path(folder))


def open_bundle(name_or_folder: str | Path, verify: bool = True) -> BundleFiles:
    """Find a bundle, verify it and its base, and read its description, without loading torch.

    Args:
        name_or_folder: ``embedded``, a folder or a hub id; several thin bundles over one base with a plus between.
        verify: whether every byte is looked at. Without, weights may be absent, and nothing is fetched from the hub.

    Raises:
        InputError: no such model, a damaged one, one that the installed packages do not read, a thin bundle whose base
            is missing or another, or a stack of bundles that do not go together.
    """
    opened = [_open_one(name, verify) for name in _stacked(str(name_or_folder))]
    whole = opened[0]
    for files in opened[1:]:
        whole = _laid_over(whole, files)
    return whole


def _open_one(name: str, verify: bool) -> BundleFiles:
    folder = resolve_model(name, fetch=verify)
    bundle_hash = verify_bundle(folder) if verify else ""
    info = read_info(folder)
    if unmet := first_unmet(info.requires.items()):
        raise InputError(f"{folder} cannot be read here ({unmet.words}): {unmet.remedy}.")
    if info.base is None:
        return BundleFiles(folder, info, bundle_hash)
    base = find_base(info.base, folder, partial(resolve_model, fetch=verify), verify)
    if verify:
        verify_base(info.base, base, folder)
    return BundleFiles(folder, info, bundle_hash, base)


def read_info(folder: Path) -> BundleInfo:
    """The description of a bundle.

    Raises:
        InputError: it is no description; names the field.
    """
    try:
        return BundleInfo.model_validate_json((folder / INFO).read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "its JSON"
        raise InputError(f"{folder / INFO}: {field}: {first['msg']}; save the model again.") from error


def verify_unchanged(files: BundleFiles) -> None:
    """Check that the files of a bundle are still those that were opened; their manifests vouch for them.

    Raises:
        InputError: they are not.
    """
    for each in files.stack:
        path = each.folder / MANIFEST
        if not path.is_file() or sha256_of(path) != each.own_hash:
            raise InputError(f"{each.folder} was changed since the model was loaded from it: load it again.")


def _stacked(name: str) -> list[str]:
    """``A+B`` -> A and B, unless something of the whole name is there."""
    parts = [part.strip() for part in name.split("+")]
    return parts if len(parts) > 1 and all(parts) and _kind(Path(name)) is None else [name]


def _laid_over(below: BundleFiles, above: BundleFiles) -> BundleFiles:
    """A thin bundle on another.

    Raises:
        InputError: one of them is whole, their bases differ, or both have a file of the same name.
    """
    for files in (below, above):
        if files.info.base is None:
            raise InputError(f"{files.folder} is a whole model: only thin bundles over one base can be stacked.")
    if below.info.base.weights != above.info.base.weights:  # type: ignore[union-attr]
        names = [files.info.base.name for files in (below, above)]  # type: ignore[union-attr]
        raise InputError(
            f"{below.folder} stands on {names[0]} and {above.folder} on {names[1]}, not on the same files."
        )
    for ours, theirs in itertools.product(set(_claims(below)), set(_claims(above))):
        if ours.meets(theirs):
            raise InputError(
                f"{below.folder} and {above.folder} both hold {ours.words(theirs)}: they cannot be stacked, choose one."
            )
    return replace(above, below=below)


@dataclass(frozen=True)
class _Claim:
    """What a thin bundle changes of its base: an adapter of a component, or the whole component, adapter None."""

    component: str
    adapter: str | None

    def meets(self, other: _Claim) -> bool:
        """Whether both cannot be had: adapters were trained on the component as it was."""
        return self.component == other.component and (
            self.adapter == other.adapter or None in (self.adapter, other.adapter)
        )

    def words(self, other: _Claim) -> str:
        adapter = self.adapter or other.adapter
        return f"{self.component} ({f'adapter {adapter}' if adapter else 'all its weights'})"


def _claims(files: BundleFiles) -> Iterator[_Claim]:
    """What a stack of thin bundles changes."""
    for each in files.stack:
        for name in read_manifest(each.folder):
            path = Path(name)
            if path.suffix != ".safetensors":
                continue
            if path.parts[0] != ADAPTER_FOLDER:
                yield _Claim("denoiser" if path.parts[0] in DENOISERS else path.parts[0], None)
            else:
                yield _Claim("denoiser" if len(path.parts) == 2 else path.parts[1], path.stem)


def resolve_model(name: str | Path, revision: str | None = None, fetch: bool = True) -> Path:
    """The folder of a model: ``embedded``, a bundle's folder, or a Hugging Face hub id ``owner/name``.

    Args:
        name: of the model.
        revision: of a hub id; None: the latest.
        fetch: whether the hub is asked for what is not on this disk.

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
                how = (
                    "write a pipeline with showme.pipelines.save_bundle, or load it with ShowMePipeline.from_pretrained"
                )
            raise InputError(f"{path} is a folder but no ShowMe model (it has no {INFO}): {how}.")
        return path
    if _kind(path) == "file":
        raise InputError(f"{path} is a file: give the folder of a model, or convert it with `showme convert` first.")
    if _HUB_ID.fullmatch(text) and not text.startswith("."):
        return _from_hub(text, revision, fetch)
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


def _from_hub(name: str, revision: str | None, fetch: bool = True) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_HUB_FILES, local_files_only=not fetch))
    except GatedRepoError as error:
        raise InputError(f"The model {name} asks you to accept its terms on huggingface.co first.") from error
    except RepositoryNotFoundError as error:
        raise InputError(f"There is no model {name} on huggingface.co and no folder of that name here.") from error
    except OSError as error:
        if not fetch:
            raise InputError(
                f"There is no folder {name} here, and no model of that name was fetched before."
            ) from error
        raise InputError(
            f"There is no folder {name} here, and the Hugging Face hub cannot be reached to look for that model: "
            "check the name or the network."
        ) from error


def fetch_published(name: str) -> Path:
    """The folder of a published model on the hub, in diffusers' layout.

    Raises:
        InputError: no such folder here and no such model there, or the hub cannot be reached.
    """
    if not _HUB_ID.fullmatch(name):
        raise InputError(f"There is no folder {name}: give the folder as it is published, or a hub id owner/name.")
    return _from_hub(name, None)


def refuse_foreign(folder: Path) -> None:
    """Check that a bundle may be written to ``folder``: nothing there, an empty folder, or an older bundle.

    Raises:
        InputError: a file, or a folder with other things in it.
    """
    if folder.is_file():
        raise InputError(f"{folder} is a file: choose another folder for the model.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / INFO).is_file():
        raise InputError(f"{folder} holds other files: choose an empty folder for the model.")
