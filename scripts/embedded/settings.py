"""Sizes and budgets of the embedded model, one preset for a CPU and one for a CUDA GPU."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Everything that the embedded model's making depends on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clips: int = Field(2500, description="training clips rendered")
    validation_clips: int = Field(64, description="validation clips rendered; 0: no curve is drawn")
    validation_scenes: int = Field(4, description="of them, how many ShowMe's stages are shown")
    pair_scenes: int = Field(8000, description="first frames rendered with the ends of several instructions")
    ends_per_scene: int = Field(4, description="ends of each such first frame, at most; as many as its table allows")
    size: int = Field(128, description="height and width in pixels")
    frames: int = Field(16, description="frames kept of a clip's 16, evenly spaced, first and last included")
    fps: int = Field(8, description="frames per second of a generated clip")
    minutes: dict[str, float] = Field(
        {
            "codec_crops": 7,
            "codec": 5,
            "decoder": 20,
            "encoders": 3,
            "spatial": 35,
            "coarse": 16,
            "base": 13,
            "state_image": 1.5,
            "state_video": 3,
        },
        description="wall-clock bound of each training stage",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="of training: showme.config.TrainingConfig")
    spatial_steps: int | None = Field(None, description="bound of the spatial stage in place of its minutes")
    optimizer: Literal["muon", "adamw"] = Field("muon", description="of the diffusion network")
    muon_rate: float = Field(0.01, description="Muon's peak step in the spatial stage; half of it for clips")
    adamw_rate: float = Field(5e-4, description="AdamW's, of what Muon does not step or of all; half of it for clips")
    ema: float | None = Field(None, description="decay of averaged weights in the spatial stage; null: none")
    codec_widths: tuple[int, ...] = Field((32, 32, 64, 128), description="codec channels per level")
    latent_channels: int = Field(8, description="channels of the latent")
    codec_crop: int = Field(64, description="side of the crops that most of the codec's steps see")
    codec_batch: int = Field(32, description="crops per step; whole pictures come in a quarter as many")
    encoder_batch: int = Field(64, description="instructions and changes per step of the encoders")
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
    first_step_share: float = Field(0.6, description="of the draws of pictures, how many are at the last timestep")
    clip_first_step_share: float = Field(0.4, description="the same, of clips")
    base_goal_share: float = Field(0.6, description="of the base's clips, how many know their end")
    plain: bool = Field(False, description="pictures of ordinary frames instead of results: for the study of stage 1")
    words: bool = Field(
        True, description="whether instructions are read; false: they are blank in every stage of the base"
    )
    image_batch: int = Field(64, description="clips per step without the temporal half")
    video_batch: int = Field(8, description="clips per step with it")
    coarse_frames: int = Field(8, description="frames of a clip, evenly spaced, in the stage coarse")
    frames_per_clip: int = Field(2, description="single frames that come with every clip of coarse and base")
    lora_rank: int = Field(16, description="rank of both adapters")
    goal_share: float = Field(0.5, description="of the last stage's clips, how many know their end")
    seed: int = Field(0, description="of initialisation and every step")


PRESETS = {
    "cpu": Settings(),
    "cuda": Settings(
        clips=12_000,
        minutes={
            "codec_crops": 2.5,
            "codec": 1.5,
            "decoder": 4,
            "encoders": 1,
            "spatial": 2,
            "coarse": 5,
            "base": 4,
            "state_image": 1.5,
            "state_video": 2.5,
        },
        codec_widths=(32, 64, 128, 128),
        codec_batch=128,
        image_queries=64,
        unet_widths=(96, 160, 192),
        temporal_conv_depth=2,
        image_batch=256,
        video_batch=48,
    ),
}
