"""Lists of clips to leave out: JSON lines ``{"id": ..., "reason": ...}``, as ``showme data check`` writes them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from .tables import cell, read_jsonl


def read_exclusions(path: Path) -> dict[str, str]:
    """Ids with the reasons.

    Raises:
        InputError: no such file, or a line that is no exclusion.
    """
    return {cell(origin, row, "id"): str(row.get("reason", "")) for origin, row in read_jsonl(path)}


def write_exclusions(path: Path, reasons: Mapping[str, str]) -> None:
    """Write a list in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f"{path.name}.{os.getpid()}.partial")
    lines = [json.dumps({"id": name, "reason": reason}, ensure_ascii=False) + "\n" for name, reason in reasons.items()]
    staged.write_text("".join(lines), encoding="utf-8")
    staged.replace(path)
