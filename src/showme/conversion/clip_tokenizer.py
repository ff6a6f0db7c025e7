"""OpenCLIP's byte-pair vocabulary file into a transformers CLIPTokenizer that gives OpenCLIP's ids."""

from __future__ import annotations

import gzip
import importlib.util
import zlib
from pathlib import Path

from transformers import CLIPTokenizer

from ..errors import InputError

VOCABULARY_FILE = "bpe_simple_vocab_16e6.txt.gz"

_MERGES = 49152 - 256 - 2  # the file holds more merges than CLIP's vocabulary of 49408 takes
_PRINTABLE = (*range(33, 127), *range(161, 173), *range(174, 256))


def find_vocabulary(given: Path | None, folder: Path) -> Path:
    """The vocabulary file: the one given, or ``bpe_simple_vocab_16e6.txt.gz`` in ``folder``, or open_clip's own.

    Raises:
        InputError: the one given does not exist, or there is none.
    """
    if given is not None:
        if not given.is_file():
            raise InputError(f"The vocabulary {given} does not exist.")
        return given
    candidates = [folder / VOCABULARY_FILE]
    package = importlib.util.find_spec("open_clip")  # finds the package without importing it
    if package is not None and package.origin is not None:
        candidates.append(Path(package.origin).parent / VOCABULARY_FILE)
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise InputError(
            f"The tokenizer's vocabulary {VOCABULARY_FILE} is missing: put it into {folder} "
            "or `pip install open_clip_torch`, which brings it."
        )
    return found


def make_tokenizer(vocabulary: Path, length: int = 77) -> CLIPTokenizer:
    """Tokenizer whose ids equal ``open_clip.tokenize``'s, padding with 0 included.

    Id 0 is also the token of a "!" inside a word. It is named as the padding token, and ``split_special_tokens`` keeps
    a "!" in a sentence from being taken for padding. OpenCLIP also repairs broken Unicode and typographic quotes and
    resolves HTML entities first (ftfy, html.unescape); this tokenizer takes such text as it is.

    Args:
        vocabulary: ``bpe_simple_vocab_16e6.txt.gz``.
        length: number of ids per sentence.

    Raises:
        InputError: the file is damaged or another one.
    """
    try:
        lines = gzip.decompress(vocabulary.read_bytes()).decode("utf-8").split("\n")[1 : _MERGES + 1]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"The vocabulary {vocabulary} is damaged: fetch it again ({error}).") from error
    merges: list = [tuple(line.split()) for line in lines]
    if len(merges) != _MERGES or any(len(merge) != 2 for merge in merges):
        raise InputError(f"{vocabulary} is not CLIP's vocabulary: {_MERGES} lines of two parts were expected.")
    letters = _byte_letters()
    tokens = [*letters, *(letter + "</w>" for letter in letters), *(left + right for left, right in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={token: number for number, token in enumerate(tokens)},
        merges=merges,
        pad_token=tokens[0],
        model_max_length=length,
        split_special_tokens=True,
    )


def _byte_letters() -> list[str]:
    """One visible letter for each byte: printable Latin-1 stands for itself, the others follow from 256 on."""
    return [chr(byte) for byte in _PRINTABLE] + [chr(256 + n) for n in range(256 - len(_PRINTABLE))]
