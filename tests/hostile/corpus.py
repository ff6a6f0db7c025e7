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


def write_tfrecord(path: Path, features: dict[str, list[bytes]]) -> Path:
    """One Example of lists of bytes, framed and checksummed as TFRecord is."""
    from google_crc32c import value

    def masked(data: bytes) -> bytes:
        crc = value(data)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    def field(number: int, data: bytes) -> bytes:
        size, varint = len(data), b""
        while size > 127:
            varint, size = varint + bytes([size & 127 | 128]), size >> 7
        return bytes([number << 3 | 2]) + varint + bytes([size]) + data

    entries = []
    for name, values in features.items():
        feature = field(1, b"".join(field(1, each) for each in values))
        entries.append(field(1, field(1, name.encode()) + field(2, feature)))
    example = field(1, b"".join(entries))
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


def write_arrow(path: Path, pictures: list[bytes]) -> Path:
    """A row with a list of pictures, as ``datasets`` keeps it."""
    import pyarrow

    cells = [[{"bytes": each, "path": f"{number}.jpg"} for number, each in enumerate(pictures)]]
    table = pyarrow.table({"video": cells, "instruction": ["push it"]})
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    return path


def write_shard(path: Path) -> Path:
    """A shard of WebDataset: a video, and pictures."""
    members = {"1.mp4": tarred_video(path), "1.txt": b"push it", "2.json": b'{"caption": "lift it"}'}
    return write_tar(path, members | {f"2.{number}.jpg": jpeg(number) for number in range(2)})


def write_pairs(path: Path) -> Path:
    """LEGO's list of pairs of pictures."""
    row = {"image_0": "10.jpg", "image_1": "20.jpg", "action": "#C C lifts the jar", "llava_forecast_finetune": "lift"}
    path.write_text(json.dumps({"clip": {"action": row}}))
    return path


def write_actions(path: Path) -> Path:
    """Ego4D's hands and objects, of one action."""
    frames = {"pre_15": 10, "pnr_frame": 25, "post_frame": 40}
    action = {"uid": "a", "start_sec": 0, "end_sec": 2, "narration_text": "#C C lifts a jar", "critical_frames": frames}
    interval = {"start_sec": 0, "end_sec": 9, "narrated_actions": [action]}
    video = {"video_uid": "v", "video_metadata": {"fps": 30}, "annotated_intervals": [interval]}
    path.write_text(json.dumps({"videos": [video]}))
    return path


def write_labels(path: Path) -> Path:
    """Something-Something V2's list."""
    row = {"id": "1", "label": "pushing a jar", "template": "Pushing [something]", "placeholders": ["a jar"]}
    path.write_text(json.dumps([row]))
    return path


def write_episodes(path: Path) -> Path:
    """An RLDS episode."""
    pictures = [jpeg(number) for number in range(3)]
    return write_tfrecord(path, {"steps/observation/image_0": pictures, "steps/language_instruction": [b"push it"]})


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
    "clip.tfrecord": ("tfrecord", lambda path: write_tfrecord(path, {"image": [jpeg(n) for n in range(3)]})),
    "clip.parquet": ("parquet", lambda path: write_parquet(path, [jpeg(number) for number in range(3)])),
    "clip.arrow": ("arrow", lambda path: write_arrow(path, [jpeg(number) for number in range(3)])),
    "shard.tar": ("webdataset", write_shard),
    "fho_main.json": ("ego4d", write_actions),
    "ego4d_train.json": ("lego", write_pairs),
    "train.json": ("ssv2", write_labels),
    "episodes.tfrecord-00000-of-00001": ("rlds", write_episodes),
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
