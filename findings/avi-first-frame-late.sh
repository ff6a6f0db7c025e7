#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8.1.2, libavformat 62.12): in AVI, the first frame of H.264 and of MPEG-2 is one frame late.
#
# AVI keeps no times of display, only the order of its packets. Without B-frames the order of display is the same, so
# the first frame should be at 0 s, as the stream's own start_time says, and as it is for the same video in MP4.
# For MPEG-4 part 2 it is. For H.264 and MPEG-2 the made-up pts is dts + 1 in each packet, and the first frame stands
# at 1/25 s in a video of 25 frames a second.
# Who picks frames by time gets the frame before the one meant, and labels at given seconds shift by a frame between
# copies of one video in several containers. Times are best counted from the first decoded frame.
#
# Seen (25 frames a second, no B-frames):
#   libx264, avi: start_time 0, (pts, dts) of packets (1, 0) (2, 1) (3, 2), first frame at 0.04 s
#   libx264, mp4: start_time 0, (pts, dts) of packets (0, 0) (512, 512) (1024, 1024), first frame at 0.0 s
#   mpeg2video, avi: start_time 0, (pts, dts) of packets (1, 0) (2, 1) (3, 2), first frame at 0.04 s
#   mpeg2video, mp4: start_time 0, (pts, dts) of packets (0, -512) (512, 0) (1024, 512), first frame at 0.0 s
#   mpeg4, avi: start_time 0, (pts, dts) of packets (0, 0) (1, 1) (2, 2), first frame at 0.0 s
#   mpeg4, mp4: start_time 0, (pts, dts) of packets (0, 0) (512, 512) (1024, 1024), first frame at 0.0 s
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
        stream.codec_context.max_b_frames = 0
        for i in range(12):
            frame = av.VideoFrame(64, 64, "yuv420p")
            for plane, value in zip(frame.planes, (40 + 15 * i, 128, 128)):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


seen = {}
for codec in ("libx264", "mpeg2video", "mpeg4"):
    for suffix in ("avi", "mp4"):
        name = f"{codec}.{suffix}"
        write(name, codec)
        with av.open(name) as container:
            packets = [(p.pts, p.dts) for p in container.demux(video=0) if p.size]
        with av.open(name) as container:
            start = container.streams.video[0].start_time
            frames = list(container.decode(video=0))
        assert len(frames) == 12 and not any(f.pict_type == av.video.frame.PictureType.B for f in frames)
        seen[codec, suffix] = frames[0].time
        shown = " ".join(map(str, packets[:3]))
        print(
            f"{codec}, {suffix}: start_time {start}, (pts, dts) of packets {shown}, "
            f"first frame at {frames[0].time} s"
        )

late = {key for key, seconds in seen.items() if seconds == 0.04}
if late != {("libx264", "avi"), ("mpeg2video", "avi")} or set(seen.values()) != {0.0, 0.04}:
    sys.exit("It has changed: the first frames are at other times.")
PYTHON
