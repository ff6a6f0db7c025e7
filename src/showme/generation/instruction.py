"""Where earlier versions had the check of an instruction: scripts import it from here."""

from __future__ import annotations

from ..instruction import check_instruction

__all__ = ["check_instruction"]
