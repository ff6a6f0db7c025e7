"""Weights' files that are cut short or changed."""

from __future__ import annotations

import random

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from showme.errors import InputError
from showme.evaluation.networks.checkpoint import is_torchscript
from showme.weight_files.checkpoint_file import read_weights

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore:`torch.jit:DeprecationWarning")


def harmed(content: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.3:
        return content[: chance.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(chance.choice([1, 3, 30])):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


@pytest.mark.parametrize("kind", ["new", "old", "safetensors", "program"])
def test_harmed_files_are_read_or_refused_in_one_sentence(tmp_path, kind):
    weights = {"first": torch.rand(20), "second.weight": torch.rand(3, 4)}
    path = tmp_path / ("file.safetensors" if kind == "safetensors" else "file.pt")
    if kind == "safetensors":
        save_file(weights, path)
    elif kind == "program":
        torch.jit.script(nn.Linear(2, 2)).save(str(path))
    else:
        torch.save(weights, path, _use_new_zipfile_serialization=kind == "new")
    assert is_torchscript(path) == (kind == "program")
    content, chance, sentences = path.read_bytes(), random.Random(0), []
    for _ in range(100):
        path.write_bytes(harmed(content, chance))
        is_torchscript(path)
        try:
            tensors = read_weights(path)
        except InputError as error:
            sentences.append(str(error))
        else:
            assert all(isinstance(value, torch.Tensor) for value in tensors.values())
    assert len(sentences) > 50
    assert all(sentence.startswith(str(path)) for sentence in sentences)


def test_a_harmed_directory_is_no_program(tmp_path):
    path = tmp_path / "file.pt"
    torch.jit.script(nn.Linear(2, 2)).save(str(path))
    content, chance = path.read_bytes(), random.Random(0)
    directory = content.find(b"PK\1\2")
    version = directory + 6
    path.write_bytes(content[:version] + bytes([228]) + content[version + 1 :])
    assert not is_torchscript(path)
    for _ in range(500):
        changed = bytearray(content)
        changed[chance.randrange(directory, len(changed))] = chance.randrange(256)
        path.write_bytes(changed)
        is_torchscript(path)
