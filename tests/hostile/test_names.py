"""Names that mean something to somebody else, links, pipes, and files that name others."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest
from PIL import Image

from showme.data.media import Pictures, Video
from showme.data.media.pictures import natural_order
from showme.data.sources.base import inside
from showme.errors import ClipError, InputError

from .corpus import X264, jpeg, write_video
from .reading import Job

# Protocols, patterns, options, quotes, half of a format string, and scripts that are not Latin.
NAMES = ["a:b.mp4", "http:x.mp4", "http:", "concat:a|b.mp4", "-i.mp4", "%03d.mp4", "{}.mp4", "a'b\"c.mp4",
         "a b;c$(d).mp4", "pipe:0.mp4", "~.mp4", "*?.mp4", "ü😀عكس.mp4", "a\\b.mp4", "e\u0301.mp4",
         "\u202egnp.mp4", "x" * 251 + ".mp4"]  # fmt: skip
UNSHOWN = ["a\nb.mp4", "a\rb.mp4", "a\x1b[31m.mp4", "a\u2028b.mp4", b"a\xff.mp4".decode(errors="surrogateescape")]


def test_names_of_files_are_names_alone(corpus, read):
    whole = write_video(corpus / "whole.mp4", options=X264)
    jobs = [Job("video", str(whole))]
    for name in [*NAMES, *UNSHOWN]:
        (corpus / name).write_bytes(whole.read_bytes())
        jobs.append(Job("video", str(corpus / name)))
    first, *outcomes = read(jobs)
    for name, outcome in zip(NAMES, outcomes, strict=False):
        assert outcome.frames == first.frames, name
    for name, outcome in zip(UNSHOWN, outcomes[len(NAMES) :], strict=True):
        assert "its name holds control characters" in outcome.message, name
        assert outcome.message.isprintable(), name


def test_pictures_by_such_names_are_read_in_their_order(corpus):
    names = ["%03d.png", "-1.png", "1²3.png", "2.png", "10.png", "٣4.png", "²5.png", "a:b.png", "http:6.png"]
    for name in names:
        Image.new("RGB", (8, 6), "white").save(corpus / name)
    with Pictures(corpus).open() as frames:
        assert len(list(frames.read(range(len(names))))) == len(names)
    assert [path.name for path in natural_order([Path("im_10.png"), Path("im_2.png")])] == ["im_2.png", "im_10.png"]


def test_a_pattern_s_percent_signs_are_nothing(corpus):
    (corpus / "%d.jpg").write_bytes(jpeg(1))
    with pytest.raises(ClipError, match="there is no such file"):
        Video(corpus / "%03d.jpg").open()


@pytest.mark.parametrize(
    "name", ["playlist.m3u8", "playlist.mp4", "concat.mp4", "concat.txt", "session.mp4", "list.mp4"]
)
def test_files_that_name_others_are_not_followed(area, corpus, read, name):
    """Neither a file beside nor an address: nobody calls at the door."""
    other = write_video(area / "neighbour" / "other.mp4", options=X264)
    with socket.create_server(("127.0.0.1", 0)) as door:
        address = f"http://127.0.0.1:{door.getsockname()[1]}/x.ts"
        texts = {
            "playlist": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{address}\n#EXTINF:5,\n{other}\n",
            "concat": f"ffconcat version 1.0\nfile '{other}'\nfile '{address}'\n",
            "session": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
            "list": f"file:{other}\n{address}\nplain text of no kind\n" * 50,
        }
        (corpus / name).write_text(texts[Path(name).stem])
        outcome = read([Job("video", str(corpus / name))])[0]
        assert outcome.error == "ClipError"
        door.settimeout(0.05)
        with pytest.raises(TimeoutError):
            door.accept()


def test_a_picture_or_text_named_as_a_video_is_refused(corpus, read):
    for format_name in ("PNG", "JPEG", "WEBP", "BMP"):
        (corpus / f"{format_name}.mp4").write_bytes(jpeg(5, format=format_name))
    (corpus / "text.mp4").write_text("push the jar to the left\n" * 100)
    outcomes = read([Job("video", str(path)) for path in sorted(corpus.iterdir())])
    assert [outcome.error for outcome in outcomes] == ["ClipError"] * 5


def test_pipes_folders_devices_and_loops_are_no_files(corpus, read):
    for suffix in (".mp4", ".png", ".safetensors", ".tar", ".tfrecord", ".parquet", ".json", ".jsonl", ".csv"):
        os.mkfifo(corpus / f"pipe{suffix}")
        (corpus / f"folder{suffix}").mkdir()
        (corpus / f"loop{suffix}").symlink_to(f"loop{suffix}")
        (corpus / f"device{suffix}").symlink_to("/dev/zero")
        (corpus / f"nowhere{suffix}").symlink_to("not-there")
    kinds = {".mp4": "video", ".png": "picture", ".safetensors": "rendered"}
    jobs = [Job(kinds.get(path.suffix, path.suffix[1:]), str(path)) for path in sorted(corpus.iterdir())]
    for job, outcome in zip(jobs, read(jobs), strict=True):
        assert outcome.error in ("ClipError", "InputError"), job.name


def test_links_stay_in_the_folder(area, corpus):
    (corpus / "out.mp4").symlink_to(area / "neighbour" / "secret.txt")
    (corpus / "up").symlink_to("..")
    (corpus / "loop").symlink_to("loop")
    (corpus / "in.mp4").symlink_to("real.mp4")
    (corpus / "real.mp4").touch()
    for name in ("out.mp4", "up/neighbour/secret.txt", "up", "../neighbour/secret.txt", "/etc/passwd", "a/../../x", "",
                 "a\0b", "a\nb", "\ud800.mp4", "loop/x.mp4", "y" * 300, "z/" * 3000):  # fmt: skip
        with pytest.raises(InputError, match="here") as error:
            inside(corpus, name, "here")
        assert len(str(error.value).splitlines()) == 1
        assert len(str(error.value)) < 1000, name
    assert inside(corpus, "in.mp4", "here").resolve() == corpus / "real.mp4"


def test_a_folder_s_pictures_may_not_be_links_out_of_it(area, corpus):
    (area / "neighbour" / "1.jpg").write_bytes(jpeg(1))
    (corpus / "1.jpg").symlink_to(area / "neighbour" / "1.jpg")
    with Pictures(corpus).open() as frames, pytest.raises(ClipError, match=r"1\.jpg .*link that leads out"):
        list(frames.read([0]))


def test_what_may_not_be_read_is_reported(monkeypatch):
    """Run as nobody, where the tests run as root, whom no permission stops."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        video = write_video(folder / "a.mp4", options=X264)
        (folder / "pictures").mkdir()
        (folder / "pictures" / "1.jpg").write_bytes(jpeg(1))
        (folder / "closed").mkdir()
        (folder / "closed" / "b.mp4").write_bytes(video.read_bytes())
        for path in (video, folder / "pictures" / "1.jpg", folder / "closed"):
            path.chmod(0)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            for media in (Video(video), Pictures(folder / "pictures"), Video(folder / "closed" / "b.mp4"),
                          Pictures(folder / "closed")):  # fmt: skip
                with pytest.raises(ClipError, match="Permission denied"), media.open() as frames:
                    list(frames.read([0]))
        finally:
            if root:
                os.seteuid(0)
            (folder / "closed").chmod(0o755)
