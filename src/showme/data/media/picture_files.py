"""Clips that are chosen pictures of a folder, which may hold others too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .base import Span, check_regular, span_of_pictures
from .pictures import Pictures


@dataclass(frozen=True)
class PictureFiles(Pictures):
    """Pictures by name. path: a folder that holds them all. names: in it, in their order. fps: where it is known."""

    names: tuple[str, ...] = ()

    def _files(self, span: Span | None) -> list[Path]:
        chosen = span_of_pictures(self.path, len(self.names), self.fps, span)
        files = [self.path / self.names[index] for index in chosen]
        for file in files:
            check_regular(file)
        return files
