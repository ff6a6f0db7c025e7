"""Drawing with MuJoCo's rasteriser.

Every frame is a list of solids handed straight to the rasteriser: one small model holds
the meshes and the light, so that no scene needs a compile or a new OpenGL context.
"""

import atexit
from functools import cache

import numpy as np

from showme.worlds.gl import load_mujoco
from showme.worlds.tabletop.camera import FAR, FIELD_OF_VIEW, NEAR, SIZE, Camera, camera_of
from showme.worlds.tabletop.geometry import IDENTITY, Primitive
from showme.worlds.tabletop.meshes import all_meshes
from showme.worlds.tabletop.scene import Look

# Pictures are drawn at twice the size and averaged: OSMesa's own multisampling is slower.
_DRAWN = 2 * SIZE
_SHADOW_MAP = 512
_MAX_SOLIDS = 400
HAND_ID = 1
FIRST_OBJECT_ID = 2

_SCENE_CENTRE = np.array([0.03, 0.02, 0.04])

# Solids of one owner, with the number that marks their pixels in the mask pass.
Owned = tuple[int, list[Primitive]]


@cache
def shared_renderer() -> "Renderer":
    """The process's one renderer, made at first use."""
    renderer = Renderer()
    # Freed before interpreter shutdown, where the GL bindings are already gone.
    atexit.register(renderer.close)
    return renderer


