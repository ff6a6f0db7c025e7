"""Sources by kind, from a path, a YAML file, or ``kind field=value ...`` on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import BeforeValidator, Field

from ...config import COMMAND_LINE, NAMED, load_config, parse_config, read_yaml
from ...errors import InputError
from .base import Source
from .bridge_v1 import BridgeV1Source
from .bridge_v2 import BridgeV2Source
from .ego4d import Ego4dSource, LegoSource
from .epic_kitchens import EpicKitchensSource
from .folder import FolderSource
from .huggingface import HuggingFaceSource
from .lerobot import LeRobotSource
from .rlds import RldsSource
from .ssv2 import Ssv2Source
from .ucf101 import Ucf101Source
from .webdataset_tars import WebDatasetSource

KINDS: dict[str, type[Source]] = {
    "folder": FolderSource,
    "epic_kitchens": EpicKitchensSource,
    "bridge_v1": BridgeV1Source,
    "bridge_v2": BridgeV2Source,
    "rlds": RldsSource,
    "lerobot": LeRobotSource,
    "ssv2": Ssv2Source,
    "ego4d": Ego4dSource,
    "lego": LegoSource,
    "ucf101": Ucf101Source,
    "webdataset": WebDatasetSource,
    "huggingface": HuggingFaceSource,
}


def open_source(place: str, fields: Sequence[str] = ()) -> Source:
    """A source as a command line names it.

    Args:
        place: a folder or list of one's own clips, a YAML file with ``kind: ...`` and its fields, or a kind's name.
        fields: ``field=value`` each.

    Raises:
        InputError: no such place or kind, or a field that is wrong.
    """
    if place in KINDS:
        return parse_config({"kind": place}, KINDS[place], fields, f"source {place}")
    path = Path(place)
    if path.suffix.lower() not in (".yaml", ".yml"):
        source = parse_config({"path": place}, FolderSource, fields, COMMAND_LINE)
        if not path.suffix and path.name == place and not path.exists():
            raise InputError(f"There is no {place}: give a folder or list of clips, or a kind: {', '.join(KINDS)}.")
        return source
    kind = read_yaml(path).get("kind", "folder")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"{path}: there is no kind {kind!r}: choose {', '.join(KINDS)}.")
    return load_config(path, KINDS[kind], fields)


def _named(value: Any) -> Any:
    """A path stands for a folder of clips, or for the YAML of a source."""
    if isinstance(value, str | Path):
        yaml_file = Path(value).suffix.lower() in (".yaml", ".yml")
        value = read_yaml(value) if yaml_file else {"path": value}
    if isinstance(value, dict) and NAMED in value:
        rest = {name: each for name, each in value.items() if name != NAMED}
        return _named(value[NAMED]) | rest
    return {"kind": "folder"} | value if isinstance(value, dict) else value


if TYPE_CHECKING:
    AnySource = Source
else:
    # A source as a field of settings.
    AnySource = Annotated[Union[tuple(KINDS.values())], Field(discriminator="kind"), BeforeValidator(_named)]  # noqa: UP007
