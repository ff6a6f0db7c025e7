"""The objects: sizes, drawn solids, and distance functions used for contact.

Object frame: origin at the centre of the base, z up, metres.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from showme.worlds.tabletop.geometry import IDENTITY, Pose, Primitive, about_axis, capsule
from showme.worlds.tabletop.scene import ObjectSpec
from showme.worlds.tabletop.vocabulary import COLOURS

# Half extents along x and y, and height; for round shapes both halves are the radius.
EXTENTS: dict[str, tuple[float, float, float]] = {
    "box": (0.044, 0.044, 0.084),
    "ball": (0.046, 0.046, 0.092),
    "can": (0.038, 0.038, 0.105),
    "mug": (0.042, 0.042, 0.090),
    "bowl": (0.080, 0.080, 0.052),
    "bottle": (0.034, 0.034, 0.150),
    "cone": (0.050, 0.050, 0.112),
    "tray": (0.078, 0.068, 0.036),
    "case": (0.070, 0.052, 0.068),
    "loaf": (0.086, 0.031, 0.062),
    "knife": (0.016, 0.120, 0.026),
    "cloth": (0.062, 0.062, 0.012),
}
# Height of the floor inside a container, where a thing put into it comes to stand.
INNER_FLOOR = {"bowl": 0.012, "tray": 0.008}

LID_OPEN = float(np.radians(105))
LID_THICKNESS = 0.020
SLICES = 4
_SLICE_LENGTH = 0.036
_SLICE_APART = 0.054
_SLICE_TURN = np.radians(-38)
CLOTH_LEVELS = 6
_STEEL = (0.80, 0.82, 0.85)
_GRIP = (0.16, 0.13, 0.12)


@dataclass(frozen=True)
class ObjectState:
    """Where an object is in one frame, and its moving parts.

    Attributes:
        lid: Opening of a case's lid, radians.
        slices: For each slice of a loaf, how far it has come apart (0..1).
        drape: How far a cloth is spread and hangs down (0 folded flat .. 1 draped).
    """

    pose: Pose
    lid: float = 0.0
    slices: tuple[float, ...] = (0.0,) * SLICES
    drape: float = 0.0

    def centre(self, shape: str) -> np.ndarray:
        """World position of the middle of the object."""
        return self.pose.apply(np.array([0.0, 0.0, EXTENTS[shape][2] / 2]))


def resting(spec: ObjectSpec) -> ObjectState:
    """The state of an object that stands where the scene puts it."""
    return ObjectState(Pose(np.array([spec.x, spec.y, 0.0])), lid=spec.lid)


def footprint(shape: str) -> float:
    """Radius of a disc around the base that holds the object, metres."""
    half_x, half_y, _ = EXTENTS[shape]
    if shape == "mug":
        return half_x + 0.020
    if shape in ("box", "tray", "case"):
        return 0.92 * float(np.hypot(half_x, half_y))
    return max(half_x, half_y)


def distance(shape: str, points: np.ndarray) -> np.ndarray:
    """Signed distance (..., ) in metres from points (..., 3) in the object frame."""
    half_x, half_y, height = EXTENTS[shape]
    if shape == "ball":
        return np.linalg.norm(points - [0, 0, half_x], axis=-1) - half_x
    middle = points - np.array([0, 0, height / 2])
    if shape in ("box", "tray", "case", "loaf", "knife", "cloth"):
        outside = np.abs(middle) - np.array([half_x, half_y, height / 2])
        nearest = np.linalg.norm(np.maximum(outside, 0), axis=-1)
        return nearest + np.minimum(outside.max(axis=-1), 0)
    radius = _radius_at(shape, np.clip(points[..., 2], 0, height))
    around = np.hypot(points[..., 0], points[..., 1]) - radius
    above = np.abs(middle[..., 2]) - height / 2
    nearest = np.hypot(np.maximum(around, 0), np.maximum(above, 0))
    return nearest + np.minimum(np.maximum(around, above), 0)


def _radius_at(shape: str, z: np.ndarray) -> np.ndarray:
    """Outer radius of a round shape at height z."""
    radius, _, height = EXTENTS[shape]
    if shape == "cone":
        return 0.006 + (radius - 0.006) * (1 - z / height)
    if shape == "bottle":
        return np.interp(z, [0.0, 0.085, 0.115, height], [radius, radius, 0.014, 0.014])
    if shape == "bowl":
        return np.interp(z, [0.0, 0.02, height], [0.045, 0.062, radius])
    return np.full_like(z, radius)


def contrast(colour) -> tuple[float, float, float]:
    """A paler tint for undersides and insides; grey where the colour is white."""
    if min(colour) > 0.9:
        return (0.52, 0.52, 0.54)
    return tuple(0.30 * value + 0.70 for value in colour)


def object_primitives(spec: ObjectSpec, state: ObjectState) -> list[Primitive]:
    """Solids of one object in the world."""
    colour = COLOURS[spec.colour]
    if spec.shape == "case":
        local = _case(colour, state.lid)
    elif spec.shape == "loaf":
        local = _loaf(colour, state.slices)
    elif spec.shape == "cloth":
        local = _cloth(colour, state.drape)
    else:
        local = _SOLIDS[spec.shape](colour)
    pose = state.pose
    return [Primitive(p.kind, p.size, pose.apply(p.position), pose.rotation @ p.rotation, p.colour) for p in local]


def _at(kind: str, size, position, colour, rotation=IDENTITY) -> Primitive:
    return Primitive(kind, tuple(size), np.asarray(position, float), rotation, colour)


def _mesh(name: str, colour) -> Primitive:
    return _at(name, (1, 1, 1), (0, 0, 0), colour)


def _box(colour) -> list[Primitive]:
    half, _, height = EXTENTS["box"]
    plate = 0.008
    body = _at("box", (half, half, (height - plate) / 2), (0, 0, (height + plate) / 2), colour)
    return [body, _at("box", (half, half, plate / 2), (0, 0, plate / 2), contrast(colour))]


def _ball(colour) -> list[Primitive]:
    radius = EXTENTS["ball"][0]
    return [_at("globe", (radius,) * 3, (0, 0, radius), colour)]


def _can(colour) -> list[Primitive]:
    radius, _, height = EXTENTS["can"]
    rim = 0.006
    body = _at("drum", (radius, radius, height / 2 - rim), (0, 0, height / 2), colour)
    ends = [
        _at("drum", (radius * 0.95, radius * 0.95, rim / 2), (0, 0, z), _STEEL) for z in (rim / 2, height - rim / 2)
    ]
    return [body, *ends]


def _mug(colour) -> list[Primitive]:
    inside = tuple(0.35 * value for value in colour)
    radius = EXTENTS["mug"][0]
    bottom = _at("drum", (radius * 0.8, radius * 0.8, 0.002), (0, 0, 0.0015), contrast(colour))
    corners = [(0.038, 0.072), (0.064, 0.066), (0.066, 0.034), (0.038, 0.022)]
    handle = [capsule((a[0], 0, a[1]), (b[0], 0, b[1]), 0.0065, colour) for a, b in pairwise(corners)]
    return [_mesh("mug", colour), _mesh("mug_inside", inside), bottom, *handle]


def _bowl(colour) -> list[Primitive]:
    inside = tuple(0.62 * value for value in colour)
    return [_mesh("bowl", colour), _mesh("bowl_inside", inside)]


def _bottle(colour) -> list[Primitive]:
    cap = _at("drum", (0.017, 0.017, 0.012), (0, 0, 0.138), contrast(colour))
    return [_mesh("bottle", colour), cap]


def _cone(colour) -> list[Primitive]:
    return [_mesh("cone", colour)]


def _open_box(half_x, half_y, height, wall, colour, inside) -> list[Primitive]:
    """Four walls and a floor; the floor's top shows the inside colour."""
    middle = height / 2
    return [
        _at("box", (half_x, half_y, wall / 2), (0, 0, wall / 2), colour),
        _at("box", (half_x - wall, half_y - wall, 0.001), (0, 0, wall + 0.0005), inside),
        _at("box", (wall / 2, half_y, middle), (half_x - wall / 2, 0, middle), colour),
        _at("box", (wall / 2, half_y, middle), (wall / 2 - half_x, 0, middle), colour),
        _at("box", (half_x, wall / 2, middle), (0, half_y - wall / 2, middle), colour),
        _at("box", (half_x, wall / 2, middle), (0, wall / 2 - half_y, middle), colour),
    ]


