"""The factorised spatial/temporal UNet that predicts the noise of a latent video."""

from .unet import VideoUNetLayers

__all__ = ["VideoUNetLayers"]
