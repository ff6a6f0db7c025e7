"""Protocols: the published ones are valid, say what they do, and change by field."""

from __future__ import annotations

import pytest

from showme.data.media import Video
from showme.data.sources.record import Record
from showme.errors import InputError
from showme.evaluation.explain import explain
from showme.evaluation.metric_words import words_of_metrics
from showme.evaluation.protocol import changed_fields, load_protocol, protocol_names, protocol_title
from showme.evaluation.subset import drawn

PUBLISHED = {"seer", "aid-ucf101", "showme-image", "showme-video", "ivg", "lego", "stylegan-v", "embedded"}


def test_the_published_protocols_are_there():
    assert set(protocol_names()) == PUBLISHED
    for name in PUBLISHED:
        assert load_protocol(name).name == name


def test_figures_of_the_papers():
    seer, aid, lego, ivg = (load_protocol(name) for name in ("seer", "aid-ucf101", "lego", "ivg"))
    assert (seer.frames, seer.condition_frames, seer.sampling, seer.kvd_centred) == (12, 2, "seer_blend", True)
    assert (aid.samples, aid.frames, aid.height) == (2048, 16, 256)
    assert load_protocol("aid-ucf101", ["condition_frames=5"]).condition_frames == 5
    assert (lego.generated_range, lego.lpips_range, lego.clip_resize) == ("min_max", "[0,1]", "squash")
    assert (ivg.compared, ivg.shown_frames) == (15, "left_out")
    assert load_protocol("showme-image").compared == 3
    assert load_protocol("stylegan-v").covariance == "biased"


def test_a_name_does_not_hide_what_was_changed():
    fields = load_protocol("seer", ["frames=8", "metrics=[psnr]"]).model_dump(mode="json")
    assert changed_fields(fields) == {"frames": 8}
    assert protocol_title(fields) == "seer with frames=8"
    assert protocol_title(load_protocol("seer").model_dump(mode="json")) == "seer"
    assert protocol_title(fields | {"name": "mine"}) == "mine"
    words = explain(load_protocol("stylegan-v", ["samples=64"]))
    assert words[1] == "Changed from that: samples; figures do not compare with those under it."
    assert "The model was shown no frame: all count." in words


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_words_say_every_choice(name):
    protocol = load_protocol(name)
    words = " ".join(explain(protocol))
    assert f"{protocol.frames} frames" in words
    assert f"{protocol.width}x{protocol.height}" in words
    for metric in protocol.metrics:
        assert metric in words
        alone = load_protocol(name, [f"metrics=[{metric}]"])
        assert words_of_metrics(alone), metric
    quirks = [field for field in protocol.quirks if getattr(protocol, field) != protocol.quirks[field]]
    assert words.count("quirk") == len(quirks)
    assert protocol.without_quirks().without_quirks() == protocol.without_quirks()
    assert not any("quirk" in sentence for sentence in explain(protocol.without_quirks()))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (["frames=2"], "condition_frames 2: less than frames, 2"),
        (["metrics=[fvd,fvd]"], "metrics: name each once"),
        (["metrics=[fvdd]"], "metrics 'fvdd': input should be"),
        (["frmaes=3"], "there is no field frmaes: did you mean frames?"),
    ],
)
def test_a_wrong_field_is_one_sentence(fields, sentence):
    with pytest.raises(InputError, match=sentence):
        load_protocol("seer", fields)
    with pytest.raises(InputError, match="There is no protocol 'sere': choose aid-ucf101"):
        load_protocol("sere")


def test_a_draw_depends_on_the_ids_alone():
    names = [f"clip {number}" for number in range(100)]
    protocol = load_protocol("aid-ucf101", ["samples=30"])
    forth, back = ({n: Record(n, Video("x.mp4"), "push") for n in order} for order in (names, names[::-1]))
    first, second = drawn(forth, protocol), drawn(back, protocol)
    assert set(first) == set(second)
    assert len(first) == 30
    assert list(first) == [name for name in names if name in first]
    assert set(first) != set(drawn(forth, load_protocol("aid-ucf101", ["samples=30", "samples_seed=1"])))
    with pytest.raises(InputError, match="asks for 2,048 clips and the reference has 100"):
        drawn(forth, load_protocol("aid-ucf101"))
