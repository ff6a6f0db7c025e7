"""Data sets as records, one file per kind."""

from .base import Source
from .choose import KINDS, AnySource, open_source
from .record import Record

__all__ = ["KINDS", "AnySource", "Record", "Source", "open_source"]
