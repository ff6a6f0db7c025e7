#!/usr/bin/env bash
# torch 2.13.0 on a CPU: autocast takes float16 tensors in a layer and refuses them in a join.
#
# Inside torch.autocast("cpu", torch.bfloat16) a linear layer with a float16 weight runs, while torch.cat and torch.stack
# of float16 tensors raise RuntimeError: Unexpected floating ScalarType in at::autocast::prioritize. Outside of autocast
# and inside float16 autocast they are joined, and inside bfloat16 autocast bfloat16 and float32 are, also with one
# another. So a diffusion network whose cached latents or conditions are kept in float16 runs on a CPU through its
# layers, and stops where it joins the noisy latents with their condition.
#
# The script downloads a few GB (torch with CUDA on Linux), unless uv has them in its cache; it needs no GPU.
#
# Seen:
#   no autocast: cat of float16: torch.float16
#   bfloat16 autocast: linear with a float16 weight: torch.bfloat16
#   bfloat16 autocast: cat of bfloat16 and float32: torch.float32
#   bfloat16 autocast: cat of float16: Unexpected floating ScalarType
#   bfloat16 autocast: stack of float16: Unexpected floating ScalarType
#   bfloat16 autocast: cat of float16 and float32: Unexpected floating ScalarType
#   float16 autocast: cat of float16: torch.float16
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
venv/bin/uv pip install --quiet --python venv/bin/python torch==2.13.0 numpy==2.4.6

cat > join.py <<'PYTHON'
import contextlib
import sys

import torch
from torch.nn.functional import linear

half, single = torch.ones(2, 2, dtype=torch.float16), torch.ones(2, 2)
brain, refusal = torch.ones(2, 2, dtype=torch.bfloat16), "Unexpected floating ScalarType"


def outcome(work):
    try:
        return str(work().dtype)
    except RuntimeError as error:
        return refusal if refusal in str(error) else str(error)


def autocast(dtype):
    return torch.autocast("cpu", dtype)


none, bfloat16, float16 = contextlib.nullcontext(), autocast(torch.bfloat16), autocast(torch.float16)
rows = [
    ("no autocast: cat of float16", none, lambda: torch.cat([half, half]), "torch.float16"),
    ("bfloat16 autocast: linear with a float16 weight", bfloat16, lambda: linear(single, half), "torch.bfloat16"),
    ("bfloat16 autocast: cat of bfloat16 and float32", bfloat16, lambda: torch.cat([brain, single]), "torch.float32"),
    ("bfloat16 autocast: cat of float16", bfloat16, lambda: torch.cat([half, half]), refusal),
    ("bfloat16 autocast: stack of float16", bfloat16, lambda: torch.stack([half, half]), refusal),
    ("bfloat16 autocast: cat of float16 and float32", bfloat16, lambda: torch.cat([half, single]), refusal),
    ("float16 autocast: cat of float16", float16, lambda: torch.cat([half, half]), "torch.float16"),
]
for name, context, work, expected in rows:
    with context:
        found = outcome(work)
    print(f"{name}: {found}")
    if found != expected:
        sys.exit("It has changed.")
PYTHON
venv/bin/python join.py
