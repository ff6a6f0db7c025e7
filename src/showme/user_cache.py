"""Where files lie that were fetched or asked for once, whatever the folder that one works in."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The environment variable SHOWME_CACHE, or ``~/.cache/showme``."""
    return Path(os.environ.get("SHOWME_CACHE") or Path.home() / ".cache" / "showme")
