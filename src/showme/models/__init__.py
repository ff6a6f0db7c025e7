"""Networks: forward passes only, no training and no file access."""

from .image_projector import ImageProjector, split_image_tokens
from .video_unet import VideoUNet

__all__ = ["ImageProjector", "VideoUNet", "split_image_tokens"]
