"""Bundles to pipelines and back: the bundle says whose pipeline runs it, and the registry of methods has the class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .base_model import BaseModelRecord
from .bundle import READ_BY, BundleFiles, BundleInfo, open_bundle
from .bundle_folder import describe, drop_components, staged_bundle
from .lazy_pipeline import LazyPipeline
from .manifest import MANIFEST, sha256_of
from .methods import find_method
from .methods.base import Pipeline
from .quantization import Base


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle in memory, ready to generate."""

    pipeline: Pipeline
    info: BundleInfo
    folder: Path
    hash: str


@dataclass(frozen=True)
class Thin:
    """How a thin bundle is written. base: what it stands on; components: those that were trained as a whole."""

    base: BaseModelRecord
    components: tuple[str, ...] = ()


def load_pipeline(
    files: BundleFiles,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    method: str | None = None,
    base: Base | None = None,
) -> Pipeline:
    """Build the pipeline of an opened bundle.

    Args:
        files: what :func:`showme.bundle.open_bundle` returned.
        device: where to; a GPU when there is one, when None.
        dtype: precision in memory; when None, fp32 on a CPU and the precision on disk elsewhere.
        method: whose pipeline; None: as the bundle says. Another one takes those of its settings that it knows.
        base: what becomes of frozen weights, for training, which puts the denoiser on ``device`` itself; excludes
            ``dtype``.

    Raises:
        InputError: weights that do not fit their networks, a device that is not there, or one that cannot run them.
    """
    from .pipeline_files import read_pipeline

    method = method or files.info.method
    find_method(method).check_backbone(files)
    pipeline = read_pipeline(find_method(method).pipeline(), files, device, dtype, method == files.info.method, base)
    _settle(pipeline, files, method)
    return pipeline


def load_sooner(
    files: BundleFiles, device: str | torch.device | None = None, dtype: torch.dtype | None = None
) -> Pipeline:
    """As :func:`load_pipeline`; where that can be put off, what is returned loads it when it must."""
    plain = read_plain(files, device, dtype)
    if plain is None:
        return load_pipeline(files, device, dtype)
    return LazyPipeline(plain, files, lambda: load_pipeline(files, "cpu"))


def read_plain(
    files: BundleFiles, device: str | torch.device | None = None, dtype: torch.dtype | None = None
) -> Pipeline | None:
    """A pipeline in torch alone, for PIL pictures on a CPU; None where the bundle or its method needs the whole one."""
    plain = find_method(files.info.method).read_plain(files, device, dtype)
    if plain is not None:
        _settle(plain, files, files.info.method)
    return plain


def _settle(pipeline: Pipeline, files: BundleFiles, method: str) -> None:
    """What the bundle says of itself, where the pipeline reads it."""
    pipeline.register_to_config(height=files.info.height, width=files.info.width)
    pipeline.known_words, pipeline.backbone_name = files.info.known_words, files.info.backbone
    stack = [*(find_method(each.info.method) for each in files.stack[:-1]), find_method(method)]
    pipeline.active_adapters = {
        task: list(dict.fromkeys(name for each in stack for name in each.active_adapters(task)))
        for task in (*find_method(method).tasks, *find_method(method).parts)
    }


def load_bundle(
    name_or_folder: str | Path, device: str | torch.device | None = None, dtype: torch.dtype | None = None
) -> LoadedBundle:
    """Find, verify and load a model; arguments and errors as :func:`showme.bundle.open_bundle` and
    :func:`load_pipeline`."""
    files = open_bundle(name_or_folder)
    return LoadedBundle(load_pipeline(files, device, dtype), files.info, files.folder, files.hash)


def save_bundle(
    pipeline: Any,
    info: BundleInfo,
    folder: str | Path,
    card: str | None = None,
    dtype: torch.dtype | None = None,
    thin: Thin | None = None,
) -> str:
    """Write a pipeline as a bundle: staged beside ``folder``, moved there when whole. The pipeline is left as it is.

    Args:
        pipeline: its components, and the adapters in its networks if there are any.
        info: the description.
        folder: where; an older bundle there is replaced.
        card: text of the model card (Markdown); a short one is made from ``info`` without it.
        dtype: precision of the weights on disk, bf16 or fp16 for half the size; None keeps each one's own.
        thin: the base that is named instead of being copied, and the components that are written all the same.

    Returns:
        The bundle's hash.

    Raises:
        InputError: ``folder`` holds something else than a bundle.
    """
    from .pipeline_files import write_pipeline

    with staged_bundle(Path(folder)) as staging:
        write_pipeline(pipeline, staging, dtype)
        if thin is not None:
            drop_components(staging, thin.components)
        describe(staging, info.model_copy(update={"requires": READ_BY, "base": thin.base if thin else None}), card)
    return sha256_of(Path(folder) / MANIFEST)
