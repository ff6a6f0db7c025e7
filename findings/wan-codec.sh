#!/usr/bin/env bash
# diffusers 0.42.1: AutoencoderKLWan leaves out frames without a word, and two threads spoil each other's clips.
#
# A slot of its latents holds one frame first and four each afterwards. Of 16 frames it encodes 13: the last three, with
# the end of the clip, are in no latent, and nothing is raised or warned. Its causal convolutions keep what they remember
# in the codec itself, so that encode() in a thread pool, as caches of latents are made, mixes the clips: it raises, or
# gives other latents than one thread does.
#
# The script downloads a few GB (torch with CUDA on Linux), unless uv has them in its cache; it needs no GPU.
#
# Seen:
#   latents of 13, 14, 16 and 17 frames: 4, 4, 4 and 5 slots; those of 16 equal those of its first 13: True
#   clips that four threads encode wrongly or not at all: 12 to 24 of 24
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
venv/bin/uv pip install --quiet --python venv/bin/python torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 accelerate==1.14.0

cat > codec.py <<'PYTHON'
import sys
from concurrent.futures import ThreadPoolExecutor

import torch
from diffusers import AutoencoderKLWan

torch.manual_seed(0)
codec = AutoencoderKLWan(
    base_dim=8, z_dim=4, dim_mult=[1, 2, 2], num_res_blocks=1, temperal_downsample=[True, True],
    latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
).eval()
clip = torch.rand(1, 3, 17, 64, 64)


@torch.no_grad()
def encode(pixels):
    return codec.encode(pixels).latent_dist.mode()


slots = [encode(clip[:, :, :frames]).shape[2] for frames in (13, 14, 16, 17)]
same = torch.equal(encode(clip[:, :, :16]), encode(clip[:, :, :13]))
print(f"latents of 13, 14, 16 and 17 frames: {slots[0]}, {slots[1]}, {slots[2]} and {slots[3]} slots; "
      f"those of 16 equal those of its first 13: {same}")

clips = [torch.rand(1, 3, 17, 64, 64) for _ in range(24)]
alone = [encode(each) for each in clips]


def is_wrong(number):
    try:
        return not torch.allclose(encode(clips[number]), alone[number], atol=1e-3)
    except Exception:
        return True


with ThreadPoolExecutor(4) as pool:
    wrong = sum(pool.map(is_wrong, range(len(clips))))
print(f"clips that four threads encode wrongly or not at all: {wrong} of {len(clips)}")
if slots != [4, 4, 4, 5] or not same or not wrong:
    sys.exit("It has changed.")
PYTHON
venv/bin/python codec.py
