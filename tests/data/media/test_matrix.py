"""A part of the matrix of containers and codecs; ``python scripts/decoding_matrix.py`` is the whole."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "scripts"))

from decoding.comparison import compare
from decoding.kinds import Kind, all_kinds, make

pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="the ffmpeg command is not there")
PART = [
    Kind("mp4", "h264 with B, open"),
    Kind("mkv", "hevc with B, open"),
    Kind("ts", "h264 with B, no IDR"),
    Kind("webm", "vp9"),
    Kind("mp4", "av1"),
    Kind("mov", "prores"),
    Kind("avi", "h264 with B"),
    Kind("avi", "mpeg4 without B"),
    Kind("avi", "xvid packed"),
    Kind("ts", "h264 with B"),
    Kind("m2ts", "hevc with B"),
    Kind("mpg", "mpeg2 with B, open"),
    Kind("flv", "h264 with B"),
    Kind("ogv", "theora"),
    Kind("mkv", "mpeg4 with B", "avi to mkv"),
    Kind("mp4", "h264 with B", "raw to mp4"),
    Kind("mp4", "h264 with B, open", "cut to mp4"),
    Kind("mkv", "h264 with B, open", "cut to mkv"),
]


@pytest.mark.parametrize("kind", PART, ids=lambda kind: kind.name)
def test_all_frames_and_spans_are_those_of_ffmpeg(tmp_path, kind):
    assert kind in all_kinds()
    path = make(kind, tmp_path, seconds=2)
    assert path is not None
    outcome = compare(path)
    assert outcome.comparisons > 100
    assert outcome.differences == []
