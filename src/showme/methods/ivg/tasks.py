"""The task, and the adapters that its two parts run with; known without torch."""

from __future__ import annotations

TASKS = ("video",)
# What the pipeline can be asked for, in the order of their making.
PARTS = ("region", "video")

REGION = "ivg_region"
VIDEO = "ivg_video"

ACTIVE_ADAPTERS = {"region": [REGION], "video": [VIDEO]}
