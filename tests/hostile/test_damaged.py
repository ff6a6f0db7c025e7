"""Every kind of file, cut at every tenth byte and with bytes changed: all frames of the whole, or one sentence."""

from __future__ import annotations

import pytest

from .corpus import WHOLE
from .reading import Job

CHANGES = 100
# What one of these small files may bring into memory; parsers begin with buffers.
PEAK = 256 * 2**20
_ANNOTATIONS = ("json", "jsonl", "csv", "ssv2", "ego4d", "lego")
_PACKET = 188


@pytest.mark.parametrize("name", WHOLE)
def test_damaged_files_give_all_frames_or_a_sentence(corpus, read, name):
    kind, write = WHOLE[name]
    path = write(corpus / name)
    size = path.stat().st_size
    jobs = [Job(kind, str(path), cut=cut) for cut in range(0, size, 10)]
    jobs += [Job(kind, str(path), seed=seed) for seed in range(CHANGES)]
    whole, *outcomes = read([Job(kind, str(path)), *jobs], PEAK)
    assert whole.error is None, whole.message
    assert len(whole.frames) > 0 or kind in _ANNOTATIONS
    for job, outcome in zip(jobs, outcomes, strict=True):
        if job.cut is None or outcome.error is not None:
            continue
        if name == "stream.ts" and job.cut % _PACKET == 0:
            # Nobody can know that more packets belonged to it; but none of its pictures is another.
            assert set(outcome.frames) <= set(whole.frames), job.name
        else:
            assert outcome.frames == whole.frames, job.name
    assert any(outcome.error for outcome in outcomes)


@pytest.mark.parametrize("name", WHOLE)
def test_files_of_nothing_and_of_zeros_are_refused(corpus, read, name):
    kind, write = WHOLE[name]
    size = write(corpus / name).stat().st_size
    (corpus / f"empty-{name}").write_bytes(b"")
    (corpus / f"zeros-{name}").write_bytes(bytes(size))
    outcomes = read([Job(kind, str(corpus / f"{what}-{name}")) for what in ("empty", "zeros")], PEAK)
    # A list of no lines is a list, and zeros are the end of an archive.
    assert outcomes[0].error or kind == "jsonl"
    assert outcomes[1].error or kind == "tarred video"
    assert not outcomes[0].frames + outcomes[1].frames


@pytest.mark.parametrize("name", [name for name in WHOLE if WHOLE[name][0] not in _ANNOTATIONS])
def test_wrong_extensions_are_reported_or_do_not_matter(corpus, read, name):
    """Each file as if it were one of every other kind."""
    path = WHOLE[name][1](corpus / name)
    jobs = []
    for other, (kind, _) in WHOLE.items():
        copy = corpus / f"{path.stem}-as-{other}"
        copy.write_bytes(path.read_bytes())
        jobs.append(Job(kind, str(copy)))
    whole, *outcomes = read([Job(WHOLE[name][0], str(path)), *jobs], PEAK)
    for job, outcome in zip(jobs, outcomes, strict=True):
        if outcome.error is None and job.kind == WHOLE[name][0]:
            assert outcome.frames == whole.frames, job.name
