"""The networks as diffusers saves, loads and adapts them: ``save_pretrained``, ``from_pretrained``, LoRA by peft.

Each keeps the name of the module that ``model_index.json`` has always named, so that older and newer releases read one
another's models.
"""

from __future__ import annotations

from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.loaders import PeftAdapterMixin

from .image_projector import ImageProjectorLayers
from .video_unet.unet import VideoUNetLayers


class VideoUNet(VideoUNetLayers, ModelMixin, ConfigMixin, PeftAdapterMixin):
    __doc__ = VideoUNetLayers.__doc__
    __module__ = VideoUNetLayers.__module__

    config_name = "config.json"
    _supports_gradient_checkpointing = True
    __init__ = register_to_config(VideoUNetLayers.__init__)


class ImageProjector(ImageProjectorLayers, ModelMixin, ConfigMixin, PeftAdapterMixin):
    __doc__ = ImageProjectorLayers.__doc__
    __module__ = ImageProjectorLayers.__module__

    config_name = "config.json"
    __init__ = register_to_config(ImageProjectorLayers.__init__)
