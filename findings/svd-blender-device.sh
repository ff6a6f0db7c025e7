#!/usr/bin/env bash
# diffusers 0.42.1: networks of Stable Video Diffusion that are made under a default device are made on two devices.
#
# torch.device("meta") as a context, or torch.set_default_device, decides where a module's parameters are made: the way to
# count a large network, or to make it straight on a GPU. The factors of the blenders between spatial and temporal layers
# are made by torch.Tensor([...]), the old constructor, which does not ask for the default device, and stay on the CPU. So a
# forward pass on the meta device stops in a blender. network.to("meta") afterwards mends it.
#
# The script downloads a few GB (torch with CUDA on Linux), unless uv has them in its cache; it needs no GPU.
#
# Seen:
#   parameters on meta: 412, on cpu: 12
#   those on the CPU: mix_factor
#   forward pass: RuntimeError
#   after .to("meta"): (1, 3, 4, 8, 8)
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
venv/bin/uv pip install --quiet --python venv/bin/python torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 accelerate==1.14.0

cat > devices.py <<'PYTHON'
import sys
from collections import Counter

import torch
from diffusers import UNetSpatioTemporalConditionModel

with torch.device("meta"):
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
    given = torch.zeros(1, 3, 8, 8, 8), torch.zeros(1), torch.zeros(1, 1, 16), torch.zeros(1, 3)
places = Counter(parameter.device.type for parameter in network.parameters())
left = {name.rpartition(".")[2] for name, parameter in network.named_parameters() if parameter.device.type == "cpu"}
print(f"parameters on meta: {places['meta']}, on cpu: {places['cpu']}")
print(f"those on the CPU: {', '.join(sorted(left))}")
try:
    network(*given)
    outcome = "runs"
except RuntimeError as error:
    outcome = type(error).__name__
print(f"forward pass: {outcome}")
shape = tuple(network.to("meta")(*given).sample.shape)
print(f'after .to("meta"): {shape}')
if not places["cpu"] or left != {"mix_factor"} or outcome != "RuntimeError" or shape != (1, 3, 4, 8, 8):
    sys.exit("It has changed.")
PYTHON
venv/bin/python devices.py
