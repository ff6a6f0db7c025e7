"""A pipeline that answers pictures at once and is a diffusers pipeline as soon as anybody wants one."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from .bundle import BundleFiles, load_pipeline
from .errors import InputError
from .manifest import MANIFEST, sha256_of
from .methods.showme.pipeline import ShowMeOutput, ShowMeSteps

if TYPE_CHECKING:
    from .methods.showme import ShowMePipeline
    from .methods.showme.plain import PlainPipeline


class LazyPipeline:
    """Calls with PIL pictures go to the plain pipeline; everything else to the whole one, which is loaded then.

    From then on every call goes there too, so that what was changed on it (scheduler, device, settings) counts. To
    ``isinstance`` it is a :class:`showme.methods.showme.ShowMePipeline` from the beginning.

    Args:
        plain: answers meanwhile.
        files: the bundle that both are read from.
    """

    _plain: PlainPipeline | None
    _whole: ShowMePipeline | None
    _files: BundleFiles

    def __init__(self, plain: PlainPipeline, files: BundleFiles):
        vars(self).update(_plain=plain, _whole=None, _files=files)

    @wraps(ShowMeSteps.__call__)
    def __call__(self, *arguments: Any, **settings: Any) -> ShowMeOutput:
        # Input that nobody takes is refused by both, and by the plain one at once.
        pictures = [*arguments[:1], settings.get("image"), settings.get("goal")]
        arrays = any(isinstance(picture, np.ndarray | Tensor) for picture in pictures)
        if self._plain is None or arrays or callable(settings.get("callback_on_step_end")):
            return self._load()(*arguments, **settings)
        return self._plain(*arguments, **settings)

    def set_progress_bar_config(self, **settings: Any) -> None:
        """As :meth:`diffusers.DiffusionPipeline.set_progress_bar_config`."""
        (self._plain or self._load()).set_progress_bar_config(**settings)

    def _load(self) -> ShowMePipeline:
        if self._whole is None:
            folder, bar = self._files.folder, self._plain.bar if self._plain else {}
            if not (folder / MANIFEST).is_file() or sha256_of(folder / MANIFEST) != self._files.hash:
                raise InputError(f"{folder} was changed since the model was loaded from it: load it again.")
            whole = load_pipeline(self._files, "cpu")
            whole.set_progress_bar_config(**bar)
            # Its weights are in memory once.
            vars(self).update(_plain=None, _whole=whole)
        return self._whole  # type: ignore[return-value]

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        from .methods.showme import ShowMePipeline

        return ShowMePipeline

    def __getattr__(self, name: str) -> Any:
        return getattr(self._load(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._load(), name, value)

    def __dir__(self) -> list[str]:
        return dir(self._load())

    def __repr__(self) -> str:
        return repr(self._load())