def _tray(colour) -> list[Primitive]:
    half_x, half_y, height = EXTENTS["tray"]
    inside = tuple(0.62 * value for value in colour)
    return _open_box(half_x, half_y, height, 0.008, colour, inside)


def _case(colour, lid: float) -> list[Primitive]:
    half_x, half_y, height = EXTENTS["case"]
    base = height - LID_THICKNESS
    solids = _open_box(half_x, half_y, base, 0.007, colour, contrast(colour))
    turn = about_axis([1, 0, 0], -lid)
    hinge = np.array([0, half_y, base])
    half = LID_THICKNESS / 2
    dark = tuple(0.80 * value for value in colour)

    def on_lid(size, offset, tint) -> Primitive:
        return _at("box", size, hinge + turn @ np.asarray(offset, float), tint, turn)

    solids.append(on_lid((half_x, half_y, half), (0, -half_y, half), dark))
    inner = (half_x - 0.008, half_y - 0.008, 0.001)
    solids.append(on_lid(inner, (0, -half_y, -0.0005), contrast(colour)))
    solids.append(on_lid((0.012, 0.003, 0.009), (0, -2 * half_y - 0.002, half - 0.004), _STEEL))
    return solids


def slice_pose(index: int, apart: float) -> tuple[float, float]:
    """x offset (metres) and turn about z (radians) of a loaf's slice."""
    place = index - (SLICES - 1) / 2
    return place * (_SLICE_LENGTH + (_SLICE_APART - _SLICE_LENGTH) * apart), _SLICE_TURN * apart


