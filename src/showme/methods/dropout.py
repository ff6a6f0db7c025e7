"""How often training drops a condition, so that guidance has something to compare with; read without torch."""

from __future__ import annotations

from pydantic import Field, model_validator

from ..config import Settings


class DropoutConfig(Settings):
    """Probabilities of dropping a condition, disjoint."""

    text: float = Field(0.05, ge=0, le=1, description="the instruction alone")
    image: float = Field(0.05, ge=0, le=1, description="the image tokens alone")
    both: float = Field(0.05, ge=0, le=1, description="the two together")

    @model_validator(mode="after")
    def _no_more_than_all(self) -> DropoutConfig:
        if self.text + self.image + self.both > 1:
            raise ValueError("text, image and both add up to more than 1")
        return self
