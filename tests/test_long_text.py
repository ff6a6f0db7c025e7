"""What of a sentence a truncating tokenizer leaves out, and windows that leave nothing out."""

from __future__ import annotations

import warnings

import pytest

from showme.errors import ShowMeWarning, TruncationWarning
from showme.long_text import TruncationNotice, too_long, truncation_reported, unread, unread_ends, windows
from tests.conftest import make_tiny_tokenizer

# [BOS], 22 words and [EOS] are 24 tokens.
WORDS = [f"word{number}" for number in range(60)]


def encoding(text: str, longest: int = 24):
    return make_tiny_tokenizer()([text], truncation=True, max_length=longest).encodings[0]


@pytest.mark.parametrize("count", [0, 1, 21, 22])
def test_a_sentence_that_fits_is_read_whole(count):
    assert unread(" ".join(WORDS[:count]), encoding(" ".join(WORDS[:count]))) == ""


@pytest.mark.parametrize("count", [23, 44, 45, 60])
def test_what_is_left_out_are_the_words_beyond_the_encoders_length(count):
    sentence = "  ".join(WORDS[:count])
    assert unread(sentence, encoding(sentence)) == "  ".join(WORDS[22:count])


def test_a_word_that_is_cut_in_two_is_left_out_whole():
    from tokenizers import Tokenizer, models, pre_tokenizers

    letters = Tokenizer(models.WordLevel({letter: n for n, letter in enumerate("abcdefgh")}, unk_token="a"))
    letters.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("", "isolated")]
    )
    letters.enable_truncation(5)
    assert unread("abc def gh", letters.encode("abc def gh")) == "def gh"
    assert windows("abc def gh", letters.encode) == ["abc", "def gh"]
    # No space is near: Chinese has none, and a word may be longer than a window.
    assert unread("abcdefgh", letters.encode("abcdefgh")) == "fgh"
    assert windows("abcdefgh" * 2, letters.encode) == ["abcde", "fghab", "cdefg", "h"]


@pytest.mark.parametrize("count", [0, 5, 22, 23, 44, 60])
def test_windows_hold_every_word_once_and_each_is_read_whole(count):
    parts = windows(f" {' '.join(WORDS[:count])} ", encoding)
    assert " ".join(parts).split() == WORDS[:count]
    assert len(parts) == max(1, -(-count // 22))
    assert not any(encoding(part).overflowing for part in parts)


def test_the_message_counts_and_shows_the_first_end():
    sentences = ["short", " ".join(WORDS[:24]), "short", " ".join(WORDS[:23]), " ".join(WORDS[:24])]
    ends = unread_ends(sentences, [encoding(each) for each in sentences])
    assert list(ends.values()) == ["word22 word23", "word22"]
    message = too_long(ends, sentences, 24, "CLIP", "clip 'b'")
    assert message == (
        "3 of 5 instructions are longer than the 24 tokens that CLIP reads: of the first, clip 'b', "
        "'word22 word23' is beyond them"
    )
    alone = too_long({sentences[3]: "word22"}, [sentences[3]], 24, "the model")
    assert alone == "The instruction is longer than the 24 tokens that the model reads: 'word22' is beyond them"
    assert too_long({"x": "y" * 2000}, ["x"], 24, "CLIP").endswith(f"{'y' * 1000!r}... is beyond them")


def test_a_network_says_once_what_it_cuts():
    sentences = [" ".join(WORDS[:22]), " ".join(WORDS[:23])]
    encodings = [encoding(each) for each in sentences]
    notice = TruncationNotice("CLIP", 24)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        notice.warn(sentences[:1], encodings[:1])
    with pytest.warns(
        TruncationWarning, match="1 of 2 instructions is longer than the 24 tokens that CLIP reads: .*'word22'"
    ):
        notice.warn(sentences, encodings)
    ahead = TruncationNotice("CLIP", 24)
    assert "'word22'" in str(ahead.sentence(sentences, encodings))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        notice.warn(sentences, encodings)
        ahead.warn(sentences, encodings)
    assert TruncationNotice("CLIP", 24).sentence(sentences[:1], encodings[:1]) is None


def test_only_warnings_of_cuts_are_passed_over_where_they_were_reported_before(recwarn):
    with truncation_reported():
        warnings.warn("cut", TruncationWarning, stacklevel=1)
        warnings.warn("other", ShowMeWarning, stacklevel=1)
    warnings.warn("cut again", TruncationWarning, stacklevel=1)
    assert [str(each.message) for each in recwarn] == ["other", "cut again"]
