"""ShowMe: from one photo and one instruction, the picture of the result and the video of the action."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from .methods.base import Pipeline

__version__ = "0.1.0"


def load(
    model: str | Path = "embedded", device: str | torch.device | None = None, dtype: torch.dtype | None = None
) -> Pipeline:
    """A model, ready to use: ``out = showme.load()(image, "push the red box to the left", seed=0)``.

    On a CPU, a model that needs no more than torch answers pictures without diffusers and transformers, which take
    longer to import than it takes to run; they are imported when anything else is asked of the pipeline.

    Args:
        model: ``embedded``, the folder of a bundle, or a Hugging Face hub id.
        device: a GPU when there is one, when None.
        dtype: fp32 on a CPU and the precision on disk elsewhere, when None.

    Raises:
        showme.errors.InputError: no such model, a damaged one, or no such device.
    """
    # Imported here so that `import showme` costs nothing.
    from .bundle import open_bundle
    from .pipelines import load_sooner

    return load_sooner(open_bundle(model), device, dtype)
