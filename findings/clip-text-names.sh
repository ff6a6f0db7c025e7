#!/usr/bin/env bash
# transformers 5.6.0 and 5.5.4 (torch 2.13.0): a CLIPTextModel saved by one gets random weights in the other.
#
# Two neighbouring minor versions should read each other's checkpoints, or refuse them. From 5.6.0 on, the names of
# CLIPTextModel's tensors in the file lack "text_model." at their beginning. 5.5.4 looks for the longer names, finds
# none of them, fills every layer with fresh random numbers and returns the model: there is no exception, only a table
# of names among the messages, and not even that at TRANSFORMERS_VERBOSITY=error. Its answers differ from load to load.
# The other way round is fine: 5.6.0 reads what 5.5.4 saved.
# Who shares a text encoder with users of older versions (or rolls back) should load with output_loading_info=True and
# stop where missing_keys is not empty; who publishes one should say which version reads it.
#
# The script downloads a few GB (torch with CUDA on Linux), unless uv has them in its cache; it needs no GPU.
#
# Seen:
#   5.6.0 saved: embeddings.position_embedding.weight, ...
#   5.5.4 saved: text_model.embeddings.position_embedding.weight, ...
#   saved by 5.6.0, loaded by 5.6.0: no exception, 0 of 20 tensors missing, right answers: True, the same twice: True
#   saved by 5.6.0, loaded by 5.5.4: no exception, 20 of 20 tensors missing, right answers: False, the same twice: False
#   saved by 5.5.4, loaded by 5.6.0: no exception, 0 of 20 tensors missing, right answers: True, the same twice: True
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for version in 5.6.0 5.5.4; do
    python3 -m venv "$version"
    "$version/bin/pip" install --quiet --disable-pip-version-check uv==0.13.9
    "$version/bin/uv" pip install --quiet --python "$version/bin/python" \
        torch==2.13.0 numpy==2.4.6 "transformers==$version"
done

cat > save.py <<'PYTHON'
import torch
import transformers
from safetensors import safe_open
from transformers import CLIPTextConfig, CLIPTextModel

sizes = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
places = {"num_attention_heads": 2, "max_position_embeddings": 8}
tokens = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
version = transformers.__version__
model = CLIPTextModel(CLIPTextConfig(**sizes, **places, **tokens)).eval()
model.save_pretrained(version + "-saved")
with torch.no_grad():
    torch.save(model(torch.tensor([[0, 3, 4, 1]])).last_hidden_state, version + "-answer.pt")
with safe_open(version + "-saved/model.safetensors", "pt") as file:
    print(f"{version} saved: {sorted(file.keys())[0]}, ...")
PYTHON
cat > load.py <<'PYTHON'
import sys

import torch
import transformers
from transformers import CLIPTextModel

saved, expected = sys.argv[1], sys.argv[2] == "right"
answers = []
for _ in range(2):
    model, report = CLIPTextModel.from_pretrained(saved + "-saved", output_loading_info=True)
    with torch.no_grad():
        answers.append(model.eval()(torch.tensor([[0, 3, 4, 1]])).last_hidden_state)
missing, tensors = len(report["missing_keys"]), len(list(model.parameters()))
right = torch.allclose(answers[0], torch.load(saved + "-answer.pt"), atol=1e-5)
same = torch.allclose(*answers, atol=1e-5)
print(
    f"saved by {saved}, loaded by {transformers.__version__}: no exception, {missing} of {tensors} tensors missing, "
    f"right answers: {right}, the same twice: {same}"
)
if (right, same) != (expected, expected):
    sys.exit("It has changed: other files are read, or are read in another way.")
PYTHON
export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_PROGRESS_BARS=1 TRANSFORMERS_VERBOSITY=error
5.6.0/bin/python save.py
5.5.4/bin/python save.py
5.6.0/bin/python load.py 5.6.0 right
5.5.4/bin/python load.py 5.6.0 wrong
5.6.0/bin/python load.py 5.5.4 right
