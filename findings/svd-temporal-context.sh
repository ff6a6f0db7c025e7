#!/usr/bin/env bash
# diffusers 0.42.1: the temporal layers of Stable Video Diffusion's network project the same context once for every place.
#
# UNetSpatioTemporalConditionModel takes one context for a clip. In its temporal transformer blocks, whose rows are the
# places of the latent, the context is repeated for every row before cross-attention, so that to_k and to_v multiply the
# same tokens height x width times, and autograd keeps as many copies of keys and values. With the single image token
# that the published model is given this hardly shows; with a context of text tokens, as one that is taught to read
# instructions gets, it is most of what these layers compute and keep. Projecting once and laying the queries of all
# places end to end gives the same output.
#
# The script downloads a few GB (torch with CUDA on Linux), unless uv has them in its cache; it needs no GPU.
#
# Seen, for a clip of 3 frames at 8x8 places and a context of 77 tokens:
#   spatial to_k: 3 rows of 77 tokens
#   temporal to_k: 64 rows of 77 tokens, all alike: True
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
venv/bin/uv pip install --quiet --python venv/bin/python torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 accelerate==1.14.0

cat > rows.py <<'PYTHON'
import sys

import torch
from diffusers import UNetSpatioTemporalConditionModel

torch.manual_seed(0)
network = UNetSpatioTemporalConditionModel(
    sample_size=8,
    block_out_channels=(32, 64),
    layers_per_block=1,
    num_frames=3,
    cross_attention_dim=16,
    down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
    up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
    num_attention_heads=(2, 4),
    addition_time_embed_dim=8,
    projection_class_embeddings_input_dim=24,
)
seen = {}
for name, module in network.named_modules():
    if name.startswith("down_blocks.0") and name.endswith("attn2.to_k"):
        half = "temporal" if "temporal_transformer_blocks" in name else "spatial"
        module.register_forward_pre_hook(lambda layer, given, half=half: seen.setdefault(half, given[0]))
with torch.no_grad():
    network(torch.randn(1, 3, 8, 8, 8), 0.3, torch.randn(1, 77, 16), torch.ones(1, 3))
spatial, temporal = seen["spatial"], seen["temporal"]
alike = bool((temporal == temporal[:1]).all())
print(f"spatial to_k: {spatial.shape[0]} rows of {spatial.shape[1]} tokens")
print(f"temporal to_k: {temporal.shape[0]} rows of {temporal.shape[1]} tokens, all alike: {alike}")
if spatial.shape[:2] != (3, 77) or temporal.shape[:2] != (64, 77) or not alike:
    sys.exit("It has changed.")
PYTHON
venv/bin/python rows.py
