"""Small files that claim much, and large ones that hold nothing. None can be read; each says why."""

from __future__ import annotations

import gzip
import json
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

from .corpus import VP9, X264, jpeg, save_arrays, write_tar, write_video
from .surprises import patched, put

HUGE = 2**28
# A demuxer looks everywhere for what it knows, some 10 MB a second.
SCANNED = (".avi", ".mkv")


def png(path: Path, width: int, height: int, depth: int = 1, honest: bool = True) -> Path:
    """A grey picture of zeros. honest: whether its pixels are there."""
    rows = zlib.compressobj(9)
    line = bytes(1 + (width * depth + 7) // 8)
    data = b"".join(rows.compress(line) for _ in range(height if honest else 1)) + rows.flush()
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)), (b"IDAT", data), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))
    return path


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_text(path: Path) -> Path:
    """A picture with a comment that unpacks to 256 MiB."""
    picture = jpeg(5, format="PNG")
    comment = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(HUGE), 9))
    path.write_bytes(picture[:33] + comment + picture[33:])
    return path


def changed(path: Path, data: bytes, offset: int, layout: str, *values) -> Path:
    """Bytes with values put over some of them."""
    data = bytearray(data)
    struct.pack_into(layout, data, offset, *values)
    path.write_bytes(data)
    return path


def gif_frames(path: Path) -> Path:
    """A canvas of 65535x1000 on which 600 frames of a pixel each are painted."""
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    head = b"GIF89a" + struct.pack("<HHBBB", 65535, 1000, 0x80, 0, 0) + bytes(6)
    path.write_bytes(head + frame * 600 + b";")
    return path


def sparse(path: Path, head: bytes = b"", size: int | None = None) -> Path:
    """A file of zeros that takes no room."""
    size = size or (2**25 if path.suffix in SCANNED else 2**30)
    path.write_bytes(head)
    with path.open("r+b") as file:
        file.truncate(size)
    return path


def video(path: Path, offset_of: bytes, offset: int, layout: str, *values, **options) -> Path:
    """A video whose header says another size."""
    data = write_video(path, **options).read_bytes()
    return changed(path, data, data.index(offset_of) + offset, layout, *values)


def safetensors(path: Path, shape: list[int], stop: int) -> Path:
    """Arrays whose header lies."""
    head = json.dumps({"frames": {"dtype": "U8", "shape": shape, "data_offsets": [0, stop]}}).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(64))
    return path


def tar_header(path: Path, name: str = "frame_1.jpg", kind: bytes = b"0", size: int = 0, link: str = "") -> bytes:
    """One header, and what a size below zero or of 8 GiB and more takes."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def tar(path: Path, *members: tuple[str, bytes, int, str], tail: bytes = bytes(1024)) -> Path:
    """An archive of headers without data: name, type, size, link's aim."""
    path.write_bytes(b"".join(tar_header(path, *member) for member in members) + tail)
    return path


def gzipped(path: Path) -> Path:
    """An archive that unpacks to 256 MiB."""
    path.write_bytes(gzip.compress(bytes(HUGE), 9))
    return path


def samples(data: bytearray) -> None:
    """A table of 67 million samples of one byte each, in one chunk."""
    put(b"stsz", 8, ">II", 1, 2**26)(data)
    put(b"stsc", 8, ">4I", 1, 1, 2**26, 1)(data)


