"""The tasks, the adapters that each runs with, and where a bundle keeps them; known without torch."""

from __future__ import annotations

TASKS = ("image", "video")

STATE_IMAGE = "state_image"
STATE_VIDEO = "state_video"

# The image task runs with the first adapter alone; the video adds its own over the frozen first.
ACTIVE_ADAPTERS = {"image": [STATE_IMAGE], "video": [STATE_IMAGE, STATE_VIDEO]}

ADAPTER_FOLDER = "adapters"
# The UNet's files lie in the folder itself, the projector's in a folder of its name.
COMPONENT_FOLDERS = {"unet": ADAPTER_FOLDER, "image_projector": f"{ADAPTER_FOLDER}/image_projector"}
LORA_CONFIG = "lora_config"
