"""ShowMe: from one photo and one instruction, the picture of the result and the video of the action."""

__version__ = "0.1.0"
