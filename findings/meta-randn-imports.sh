#!/usr/bin/env bash
# torch 2.13.0: drawing normal numbers on the meta device imports sympy, or the whole of torch._dynamo.
#
# A tensor on the meta device has no storage, so drawing one should cost nothing; torch.zeros, torch.rand and even
# .uniform_() on it import no module. torch.randn(1, device="meta") imports nearly 500 modules, sympy among them, and
# torch.empty(1, device="meta").normal_() imports torch._dynamo, torch.distributed and, where installed, triton too.
# That is done once in a process and takes seconds, while the same draw on the CPU imports nothing.
# So a program that lays out a network on the meta device to start fast is slowed by one initialisation with normal
# numbers, as embeddings have. torch.nn.utils.skip_init does not avoid it, since it builds the module on the meta
# device first; handing the module an empty tensor does (Embedding.from_pretrained).
#
# The script downloads a few GB (torch with CUDA on Linux), unless uv has them in its cache; it needs no GPU.
#
# Seen (2 cores, busy; the numbers of modules and of seconds differ a little from one machine to the next):
#   torch.zeros(1, device="meta"): 0 modules, - (0.0 s)
#   torch.rand(1, device="meta"): 0 modules, - (0.0 s)
#   torch.randn(1): 0 modules, - (0.0 s)
#   torch.empty(1, device="meta").uniform_(): 0 modules, - (0.0 s)
#   torch.nn.Linear(1, 1, device="meta"): 0 modules, - (0.0 s)
#   torch.randn(1, device="meta"): 487 modules, sympy (5.1 s)
#   torch.empty(1, device="meta").normal_(): 889 modules, sympy torch._dynamo torch.distributed.tensor (29.5 s)
#   torch.nn.Embedding(1, 1, device="meta"): 889 modules, sympy torch._dynamo torch.distributed.tensor (25.8 s)
#   torch.nn.utils.skip_init(torch.nn.Embedding, 1, 1): 889 modules, sympy torch._dynamo torch.distributed.tensor (23.5 s)
#   torch.nn.Embedding.from_pretrained(torch.empty(1, 1, device="meta"), freeze=False): 0 modules, - (0.0 s)
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
venv/bin/uv pip install --quiet --python venv/bin/python torch==2.13.0 numpy==2.4.6

cat > draw.py <<'PYTHON'
import sys
import time

import torch

WATCHED = ("sympy", "torch._dynamo", "torch.distributed.tensor")
code, expected = sys.argv[1], sys.argv[2].split()
before, start = set(sys.modules), time.perf_counter()
exec(code)
seconds, new = time.perf_counter() - start, set(sys.modules) - before
found = [name for name in WATCHED if name in new]
print(f"{code}: {len(new)} modules, {' '.join(found) or '-'} ({seconds:.1f} s)")
if found != expected or bool(expected) != bool(new):
    sys.exit("It has changed: other modules are imported.")
PYTHON
venv/bin/python draw.py 'torch.zeros(1, device="meta")' ''
venv/bin/python draw.py 'torch.rand(1, device="meta")' ''
venv/bin/python draw.py 'torch.randn(1)' ''
venv/bin/python draw.py 'torch.empty(1, device="meta").uniform_()' ''
venv/bin/python draw.py 'torch.nn.Linear(1, 1, device="meta")' ''
venv/bin/python draw.py 'torch.randn(1, device="meta")' 'sympy'
venv/bin/python draw.py 'torch.empty(1, device="meta").normal_()' 'sympy torch._dynamo torch.distributed.tensor'
venv/bin/python draw.py 'torch.nn.Embedding(1, 1, device="meta")' 'sympy torch._dynamo torch.distributed.tensor'
venv/bin/python draw.py 'torch.nn.utils.skip_init(torch.nn.Embedding, 1, 1)' 'sympy torch._dynamo torch.distributed.tensor'
venv/bin/python draw.py 'torch.nn.Embedding.from_pretrained(torch.empty(1, 1, device="meta"), freeze=False)' ''
