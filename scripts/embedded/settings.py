"""Sizes and budgets of the embedded model, one preset for a CPU and one for a CUDA GPU."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Everything that the embedded model's making depends on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clips: int = Field(4000, description="training clips rendered")
    validation_clips: int = Field(64, description="validation clips rendered")
    size: int = Field(128, description="height and width in pixels")
    frames: int = Field(8, description="frames kept of a clip's 16, evenly spaced, first and last included")
    fps: int = Field(4, description="frames per second of a generated clip")
    minutes: dict[str, float] = Field(
        {"codec": 14, "encoders": 3, "spatial": 8, "base": 54, "stage1": 6, "stage2": 5},
        description="wall-clock bound of each training stage",
    )
    codec_widths: tuple[int, ...] = Field((32, 32, 64, 128), description="codec channels per level")
    latent_channels: int = Field(8, description="channels of the latent")
    codec_crop: int = Field(64, description="side of the crops that most of the codec's steps see")
    codec_batch: int = Field(32, description="crops per step; whole pictures come in a quarter as many")
    text_width: int = Field(128, description="width of the text tokens and of the UNet's context")
    text_layers: int = Field(3, description="layers of the text encoder")
    text_tokens: int = Field(24, description="tokens of an instruction")
    image_width: int = Field(128, description="width of the image tokens")
    image_layers: int = Field(3, description="layers of the image encoder")
    image_queries: int = Field(32, description="image context tokens over all frames")
    unet_widths: tuple[int, ...] = Field((64, 128, 192), description="UNet channels per level")
    unet_attention: tuple[bool, ...] = Field((False, True, True), description="levels with transformers")
    head_dim: int = Field(32, description="width of an attention head")
    temporal_conv_depth: int = Field(1, description="convolutions per temporal stack")
    image_batch: int = Field(64, description="clips per step without the temporal half")
    video_batch: int = Field(8, description="clips per step with it")
    single_frame_share: float = Field(0.3, description="of the base's steps, how many see single frames")
    lora_rank: int = Field(32, description="rank of both adapters")
    seed: int = Field(0, description="of initialisation and every step")


PRESETS = {
    "cpu": Settings(),
    "cuda": Settings(
        clips=12_000,
        frames=16,
        fps=8,
        minutes={"codec": 4, "encoders": 1, "spatial": 2, "base": 9, "stage1": 1.5, "stage2": 2.5},
        codec_widths=(32, 64, 128, 128),
        codec_batch=128,
        image_queries=64,
        unet_widths=(96, 160, 192),
        temporal_conv_depth=2,
        image_batch=256,
        video_batch=48,
    ),
}
