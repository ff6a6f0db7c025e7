"""The key of a study: nobody guesses another judge's id, and the file is its user's alone."""

from __future__ import annotations

import stat

import pytest

from showme.errors import InputError
from showme.studio.judge.secret import SECRET, Secret, load_secret, new_judge


def test_the_key_stays_and_is_its_users_alone(tmp_path):
    first = load_secret(tmp_path)
    assert load_secret(tmp_path) == first
    assert stat.S_IMODE((tmp_path / SECRET).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [SECRET]
    assert first.key not in repr(first)


def test_a_signed_judge_is_known_and_no_other_is(tmp_path):
    secret, judge = load_secret(tmp_path), new_judge()
    cookie = secret.signed(judge)
    assert secret.judge_of(cookie) == judge
    other = new_judge()
    forged = [
        None, "", judge, f"{judge}.", f"{other}.{cookie.partition('.')[2]}", cookie + "0", cookie.upper(),
        Secret("0" * 64).signed(judge), f"{judge}.\udcff", ".",
    ]  # fmt: skip
    assert [secret.judge_of(each) for each in forged] == [None] * len(forged)


def test_words_are_not_run_together():
    secret = Secret("1" * 64)
    assert len({secret.digest("a", "b"), secret.digest("ab"), secret.digest("a,b"), secret.digest("b", "a")}) == 4
    assert secret.owner_token != Secret("2" * 64).owner_token


@pytest.mark.parametrize("content", [b"", b"zz", b"\xff\xfe", b"0" * 63])
def test_a_damaged_key_is_refused(tmp_path, content):
    (tmp_path / SECRET).write_bytes(content)
    with pytest.raises(InputError, match=r"secret (is damaged: delete it|cannot be used)"):
        load_secret(tmp_path)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/secret cannot be used \(Not a directory\)"):
        load_secret(tmp_path / "file")
