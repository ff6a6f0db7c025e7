"""A pipeline that answers pictures at once and is a diffusers pipeline as soon as anybody wants one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from .bundle import BundleFiles, verify_unchanged
from .methods import find_method
from .methods.base import Pipeline


class LazyPipeline:
    """Calls with PIL pictures go to the plain pipeline; everything else to the whole one, which is loaded then.

    From then on every call goes there too, so that what was changed on it (scheduler, device, settings) counts. To
    ``isinstance`` it is a pipeline of its method from the beginning.

    Args:
        plain: answers meanwhile.
        files: the bundle that both are read from.
        load: reads the whole one.
    """

    _plain: Pipeline | None
    _whole: Pipeline | None
    _files: BundleFiles
    _read: Callable[[], Pipeline]

    def __init__(self, plain: Pipeline, files: BundleFiles, load: Callable[[], Pipeline]):
        vars(self).update(_plain=plain, _whole=None, _files=files, _read=load, __wrapped__=type(plain).__call__)

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        # Input that nobody takes is refused by both, and by the plain one at once.
        pictures = [*arguments[:1], settings.get("image"), settings.get("goal")]
        arrays = any(isinstance(picture, np.ndarray | Tensor) for picture in pictures)
        if self._plain is None or arrays or callable(settings.get("callback_on_step_end")):
            return self._load()(*arguments, **settings)
        return self._plain(*arguments, **settings)

    def set_progress_bar_config(self, **settings: Any) -> None:
        """As :meth:`diffusers.DiffusionPipeline.set_progress_bar_config`."""
        (self._plain or self._load()).set_progress_bar_config(**settings)

    def _load(self) -> Pipeline:
        if self._whole is None:
            bar = self._plain.bar if self._plain else {}
            verify_unchanged(self._files)
            whole = self._read()
            whole.set_progress_bar_config(**bar)
            # Its weights are in memory once.
            vars(self).update(_plain=None, _whole=whole)
        return self._whole

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return find_method(self._files.info.method).pipeline()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._load(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._load(), name, value)

    def __dir__(self) -> list[str]:
        return dir(self._load())

    def __repr__(self) -> str:
        return repr(self._load())
