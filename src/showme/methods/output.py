"""What a pipeline gives back, whatever its method."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any


class Output(OrderedDict):
    """What a call returns, as diffusers' outputs are: fields by name, or by place among those that were asked for.

    image: the result, a PIL image (or an array (H, W, 3) in [0, 1], a tensor (3, H, W), or a latent (C, h, w)).
    frames: the action, a list of T PIL images (or (T, H, W, 3), (T, 3, H, W), or (T, C, h, w)).
    region: where the action happens, a PIL image of mode L (or bool (H, W)), of methods that find or take one.
    What was not asked for, or is not made, leaves its field None.
    """

    def __init__(self, image: Any = None, frames: Any = None, region: Any = None):
        super().__init__()
        self.image, self.frames, self.region = image, frames, region

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if value is not None:
            super().__setitem__(name, value)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key) if isinstance(key, str) else self.to_tuple()[key]

    def to_tuple(self) -> tuple[Any, ...]:
        """The fields that are not None."""
        return tuple(self.values())
