"""The tasks, and the adapters that each runs with; known without torch."""

from __future__ import annotations

TASKS = ("image", "video")

STATE_IMAGE = "state_image"
STATE_VIDEO = "state_video"

# Of whoever published it, or our own: the same in fewer steps.
FAST = "fast"

# The image task runs with the first adapter alone; the video adds its own over the frozen first.
ACTIVE_ADAPTERS = {"image": [STATE_IMAGE, FAST], "video": [STATE_IMAGE, STATE_VIDEO, FAST]}
