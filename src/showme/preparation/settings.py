"""Settings of preparation from a command line: a YAML of all of them, or a source and single fields."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..config import COMMAND_LINE, SettingsT, load_config, parse_config, read_yaml
from ..data.sources import KINDS


def preparation_config(settings: type[SettingsT], source: str, fields: Sequence[str]) -> SettingsT:
    """Settings whose field ``source`` may be named alone.

    Args:
        settings: the class.
        source: a YAML file of ``settings`` (with a field ``source``) or of a source, a folder or list of clips, or the
            name of a kind, whose fields are then given as ``source.field=value``.
        fields: ``field=value`` each.

    Raises:
        InputError: wrong settings.
    """
    is_yaml = Path(source).suffix.lower() in (".yaml", ".yml")
    if is_yaml and "source" in read_yaml(source):
        return load_config(source, settings, fields)
    place = {"kind": source} if source in KINDS else source
    return parse_config({"source": place}, settings, fields, source if is_yaml else COMMAND_LINE)
