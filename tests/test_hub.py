"""Names of the hub's models: pinned where figures depend on them, and anybody's revision otherwise."""

from __future__ import annotations

from showme.evaluation.explain import explain
from showme.evaluation.protocol import load_protocol
from showme.hub import PINNED, split_revision, with_revision

CLIP = "openai/clip-vit-base-patch32"


def test_known_models_are_pinned_and_others_have_the_revision_that_is_named(tmp_path):
    assert split_revision(CLIP) == (CLIP, PINNED[CLIP])
    assert split_revision(f"{CLIP}@v1") == (CLIP, "v1")
    assert split_revision("example/other") == ("example/other", "main")
    (tmp_path / "a@b").mkdir()
    assert split_revision(tmp_path / "a@b") == (str(tmp_path / "a@b"), "main")
    assert all(len(commit) == 40 and set(commit) <= set("0123456789abcdef") for commit in PINNED.values())


def test_words_tell_the_commit():
    assert with_revision(CLIP) == f"{CLIP}@{PINNED[CLIP][:8]}"
    assert with_revision("example/other") == "example/other"
    assert any(f"CLIP is {with_revision(CLIP)}" in told for told in explain(load_protocol("showme-video")))
