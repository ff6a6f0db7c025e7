#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8.1.2, libavformat 62.12): H.264 with B-frames in AVI has frames whose pts go back and forth.
#
# The decoder gives frames out in the order of display, so their pts should rise. AVI keeps no pts; for MPEG-4 part 2
# with B-frames FFmpeg finds the right ones. For H.264 it fills in the place of the packet in the file plus one, which
# is the order of decoding: the pictures come out in the right order, but with the stamps of that other order.
# So sorting frames by pts puts the video out of order, and picking "the frame at t seconds" by pts picks a wrong one.
# The order in which they are decoded is to be trusted here, and frame k is at k / rate.
#
# Seen (12 shades that get lighter, B-frames on):
#   libx264, avi: IBBPBBPBBP..., shades rise: True, pts 1 3 4 2 6 7 5 9 10 8 ..., rise: False
#   libx264, mp4: IBBPBBPBBP..., shades rise: True, pts 0 512 1024 1536 2048 2560 3072 3584 4096 4608 ..., rise: True
#   mpeg4, avi: IBBIBBIBBI..., shades rise: True, pts 1 2 3 4 5 6 7 8 9 10 ..., rise: True
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0

cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
from fractions import Fraction

import av


def write(name, codec):
    with av.open(name, "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.max_b_frames = 2
        stream.codec_context.gop_size = 100
        stream.bit_rate = 4_000_000
        if codec == "libx264":
            stream.options = {"x264-params": "b-adapt=0:scenecut=0"}
        for i in range(12):
            frame = av.VideoFrame(64, 64, "yuv420p")
            for plane, value in zip(frame.planes, (20 + 18 * i, 128, 128)):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def rise(values):
    return all(a < b for a, b in zip(values, values[1:]))


seen = {}
for codec, suffix in (("libx264", "avi"), ("libx264", "mp4"), ("mpeg4", "avi")):
    name = f"{codec}.{suffix}"
    write(name, codec)
    with av.open(name) as container:
        frames = list(container.decode(video=0))
    kinds = "".join(" IPB"[f.pict_type] if f.pict_type < 4 else "?" for f in frames)
    shades = [bytes(f.planes[0])[0] for f in frames]
    stamps = [f.pts for f in frames]
    assert len(frames) == 12 and "B" in kinds, kinds
    seen[name] = rise(shades), rise(stamps)
    print(
        f"{codec}, {suffix}: {kinds[:10]}..., shades rise: {seen[name][0]}, "
        f"pts {' '.join(map(str, stamps[:10]))} ..., rise: {seen[name][1]}"
    )

if seen != {"libx264.avi": (True, False), "libx264.mp4": (True, True), "mpeg4.avi": (True, True)}:
    sys.exit("It has changed: the frames come in another order, or with other stamps.")
PYTHON
