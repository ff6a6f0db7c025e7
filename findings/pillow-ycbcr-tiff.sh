#!/usr/bin/env bash
# Pillow 12.3.0: a whole, uncompressed YCbCr TIFF is called truncated, be it one that Pillow itself has just written.
#
# A picture of mode YCbCr saved as TIFF (no compression, no subsampling of chroma) should open again. Pillow 12.3.0
# raises OSError when its pixels are read: it looks for four bytes a pixel where the file rightly has three.
# Pillow 13.0.0 reads that file. A file with chroma subsampled 2 x 2 (4:2:0), which TIFF 6.0 allows and which the
# script writes byte by byte, is called truncated by both.
# The files are sound: both versions read both of them once TiffImagePlugin.READ_LIBTIFF is set, which has libtiff
# decode uncompressed files too.
# So the message is no proof of a damaged file; who meets YCbCr TIFFs needs Pillow 13, or libtiff for all of them.
#
# Seen:
#   Pillow 12.3.0, 4:4:4: OSError: image file is truncated (0 bytes not processed)
#   Pillow 12.3.0, 4:2:0: OSError: image file is truncated (0 bytes not processed)
#   Pillow 12.3.0, 4:4:4, libtiff: RGB (199, 60, 29)
#   Pillow 12.3.0, 4:2:0, libtiff: RGB (199, 60, 29)
#   Pillow 13.0.0, 4:4:4: RGB (198, 60, 28)
#   Pillow 13.0.0, 4:2:0: OSError: image file is truncated (0 bytes not processed)
#   Pillow 13.0.0, 4:4:4, libtiff: RGB (199, 60, 29)
#   Pillow 13.0.0, 4:2:0, libtiff: RGB (199, 60, 29)
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 12.3.0 13.0.0; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "pillow==$version"
done

cd "$folder"
cat > write.py <<'PYTHON'
import struct

from PIL import Image

SIDE = 16
picture = Image.new("RGB", (SIDE, SIDE), (200, 60, 30)).convert("YCbCr")
picture.save("444.tiff")

y, cb, cr = picture.getpixel((0, 0))
# Units of 2 x 2 pixels: four samples of luma, then one of each chroma.
strip = bytes([y, y, y, y, cb, cr]) * (SIDE // 2) ** 2
SHORT, LONG, RATIONAL = 3, 4, 5
far = {
    258: struct.pack("<3H", 8, 8, 8),
    282: struct.pack("<2I", 72, 1),
    283: struct.pack("<2I", 72, 1),
    532: struct.pack("<12I", 0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1),
    273: strip,
}
tags = [
    (256, SHORT, 1, SIDE),  # width
    (257, SHORT, 1, SIDE),  # height
    (258, SHORT, 3, None),  # bits of a sample
    (259, SHORT, 1, 1),  # no compression
    (262, SHORT, 1, 6),  # YCbCr
    (273, LONG, 1, None),  # where the strip is
    (277, SHORT, 1, 3),  # samples of a pixel
    (278, SHORT, 1, SIDE),  # rows of the strip
    (279, LONG, 1, len(strip)),
    (282, RATIONAL, 1, None),
    (283, RATIONAL, 1, None),
    (284, SHORT, 1, 1),  # samples side by side
    (296, SHORT, 1, 2),  # inches
    (530, SHORT, 2, 2 | 2 << 16),  # subsampling
    (531, SHORT, 1, 1),  # chroma at the centre
    (532, RATIONAL, 6, None),  # full range
]
place = 8 + 2 + 12 * len(tags) + 4
offsets = {}
for tag, content in far.items():
    offsets[tag] = place
    place += len(content)
head = struct.pack("<2sHIH", b"II", 42, 8, len(tags))
body = b"".join(struct.pack("<HHII", *row[:3], offsets.get(row[0], row[3])) for row in tags)
open("420.tiff", "wb").write(head + body + struct.pack("<I", 0) + b"".join(far.values()))
PYTHON
cat > read.py <<'PYTHON'
import sys

import PIL
from PIL import Image, TiffImagePlugin

near = True
for TiffImagePlugin.READ_LIBTIFF in (False, True):
    for name in ("4:4:4", "4:2:0"):
        refused = None
        try:
            with Image.open(name.replace(":", "") + ".tiff") as picture:
                pixel = picture.convert("RGB").getpixel((5, 5))
                result = f"RGB {pixel}"
                near = near and all(abs(a - b) <= 2 for a, b in zip(pixel, (200, 60, 30)))
        except OSError as error:
            refused = str(error)
            result = f"OSError: {error}"
        print(f"Pillow {PIL.__version__}, {name}{', libtiff' * TiffImagePlugin.READ_LIBTIFF}: {result}")
        expected = not TiffImagePlugin.READ_LIBTIFF and (name == "4:2:0" or PIL.__version__ == "12.3.0")
        if expected != (refused is not None and "truncated" in refused):
            near = False
if not near:
    sys.exit("It has changed: another set of the files is read, or refused.")
PYTHON
12.3.0/bin/python write.py
12.3.0/bin/python read.py
13.0.0/bin/python read.py