FRAGMENTS = {"options": X264, "muxer": {"movflags": "frag_keyframe+empty_moov"}}
MJPEG = {"codec": "mjpeg", "pixels": "yuvj420p"}
BOMBS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "samples.mp4": ("video", lambda path: patched(path, samples)),
    "table.mp4": ("video", lambda path: patched(path, put(b"stsz", 8, ">II", 0, 2**28))),
    "fragment.mp4": ("video", lambda path: video(path, b"trun", 4, ">II", 1, 2**26, **FRAGMENTS)),
    "box.mp4": ("video", lambda path: patched(path, put(b"moov", -4, ">I", 2**31))),
    "long-box.mp4": ("video", lambda path: patched(path, put(b"moov", -4, ">I", 1))),
    "size.gif": ("video", lambda path: video(path, b"GIF89a", 6, "<HH", 65535, 65535, codec="gif", pixels="rgb8")),
    "frames.gif": ("video", gif_frames),
    "size.avi": ("video", lambda path: video(path, b"\xff\xc0", 5, ">HH", 65500, 65500, **MJPEG)),
    "size.webm": ("video", lambda path: video(path, b"\x49\x83\x42", 3, ">HH", 0xFFFF, 0xFFFF, **VP9)),
    "segment.mkv": ("video", lambda path: video(path, b"\x18\x53\x80\x67", 4, ">Q", 2**56 + 2**50, options=X264)),
    "size.png": ("picture", lambda path: png(path, 60000, 60000, honest=False)),
    "bomb.png": ("picture", lambda path: png(path, 20000, 20000)),
    "line.png": ("picture", lambda path: png(path, 67_000_000, 1)),
    "column.png": ("picture", lambda path: png(path, 1, 67_000_000, honest=False)),
    "comment.png": ("picture", png_text),
    "size.jpg": ("picture", lambda path: changed(path, jpeg(5), jpeg(5).index(b"\xff\xc0") + 5, ">HH", 65500, 65500)),
    "size.bmp": ("picture", lambda path: changed(path, jpeg(5, format="BMP"), 18, "<ii", 2**31 - 1, 2**31 - 1)),
    "size.webp": ("picture", lambda path: changed(path, jpeg(5, format="WEBP", lossless=True), 21, "<I", 2**28 - 1)),
    "shape.safetensors": ("rendered", lambda path: safetensors(path, [2**40, 2**10, 2**10, 3], 64)),
    "end.safetensors": ("rendered", lambda path: safetensors(path, [2**30, 24, 32, 3], 2**30 * 24 * 32 * 3)),
    "none.safetensors": ("rendered", lambda path: safetensors(path, [2**62, 0, 0, 3], 0)),
    "header.safetensors": ("rendered", lambda path: changed(path, save_arrays(path).read_bytes(), 0, "<Q", 2**63)),
    "lying-size.tar": ("tar", lambda path: tar(path, ("frame_1.jpg", b"0", 2**40, ""))),
    "backwards.tar": ("tar", lambda path: tar(path, ("frame_1.jpg", b"0", -512, ""))),
    "long-name.tar": ("tar", lambda path: sparse(tar(path, ("x", b"L", 2**29, "")), path.read_bytes())),
    "long-pax.tar": ("tar", lambda path: sparse(tar(path, ("x", b"x", 2**29, "")), path.read_bytes())),
    "deep-names.tar": ("tar", lambda path: tar(path, *[("x", b"L", 0, "")] * 5000)),
    "sparse-member.tar": ("tar", lambda path: tar(path, ("frame_1.jpg", b"S", 2**40, ""))),
    "upwards.tar": ("tar", lambda path: write_tar(path, {"../../frame_1.jpg": jpeg(1)})),
    "absolute.tar": ("tar", lambda path: write_tar(path, {"/tmp/frame_1.jpg": jpeg(1)})),
    "link.tar": ("tar", lambda path: tar(path, ("frame_1.jpg", b"2", 0, "/etc/passwd"))),
    "hard-link.tar": ("tar", lambda path: tar(path, ("frame_1.jpg", b"1", 0, "../../frame_1.jpg"))),
    "device.tar": ("tar", lambda path: tar(path, ("frame_1.jpg", b"3", 0, ""), ("frame_2.jpg", b"6", 0, ""))),
    "newline.tar": ("tar", lambda path: write_tar(path, {"frame\n_1.jpg": jpeg(1)})),
    "twice.tar": ("tar", lambda path: write_tar(path, {"a/frame_1.jpg": jpeg(1), "b/frame_1.jpg": jpeg(2)})),
    "digits.tar": ("tar", lambda path: write_tar(path, {f"{'9' * 5000}.jpg": jpeg(1)})),
    "gzip.tar": ("tar", gzipped),
    "gzip.tfrecord": ("tfrecord", gzipped),
    **{
        f"sparse{suffix}": (kind, lambda path, head=head: sparse(path, head))
        for suffix, kind, head in (
            (".mp4", "video", b""), (".ts", "video", b"G" + bytes(187) + b"G"), (".gif", "video", b"GIF89a" + bytes(7)),
            (".avi", "video", b"RIFF\0\0\0\0AVI LIST"), (".mkv", "video", b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff"),
            (".jpg", "picture", jpeg(5)[:100]), (".webp", "picture", b"RIFF\xff\xff\xff\x3fWEBPVP8 "),
            (".png", "picture", b""), (".safetensors", "rendered", b"\xff\xff\xff\x3f"), (".tar", "tar", b""),
            (".tfrecord", "tfrecord", b""), (".parquet", "parquet", b"PAR1"), (".json", "json", b"["),
            (".jsonl", "jsonl", b""), (".csv", "csv", b"id,file\n"),
        )
    },
}  # fmt: skip
