"""Beginnings of sentences that many refusals share."""

from __future__ import annotations

import pytest

from showme.data.sources.ego4d import read_videos
from showme.data.sources.tables import open_text
from showme.errors import InputError, absent


def test_what_lies_in_the_place_of_what_is_sought(tmp_path):
    (tmp_path / "x.txt").touch()
    assert absent(tmp_path / "no.tar", "archive") == f"There is no archive {tmp_path / 'no.tar'}"
    assert absent(tmp_path, "archive") == f"{tmp_path} is a folder, no archive"
    assert absent(tmp_path / "x.txt", "folder") == f"{tmp_path / 'x.txt'} is a file, no folder"
    assert absent("a" * 5000) == f"There is no file {'a' * 5000}"


@pytest.mark.parametrize("read", [open_text, lambda path: next(read_videos(path))])
def test_a_folder_is_not_called_missing(tmp_path, read):
    with pytest.raises(InputError, match="is a folder, no file: give the path of"):
        read(tmp_path)