def _loaf(colour, slices) -> list[Primitive]:
    radius = EXTENTS["loaf"][1]
    pale = contrast(colour)
    lying = about_axis([0, 1, 0], np.pi / 2)
    ends = [
        _at("ellipsoid", (0.014, radius, radius), (side * SLICES / 2 * _SLICE_LENGTH, 0, radius), colour)
        for side in (-1, 1)
    ]
    if not any(slices):
        whole = (radius, radius, SLICES / 2 * _SLICE_LENGTH)
        return [_at("drum", whole, (0, 0, radius), colour, lying), *ends]
    solids = []
    for index, apart in enumerate(slices):
        x, turn = slice_pose(index, apart)
        spin = about_axis([0, 0, 1], turn)
        centre = np.array([x, 0, radius])
        half = _SLICE_LENGTH / 2
        solids.append(_at("drum", (radius, radius, half), centre, colour, spin @ lying))
        for side in (-1, 1):
            face = centre + spin @ np.array([side * half, 0, 0])
            outer = (index == 0 and side < 0) or (index == SLICES - 1 and side > 0)
            if outer:
                solids.append(_at("ellipsoid", (0.014, radius, radius), face, colour, spin))
            elif apart > 0:
                inner = (radius * 0.84, radius * 0.84, 0.0012)
                solids.append(_at("drum", inner, face, pale, spin @ lying))
    return solids


def _knife(_colour) -> list[Primitive]:
    blade = _at("box", (0.0035, 0.062, 0.017), (0, 0.058, 0.018), _STEEL)
    tip = _at("ellipsoid", (0.0035, 0.018, 0.017), (0, 0.119, 0.018), _STEEL)
    return [blade, tip, capsule((0, -0.105, 0.020), (0, -0.008, 0.020), 0.0115, _GRIP)]


def _cloth(colour, drape: float) -> list[Primitive]:
    # A folded cloth is the flat one drawn smaller and thicker; it unfolds early on.
    unfold = min(1.0, drape / 0.4)
    hang = max(0.0, (drape - 0.4) / 0.6)
    level = round(hang * (CLOTH_LEVELS - 1))
    wide = 0.70 + 0.30 * unfold
    return [_at(f"cloth{level}", (wide, wide, 3 - 2 * unfold), (0, 0, 0), colour)]


_SOLIDS = {
    "box": _box,
    "ball": _ball,
    "can": _can,
    "mug": _mug,
    "bowl": _bowl,
    "bottle": _bottle,
    "cone": _cone,
    "tray": _tray,
    "knife": _knife,
}
