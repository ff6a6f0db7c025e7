"""The scene record: everything that fixes a clip, as plain JSON-able data."""

from dataclasses import asdict, dataclass
from typing import Any

from showme.worlds.tabletop.vocabulary import phrase

# An RGB colour in 0..1 or a vector in metres.
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class ObjectSpec:
    """One object on the table.

    Attributes:
        colour: A key of ``COLOURS``; props carry the colour name of their cloth.
        shape: One of ``SHAPES`` or ``PROPS``.
        x, y: Place of the base centre on the table, metres (x right, y away).
        lid: Opening of a case's lid, radians; 0 is shut.
    """

    colour: str
    shape: str
    x: float
    y: float
    lid: float = 0.0

    @property
    def name(self) -> str:
        """Colour and shape, as instructions say it."""
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Look:
    """Appearance that varies between scenes; colours are RGB in 0..1.

    Attributes:
        camera_shift: Offset of the camera from its standard place, metres.
        camera_aim: Point on the table in the picture's centre, metres.
        light: Direction in which the light travels, unit vector.
        stripes: Number of broad stripes on the table, 0 for a plain one.
    """

    table: Triple
    stripe: Triple
    stripes: int
    background: Triple
    skin: Triple
    sleeve: Triple
    light: Triple
    camera_shift: Triple
    camera_aim: tuple[float, float]


@dataclass(frozen=True)
class Scene:
    """A clip's full recipe. ``target`` and ``reference`` index ``objects``."""

    seed: int
    split: str
    action: str
    target: int
    reference: int | None
    wording: int
    objects: tuple[ObjectSpec, ...]
    look: Look

    @property
    def second(self) -> ObjectSpec:
        """The reference object. Raises ``ValueError`` if the action has none."""
        if self.reference is None:
            raise ValueError(f"{self.action!r} has no reference object")
        return self.objects[self.reference]

    @property
    def instruction(self) -> str:
        """The sentence that describes what the clip shows."""
        named = None if self.reference is None else self.objects[self.reference].name
        return phrase(self.action, self.objects[self.target].name, named, self.wording)

    def to_dict(self) -> dict:
        """A JSON-able copy of the record."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict) -> "Scene":
        """Rebuild a scene from ``to_dict`` output or from parsed JSON."""
        look: dict[str, Any] = {
            key: tuple(value) if isinstance(value, (list, tuple)) else value for key, value in record["look"].items()
        }
        objects = tuple(ObjectSpec(**spec) for spec in record["objects"])
        return cls(**{**record, "objects": objects, "look": Look(**look)})
