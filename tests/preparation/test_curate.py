"""Curation: scores are computed once, thresholds change for nothing, lists and page say what was kept."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors import safe_open

from showme.data.media import Span
from showme.data.sources.folder import FolderSource
from showme.data.sources.lists import read_kept
from showme.errors import InputError
from showme.preparation.annotate import annotate
from showme.preparation.config import AnnotateConfig, CurateConfig
from showme.preparation.curate import _Always, curate

from ..data.media.videos import write_clip
from .conftest import FRAMES, SIZE

LOOK = {"height": SIZE, "width": SIZE, "frames": FRAMES}


def settings(source, out, rule, **changes) -> CurateConfig:
    return CurateConfig(**({"source": str(source), "out": out, "rule": rule, "look": LOOK} | changes))


def test_other_thresholds_need_no_new_scores(squares, tmp_path, monkeypatch):
    strict = curate(settings(squares, tmp_path, {"kind": "handi_motion", "minimum": 100}, shown=0))
    monkeypatch.setattr("showme.data.rows.read_clip", lambda *_: pytest.fail("a clip is decoded again"))
    gentle = curate(settings(squares, tmp_path, {"kind": "handi_motion", "minimum": 1}, shown=0))
    kept = {name for name, verdict in gentle.verdicts.items() if verdict.kept}
    assert kept == {"1", "2", "3", "5", "6", "7"}, "squares 0 and 4 stand still"
    assert {name for name, verdict in strict.verdicts.items() if verdict.kept} < kept
    assert set(read_kept(gentle.kept)) == kept
    assert [json.loads(line)["id"] for line in gentle.dropped.read_text().splitlines()] == ["0", "4"]
    chosen = FolderSource(path=squares, keep=gentle.kept).records()
    assert {record.id for record in chosen} == kept
    assert {record.id for record in FolderSource(path=squares, exclude=gentle.dropped).records()} == kept


def test_the_page_shows_kept_and_dropped(squares, tmp_path):
    curated = curate(settings(squares, tmp_path, {"kind": "handi_motion", "minimum": 1}))
    page = curated.page.read_text()
    assert "6 of 8 clips are kept, 2 dropped" in page
    assert page.count("data:image/jpeg") >= 8
    assert "too little motion" in page
    assert f"<h1>handi_motion: {squares.name}</h1>" in page
    assert "differences of pixels" in page
    assert f"{FRAMES} frames, evenly_spaced, {SIZE} x {SIZE}, crop" in page


@pytest.mark.parametrize("span", [None, (0.2, 1.6)])
def test_the_goal_ends_the_clip_where_it_is_seen_best(tmp_path, monkeypatch, span):
    """An estimator that likes frame 4 of 6 best: the clip's new span ends with the frame that was looked at there."""
    write_clip(tmp_path / "a.mp4", frames=40, fps=20)
    line = {"id": "a", "file": "a.mp4", "instruction": "lift"} | ({"start": span[0], "stop": span[1]} if span else {})
    (tmp_path / "index.jsonl").write_text(json.dumps(line))

    class Liking:
        name, fingerprint = "goal", {"scorer": "liking"}

        def score(self, frames, instruction):
            likes = np.array([0.1, 0.2, 0.3, 0.4, 0.9, 0.5], np.float32)
            return {"text_similarity": likes, "first_similarity": np.ones(6, np.float32)}

    monkeypatch.setattr("showme.preparation.curate._scorer", lambda *_: _Always(Liking()))
    curated = curate(settings(tmp_path, tmp_path / "out", "showme_goal"))
    (record,) = FolderSource(path=tmp_path, keep=curated.kept).records()
    whole = 40 if span is None else 28
    last = round(4 * (whole - 1) / 5)
    assert curated.verdicts["a"].last == last
    with record.media.open(record.span) as frames:
        assert len(frames) == last + 1
    if span is None:
        assert record.span == Span(0, last + 1, "frames")


@pytest.mark.parametrize(
    ("rule", "estimators", "sentence"),
    [
        ("lego_window", {}, r"asks CLIP: name it with estimators\.clip"),
        ("showme_goal", {}, r"asks CLIP: name it with estimators\.clip"),
    ],
)
def test_an_estimator_that_is_missing_is_asked_for(squares, tmp_path, rule, estimators, sentence):
    with pytest.raises(InputError, match=sentence):
        curate(settings(squares, tmp_path, rule, estimators=estimators))


def test_hands_are_judged_as_they_are_labelled(squares, tmp_path):
    """The same estimator and look: frames with hands, and the share of the region, are those of the labels."""
    curated = curate(settings(squares, tmp_path / "curated", "hand_presence", estimators={"hands": "rendered"}))
    assert all(verdict.kept for verdict in curated.verdicts.values())
    annotate(
        AnnotateConfig(
            source=str(squares), out=tmp_path / "labels", labels=["region"], look=LOOK, estimators={"hands": "rendered"}
        )
    )
    (scores,) = (tmp_path / "curated").glob("hands-scores-*/*.safetensors")
    (labels,) = (tmp_path / "labels").glob("region-*/*.safetensors")
    with safe_open(scores, "numpy") as values, safe_open(labels, "numpy") as masks:
        assert (values.get_tensor("hands") == 1).all()
        assert np.allclose(values.get_tensor("region"), masks.get_tensor("region").mean((1, 2)))
