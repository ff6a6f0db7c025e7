#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8.1.2, libavformat 62.12): reading GIFs, min_delay and default_delay do not reach frames.
#
# FFmpeg documents two options for reading GIFs: a delay below min_delay (2 hundredths of a second where nothing is
# said) counts as invalid and becomes default_delay (10 hundredths where nothing is said). So a GIF whose delays are
# 1/100 s should play at 10 frames a second, as in a browser, and at 1 a second with min_delay=50, default_delay=100.
# Frames come at 100 a second in each case. The options are known: a value out of their range is refused.
# In a GIF without delays, default_delay=100 changes the length and the rate that are announced, but not the frames,
# which stay 10 a second; the two then contradict each other.
# Who wants the clock of browsers has to change the times of the frames after decoding.
#
# Seen:
#   delay 1/100 s, {}: times [0.0, 0.01, 0.02, 0.03], announced 0.04 s, rate 100
#   delay 1/100 s, {'min_delay': '2', 'default_delay': '10'}: times [0.0, 0.01, 0.02, 0.03], announced 0.04 s, rate 100
#   delay 1/100 s, {'min_delay': '50', 'default_delay': '100'}: times [0.0, 0.01, 0.02, 0.03], announced 0.04 s, rate 100
#   delay 0, {'default_delay': '100'}: times [0.0, 0.1, 0.2, 0.3], announced 3.0 s, rate 4/3
#   min_delay=99999: OverflowError
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 pillow==12.3.0

cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import av
from PIL import Image

pictures = [Image.new("RGB", (16, 16), (60 * i, 0, 0)) for i in range(4)]


def write(name, milliseconds):
    pictures[0].save(name, save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0)


def read(name, options):
    with av.open(name, format="gif", options=options) as container:
        stream = container.streams.video[0]
        times = [float(frame.pts * frame.time_base) for frame in container.decode(stream)]
        return times, float(stream.duration * stream.time_base), stream.average_rate


write("hundredth.gif", 10)
content = open("hundredth.gif", "rb").read()
# A graphic control extension: 21 F9 04, flags, delay in hundredths of a second.
delays = [content[i + 4] + 256 * content[i + 5] for i in range(len(content)) if content[i : i + 3] == b"\x21\xf9\x04"]
assert delays == [1] * 4, delays

changed = []
for options in ({}, {"min_delay": "2", "default_delay": "10"}, {"min_delay": "50", "default_delay": "100"}):
    times, seconds, rate = read("hundredth.gif", options)
    print(f"delay 1/100 s, {options}: times {times}, announced {seconds} s, rate {rate}")
    changed.append(times != [0.0, 0.01, 0.02, 0.03])

write("none.gif", 0)
options = {"default_delay": "100"}
times, seconds, rate = read("none.gif", options)
print(f"delay 0, {options}: times {times}, announced {seconds} s, rate {rate}")
changed.append((times, seconds) != ([0.0, 0.1, 0.2, 0.3], 3.0))

try:
    read("none.gif", {"min_delay": "99999"})
    print("min_delay=99999: no error")
except Exception as error:
    print(f"min_delay=99999: {type(error).__name__}")

if any(changed):
    sys.exit("It has changed: min_delay or default_delay now has an effect on the times of frames.")
PYTHON