class Renderer:
    """Draws lists of solids. Raises ``OpenGLMissingError`` where OpenGL is absent."""

    def __init__(self) -> None:
        self._mj = load_mujoco()
        self._gl = self._mj.GLContext(_DRAWN, _DRAWN)
        self._gl.make_current()
        self._model = _asset_model(self._mj)
        self._context = self._mj.MjrContext(self._model, self._mj.mjtFontScale.mjFONTSCALE_50)
        self._mj.mjr_setBuffer(self._mj.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = self._mj.MjvScene(self._model, _MAX_SOLIDS)
        self._window = self._mj.MjrRect(0, 0, _DRAWN, _DRAWN)
        self._rgb = np.zeros((_DRAWN, _DRAWN, 3), np.uint8)
        self._depth = np.zeros((_DRAWN, _DRAWN), np.float32)
        # By whether it throws a shadow; decoration throws none in any MuJoCo.
        self._categories = int(self._mj.mjtCatBit.mjCAT_DECOR), int(self._mj.mjtCatBit.mjCAT_DYNAMIC)
        self._kinds = self._kind_table()
        self._table: list[Primitive] = []

    def close(self) -> None:
        """Free the OpenGL context."""
        self._context.free()
        self._gl.free()

    def set_look(self, look: Look) -> None:
        """Place camera, light, table and background of a scene."""
        mj, scene = self._mj, self._scene
        self._model.light_dir[0] = look.light
        # The shadow map is centred on the light's axis: let that meet the table's middle.
        self._model.light_pos[0] = _SCENE_CENTRE - np.array(look.light)
        data = mj.MjData(self._model)
        mj.mj_forward(self._model, data)
        mj.mjv_updateScene(
            self._model,
            data,
            mj.MjvOption(),
            mj.MjvPerturb(),
            mj.MjvCamera(),
            mj.mjtCatBit.mjCAT_ALL,
            scene,
        )
        _aim(scene, camera_of(look))
        self._table = _table_solids(look)

    def picture(self, owned: list[Owned]) -> np.ndarray:
        """The antialiased picture: uint8 (128, 128, 3)."""
        self._fill(owned)
        self._draw(masks=False)
        wide = self._rgb[::-1].astype(np.uint16)
        rows = wide[0::2] + wide[1::2]
        return ((rows[:, 0::2] + rows[:, 1::2] + 2) >> 2).astype(np.uint8)

    def marks(self, owned: list[Owned]) -> tuple[np.ndarray, np.ndarray]:
        """Owner number per pixel, uint8 (128, 128), and depth in metres, float32 (128, 128)."""
        self._fill(owned)
        self._draw(masks=True)
        # The rasteriser writes the number plus one, and zero where nothing is drawn.
        numbers = np.maximum(self._rgb[::-2, ::2, 0], 1) - 1
        depth = NEAR / (1 - self._depth[::-2, ::2] * (1 - NEAR / FAR))
        return numbers, depth.astype(np.float32)

    def _draw(self, masks: bool) -> None:
        flags = self._scene.flags
        flag = self._mj.mjtRndFlag
        flags[flag.mjRND_SEGMENT] = flags[flag.mjRND_IDCOLOR] = masks
        flags[flag.mjRND_SHADOW] = not masks
        self._mj.mjr_render(self._window, self._scene, self._context)
        self._mj.mjr_readPixels(self._rgb, self._depth if masks else None, self._window, self._context)

    def _fill(self, owned: list[Owned]) -> None:
        self._scene.ngeom = 0
        for solid in self._table:
            self._add(solid, 0, shine=0.05, shadow=False)
        for number, solids in owned:
            shine = 0.10 if number == HAND_ID else 0.35
            for solid in solids:
                self._add(solid, number, shine)

    def _add(self, solid: Primitive, number: int, shine: float, shadow: bool = True) -> None:
        geom = self._scene.geoms[self._scene.ngeom]
        kind, mesh, centre, turn = self._kinds[solid.kind]
        position, rotation, size = solid.position, solid.rotation, solid.size
        if mesh >= 0:
            # The compiler moved the mesh to its own frame: undo that, then scale.
            scaled = rotation * np.asarray(size)
            position = position + scaled @ centre
            rotation, size = scaled @ turn, (1.0, 1.0, 1.0)
        elif solid.kind in ("capsule", "cylinder"):
            size = (size[0], size[2], 0.0)
        self._mj.mjv_initGeom(
            geom,
            kind,
            np.asarray(size, float),
            np.asarray(position, float),
            np.ascontiguousarray(rotation, dtype=float).ravel(),
            np.array([*solid.colour, 1.0], np.float32),
        )
        geom.segid = number
        # The table throws no shadow: on itself it would only give moire.
        geom.category = self._categories[shadow]
        geom.specular, geom.shininess = shine, 0.5
        if mesh >= 0:
            geom.dataid = 2 * mesh
        self._scene.ngeom += 1

    def _kind_table(self) -> dict:
        """Drawing number, mesh number and mesh frame of each kind of solid."""
        kinds = self._mj.mjtGeom
        table = {
            name: (int(getattr(kinds, f"mjGEOM_{name.upper()}")), -1, np.zeros(3), IDENTITY)
            for name in ("box", "sphere", "cylinder", "capsule", "ellipsoid")
        }
        for name in all_meshes():
            number = self._model.mesh(name).id
            turn = np.zeros(9)
            self._mj.mju_quat2Mat(turn, self._model.mesh_quat[number])
            centre = self._model.mesh_pos[number].copy()
            table[name] = (int(kinds.mjGEOM_MESH), number, centre, turn.reshape(3, 3))
        return table


def _asset_model(mj):
    """A model without bodies: meshes, one light, and rendering settings."""
    spec = mj.MjSpec()
    spec.visual.quality.shadowsize = _SHADOW_MAP
    spec.visual.quality.offsamples = 0
    spec.visual.quality.numslices = 12
    spec.visual.quality.numstacks = 6
    spec.visual.global_.offwidth = spec.visual.global_.offheight = _DRAWN
    spec.visual.headlight.ambient = [0.42, 0.42, 0.42]
    spec.visual.headlight.diffuse = [0.26, 0.26, 0.26]
    spec.visual.headlight.specular = [0.0, 0.0, 0.0]
    spec.visual.map.shadowclip = 0.42
    spec.stat.extent = 1.0
    spec.stat.center = [0, 0.05, 0]
    spec.worldbody.add_light(
        type=mj.mjtLightType.mjLIGHT_DIRECTIONAL,
        dir=[0, 0, -1],
        diffuse=[0.50, 0.50, 0.48],
        specular=[0.35, 0.35, 0.35],
        castshadow=True,
    )
    for name, (vertices, faces) in all_meshes().items():
        spec.add_mesh(
            name=name,
            uservert=vertices.ravel().tolist(),
            userface=faces.ravel().tolist(),
            inertia=mj.mjtMeshInertia.mjMESH_INERTIA_SHELL,
        )
        spec.worldbody.add_geom(type=mj.mjtGeom.mjGEOM_MESH, meshname=name)
    return spec.compile()


def _aim(scene, camera: Camera) -> None:
    half = NEAR * np.tan(FIELD_OF_VIEW / 2)
    for view in scene.camera:
        view.pos, view.forward, view.up = camera.position, camera.forward, camera.up
        view.frustum_near, view.frustum_far = NEAR, FAR
        view.frustum_bottom, view.frustum_top = -half, half
        view.frustum_center = view.frustum_width = 0.0


def _table_solids(look: Look) -> list[Primitive]:
    """Table top, its broad stripes, and the wall behind."""
    far, near, width = 0.46, -0.60, 1.4
    middle, half = (far + near) / 2, (far - near) / 2

    def slab(x, half_x, colour) -> Primitive:
        return Primitive("box", (half_x, half, 0.02), np.array([x, middle, -0.02]), IDENTITY, colour)

    count = max(2 * look.stripes, 1)
    pitch = width / count
    solids = []
    for k in range(count):
        colour = look.stripe if k % 2 else look.table
        solids.append(slab((k + 0.5) * pitch - width / 2, pitch / 2, colour))
    wall = np.array([0.0, 1.3, 0.0])
    solids.append(Primitive("box", (3.0, 0.02, 3.0), wall, IDENTITY, look.background))
    return solids
