#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8.1.2, libswscale 9.5): grey frames of limited range are converted as if they were of full range.
#
# In limited range ("MPEG", "tv"), 16 is black. A frame of yuv420p that is tagged so becomes RGB 0, as one expects.
# The same samples as gray8 with the same tag become RGB 16: the tag is read from the file, is on the frame, and is
# passed over. Giving src_color_range does not help either. A conversion from limited grey to limited yuv420p, which
# should leave each sample as it is, turns 16 into 30: samples are squeezed a second time.
# Who decodes grey video (here FFV1 in Matroska) gets pale blacks and dull whites, with no warning.
# A way out is to stretch the samples oneself, or to give the grey plane to a yuv420p frame with chroma of 128.
#
# Seen:
#   yuv420p: range MPEG, stored 16, as RGB 0, with the range given 0, as limited yuv420p 16
#   gray: range MPEG, stored 16, as RGB 16, with the range given 16, as limited yuv420p 30
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0

cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import av
from av.video.reformatter import ColorRange

LIMITED, FULL = ColorRange.MPEG, ColorRange.JPEG


def decoded(pixels):
    """A frame of black in limited range, written without loss and read again."""
    frame = av.VideoFrame(64, 64, pixels)
    for plane, value in zip(frame.planes, (16, 128, 128)):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.pts, frame.color_range = 0, LIMITED
    with av.open(f"{pixels}.mkv", "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, pixels
        stream.codec_context.color_range = LIMITED
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(f"{pixels}.mkv") as container:
        return next(container.decode(video=0))


def first(frame):
    return bytes(frame.planes[0])[0]


seen = {}
for pixels in ("yuv420p", "gray"):
    frame = decoded(pixels)
    assert frame.format.name == pixels and frame.color_range == LIMITED, (frame.format.name, frame.color_range)
    rgb = first(frame.reformat(format="rgb24"))
    given = first(frame.reformat(format="rgb24", src_color_range=LIMITED, dst_color_range=FULL))
    same = first(frame.reformat(format="yuv420p", src_color_range=LIMITED, dst_color_range=LIMITED))
    print(
        f"{pixels}: range MPEG, stored {first(frame)}, as RGB {rgb}, with the range given {given}, "
        f"as limited yuv420p {same}"
    )
    seen[pixels] = rgb, given, same

if seen != {"yuv420p": (0, 0, 16), "gray": (16, 16, 30)}:
    sys.exit("It has changed: grey frames of limited range are no longer converted as they were.")
PYTHON
