"""The task and the adapter's name; known without torch."""

from __future__ import annotations

TASKS = ("video",)
# LoRA on the cross-attention, where that is how it is trained.
ADAPTER = "aid"

ACTIVE_ADAPTERS = {"video": [ADAPTER]}
