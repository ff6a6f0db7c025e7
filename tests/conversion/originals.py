"""Networks of ours -> weights under the names that DynamiCrafter's files use: the conversion's way, walked backwards.

Written from the layout of the originals, not from the conversion's tables, so that the two check each other.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from showme.models import ImageProjector, VideoUNet

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "embedding": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "shortcut": "skip_connection",
}
_PARTS = {"resnet": 0, "spatial_attention": 1, "temporal_attention": 2}


def unet_originals(unet: VideoUNet, scalar_name: str = "fps_embedding") -> dict[str, Tensor]:
    """``state_dict`` under LVDM's names, without ``model.diffusion_model.``; temporal kernels 5-D as there."""
    steps = unet.config.layers_per_block + 1  # blocks per level: its layers and the resampling, or one layer more
    fixed = {
        "time_embedding": "time_embed",
        "scalar_embedding": scalar_name,
        "conv_in": "input_blocks.0.0",
        "norm_out": "out.0",
        "conv_out": "out.2",
    }
    result = {}
    for key, value in unet.state_dict().items():
        head, _, rest = key.partition(".")
        if head in fixed:
            name = f"{fixed[head]}.{rest}"
        elif head == "temporal_in":
            name = f"init_attn.0.{_transformer(rest)}"
        elif head == "mid_layers":
            number, rest = rest.split(".", 1)
            name = _in_layer("middle_block", rest, first=3 * int(number))
        elif ".layers." in key:
            level, _, layer, rest = rest.split(".", 3)
            first = 1 if head == "down_blocks" else 0
            side = "input_blocks" if head == "down_blocks" else "output_blocks"
            name = _in_layer(f"{side}.{first + int(level) * steps + int(layer)}", rest)
        elif head == "down_blocks":
            level, _, kind = rest.split(".")
            name = f"input_blocks.{(int(level) + 1) * steps}.0.op.{kind}"
        else:
            level, _, kind = rest.split(".")
            attention = unet.config.attention_levels[-1 - int(level)]
            name = f"output_blocks.{(int(level) + 1) * steps - 1}.{3 if attention else 1}.conv.{kind}"
        result[name] = value.unsqueeze(-1) if ".temporal_conv.convs." in key and value.ndim == 4 else value
    return result


def _in_layer(block: str, rest: str, first: int = 0) -> str:
    part, _, leaf = rest.partition(".")
    if part == "temporal_conv":
        kind, number, weight = leaf.split(".")
        position = 0 if kind == "norms" else (2 if number == "0" else 3)  # the first stack has no dropout
        return f"{block}.{first}.temopral_conv.conv{int(number) + 1}.{position}.{weight}"
    if part == "resnet":
        module, weight = leaf.split(".")
        return f"{block}.{first}.{_RESNET[module]}.{weight}"
    return f"{block}.{first + _PARTS[part]}.{_transformer(leaf)}"


def _transformer(leaf: str) -> str:
    leaf = leaf.replace("to_out.", "to_out.0.").replace("ff.proj_in.", "ff.net.0.proj.")
    leaf = leaf.replace("ff.proj_out.", "ff.net.2.")
    return f"transformer_blocks.0.{leaf}" if leaf.startswith(("attn", "ff", "norm1", "norm2", "norm3")) else leaf


def projector_originals(projector: ImageProjector) -> dict[str, Tensor]:
    """``state_dict`` under the Resampler's names, without ``image_proj_model.``."""
    result = {}
    for key, value in projector.state_dict().items():
        name = key.replace("norm_tokens", "norm1").replace("norm_queries", "norm2")
        name = re.sub(r"^attentions\.(\d+)\.", r"layers.\1.0.", name)
        name = re.sub(r"^feed_forwards\.(\d+)\.", r"layers.\1.1.", name)
        result["latents" if name == "queries" else name] = value
    return result


def vae_originals(vae) -> dict[str, Tensor]:
    """``state_dict`` under LDM's names, without ``first_stage_model.``; attention's maps are 1x1 convolutions there."""
    levels = len(vae.config.block_out_channels)
    result = {}
    for key, value in vae.state_dict().items():
        name = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", key)
        name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample.", name)
        name = re.sub(r"up_blocks\.(\d+)\.resnets\.", lambda m: f"up.{levels - 1 - int(m[1])}.block.", name)
        name = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0\.", lambda m: f"up.{levels - 1 - int(m[1])}.upsample.", name)
        name = re.sub(r"mid_block\.resnets\.(\d+)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
        name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        if "mid_block.attentions.0." in name:
            name = name.replace("mid_block.attentions.0.", "mid.attn_1.").replace("group_norm", "norm")
            name = name.replace("to_out.0", "proj_out").replace("to_", "")
            value = value[:, :, None, None] if value.ndim == 2 else value
        result[name] = value
    return result


def schedule_originals(rescale_base: float | None) -> dict[str, Tensor]:
    """The noise schedule's buffers as LVDM computes them, in float64; zero terminal SNR with a ``rescale_base``."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    alphas_cumprod = torch.cumprod(1 - betas, 0)
    if rescale_base is not None:
        root = alphas_cumprod.sqrt()
        alphas_cumprod = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
    names = (
        "betas", "alphas_cumprod_prev", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod",
        "log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod",
        "posterior_variance", "posterior_log_variance_clipped", "posterior_mean_coef1", "posterior_mean_coef2",
    )  # fmt: skip
    buffers = {name: torch.zeros(1000) for name in names} | {"alphas_cumprod": alphas_cumprod.float()}
    if rescale_base is not None:
        ramp = torch.linspace(1.0, rescale_base, 400)
        buffers["scale_arr"] = torch.cat([ramp, torch.full((1000,), rescale_base)])
    return buffers
