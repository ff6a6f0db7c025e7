"""Data sets as records, one file per kind."""

from .folder import read_folder
from .record import Record

__all__ = ["Record", "read_folder"]
