"""A run's settings from its YAML: the method that it names has the fields."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ..config import parse_config, read_yaml
from ..errors import InputError
from ..run_config import RunConfig
from . import DEFAULT, find_method


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read the YAML of a run, change single fields, and check the whole.

    Args:
        path: of the YAML file.
        overrides: ``field.of.field=value`` each; the value is read as YAML.

    Raises:
        InputError: no such file, no YAML, an unknown method, an unknown field, or a value that it cannot have.
    """
    return parse_recipe(read_yaml(path), overrides, str(path))


def parse_recipe(tree: dict[str, Any], overrides: Sequence[str], name: str) -> RunConfig:
    """As :func:`load_recipe`, of a mapping that ``name`` stands for in messages."""
    given = [value for field, _, value in (each.partition("=") for each in overrides) if field == "method"]
    method = given[-1] if given else tree.get("method", DEFAULT)
    source = "the command line" if given else name
    try:
        method = yaml.safe_load(method) if given else method
    except yaml.YAMLError as error:
        raise InputError(f"{source}: method: {method!r} is no YAML value.") from error
    if not isinstance(method, str) or not method:
        raise InputError(f"{source}: method must be the name of a paper, such as {DEFAULT}, or left out.")
    try:
        settings = find_method(method).settings()
    except InputError as error:
        raise InputError(f"{source}: method: {error}") from error
    try:
        return parse_config(tree, settings, overrides, name)
    except InputError as error:
        if (given or "method" in tree) and "there is no field" in str(error):
            raise InputError(f"{str(error).removesuffix('.')} (the run's method is {method}).") from error
        raise
