#!/usr/bin/env bash
# Encoding AV1 with libsvtav1 through PyAV as root leaves the calling thread, and every process that it starts afterwards,
# at SCHED_FIFO, priority 99: a child that waits busily then starves the machine. Other users are not given it, and other
# encoders do not ask for it. Run as root on Linux: av 18.1.0 goes from policy 0 (other), priority 0, to policy 1 (FIFO),
# priority 99, and a child inherits both; libx264 leaves policy 0.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "this is of root alone"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy
cd "$folder"
cat > encode.py <<'PY'
import os
import subprocess
import sys

import av
import numpy as np


def encode(codec):
    with av.open(f"{codec}.mp4", "w") as container:
        stream = container.add_stream(codec, rate=8)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        container.mux(stream.encode())


def policy():
    return os.sched_getscheduler(0), os.sched_getparam(0).sched_priority


assert policy() == (0, 0), policy()
encode("libx264")
assert policy() == (0, 0), policy()
encode("libsvtav1")
child = subprocess.check_output([sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"], text=True).strip()
print("av", av.__version__, "policy and priority after libsvtav1:", policy(), "a child's policy:", child)
assert policy() == (1, 99) and child == "1"
PY
"$folder/venv/bin/python" encode.py 2>&1 | grep -v "^Svt"
