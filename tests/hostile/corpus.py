"""Small whole files of every kind that the data layer reads, from which hostile ones are made."""

from __future__ import annotations

import io
import json
import os
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from ..data.media.videos import picture, write_clip

SIZE = (32, 24)
X264 = {"bf": "2", "b-adapt": "0", "preset": "ultrafast", "x264-params": "log-level=none:bframes=2:b-adapt=0"}


def jpeg(number: int, **options) -> bytes:
    """A picture file."""
    file = io.BytesIO()
    Image.fromarray(picture(number, *SIZE)).save(file, options.pop("format", "JPEG"), **options)
    return file.getvalue()


def write_tar(path: Path, members: dict[str, bytes], changes: dict | None = None) -> Path:
    """An archive, without the zeros that fill its last record. changes: of all headers."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for field, value in (changes or {}).items():
                setattr(info, field, value)
            archive.addfile(info, io.BytesIO(data))
        end = archive.offset + 2 * tarfile.BLOCKSIZE
    os.truncate(path, end)
    return path


def write_tfrecord(path: Path, pictures: list[bytes]) -> Path:
    """One Example whose feature ``image`` lists pictures; framed and checksummed as TFRecord is."""
    from google_crc32c import value

    def masked(data: bytes) -> bytes:
        crc = value(data)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    def field(number: int, data: bytes) -> bytes:
        size, varint = len(data), b""
        while size > 127:
            varint, size = varint + bytes([size & 127 | 128]), size >> 7
        return bytes([number << 3 | 2]) + varint + bytes([size]) + data

    feature = field(1, b"".join(field(1, each) for each in pictures))
    example = field(1, field(1, field(1, b"image") + field(2, feature)))
    head = struct.pack("<Q", len(example))
    path.write_bytes(head + masked(head) + example + masked(example))
    return path


def write_parquet(path: Path, pictures: list[bytes]) -> Path:
    """An episode of pictures."""
    import pyarrow
    from pyarrow import parquet

    numbers = list(range(len(pictures)))
    cells = [{"bytes": each, "path": f"{number}.jpg"} for number, each in enumerate(pictures)]
    table = pyarrow.table({"image": cells, "episode_index": [0] * len(numbers), "frame_index": numbers})
    parquet.write_table(table, path)
    return path


def write_index(path: Path) -> Path:
    """A list of clips as JSON lines, JSON or CSV."""
    rows = [{"id": str(number), "file": f"{number}.mp4", "instruction": f"push jar {number}"} for number in range(3)]
    if path.suffix == ".csv":
        path.write_text("id,file,instruction\n" + "".join(",".join(row.values()) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_video(path: Path, muxer: dict[str, str] | None = None, **options) -> Path:
    """A video of twelve small frames. muxer: its options; options: of :func:`write_clip`."""
    write_clip(path, **{"frames": 12, "fps": 10, "size": SIZE, "gop": 6} | options)
    if muxer is None:
        return path
    plain = path.rename(path.with_name(f"plain-{path.name}"))
    with av.open(str(plain)) as source, av.open(str(path), "w", options=muxer) as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    plain.unlink()
    return path


VP9 = {"codec": "libvpx-vp9", "options": {"cpu-used": "8", "lag-in-frames": "4"}}
# How each is read, and what writes it.
WHOLE: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "end.mp4": ("video", lambda path: write_video(path, options=X264)),
    "front.mp4": ("video", lambda path: write_video(path, options=X264, muxer={"movflags": "faststart"})),
    "fragmented.mp4": (
        "video",
        lambda path: write_video(path, options=X264, muxer={"movflags": "frag_keyframe+empty_moov"}),
    ),
    "vp9.webm": ("video", lambda path: write_video(path, **VP9)),
    "h264.mkv": ("video", lambda path: write_video(path, options=X264)),
    "mpeg4.avi": ("video", lambda path: write_video(path, codec="mpeg4", options={"bf": "2"})),
    "pictures.gif": ("video", lambda path: write_video(path, codec="gif", pixels="rgb8")),
    "stream.ts": ("video", lambda path: write_video(path, options=X264)),
    "picture.jpg": ("picture", lambda path: path.write_bytes(jpeg(5)) and path),
    "picture.png": ("picture", lambda path: path.write_bytes(jpeg(5, format="PNG")) and path),
    "picture.webp": ("picture", lambda path: path.write_bytes(jpeg(5, format="WEBP")) and path),
    "picture.bmp": ("picture", lambda path: path.write_bytes(jpeg(5, format="BMP")) and path),
    "clip.safetensors": ("rendered", lambda path: save_arrays(path)),
    "frames.tar": ("tar", lambda path: write_tar(path, {f"frame_{n:010d}.jpg": jpeg(n) for n in range(1, 4)})),
    "video.tar": ("tarred video", lambda path: write_tar(path, {"a.mp4": tarred_video(path)})),
    "clip.tfrecord": ("tfrecord", lambda path: write_tfrecord(path, [jpeg(number) for number in range(3)])),
    "clip.parquet": ("parquet", lambda path: write_parquet(path, [jpeg(number) for number in range(3)])),
    "index.jsonl": ("jsonl", write_index),
    "index.json": ("json", write_index),
    "index.csv": ("csv", write_index),
}


def save_arrays(path: Path) -> Path:
    """A clip as arrays."""
    save_file({"frames": np.stack([picture(number, 8, 6) for number in range(4)])}, path)
    return path


def tarred_video(path: Path) -> bytes:
    """The bytes of a video, written beside ``path`` for a moment."""
    video = write_video(path.with_suffix(".mp4"), options=X264)
    data = video.read_bytes()
    video.unlink()
    return data
