"""ShowMe (arXiv 2511.17839): one video diffusion model for the picture of the result and the video of the action."""

from .pipeline import ShowMeOutput, ShowMePipeline

__all__ = ["ShowMeOutput", "ShowMePipeline"]
