"""Settings of a study: one sentence for everything wrong, and what is shipped can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from showme.config import load_config
from showme.errors import InputError
from showme.evaluation.protocol import load_protocol
from showme.evaluation.study import StudyConfig
from showme.evaluation.study.run import run_study
from showme.methods.recipes import load_recipe

ROOT = Path(__file__).parents[3]
SHIPPED = sorted((ROOT / "configs" / "studies").glob("*.yaml"))
MODEL = {"name": "a", "model": "embedded"}
STEP = {"recipe": "state_image.yaml"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rows": []}, r"study.yaml: rows: a table needs one at least"),
        ({"seeds": []}, r"study.yaml: seeds: give one at least"),
        ({"seeds": [1, 1]}, r"seeds: name each once"),
        ({"seeds": [-1]}, r"seeds -1: .*of training and of generation"),
        ({"rows": [MODEL, MODEL]}, r"rows: two are named 'a': give each a name of its own"),
        ({"rows": [MODEL | {"modle": "x"}]}, r"there is no field rows.0.modle: did you mean model\?"),
        ({"rows": [{"model": "embedded"}]}, r"the field rows.0.name is missing: in the table"),
        ({"rows": [MODEL | {"name": "a\nb"}]}, r"rows.0: name 'a\\nb': write 1 to 100 characters on one line"),
        ({"rows": [{"name": "a"}]}, r"rows.0: the row 'a' needs trainings, a model or a stack, one of them"),
        ({"rows": [MODEL | {"trainings": [STEP]}]}, r"the row 'a' needs trainings, a model or a stack, one of them"),
        (
            {"rows": [MODEL, {"name": "b", "stack": ["a", "c"]}]},
            r"stack of the row 'b' names rows with trainings before it",
        ),
        ({"rows": [{"name": "a", "trainings": [STEP]}, {"name": "b", "stack": ["a"]}]}, r"'b' names two rows at least"),
        ({"rows": [MODEL | {"reference_fields": ["split=test"]}]}, r"has reference_fields: name its reference too"),
        ({"rows": [MODEL | {"instructions": "none"}]}, r"rows.0.instructions 'none': input should be 'own' or 'wrong'"),
        ({"rows": [MODEL | {"protocol_fields": ["seed=3"]}]}, r"protocol_fields: seed is the study's own to set"),
        ({"rows": [{"name": "a", "trainings": [STEP | {"recpie": 1}]}]}, r"no field rows.0.trainings.0.recpie"),
        ({"rows": [{"name": "a", "trainings": [STEP | {"fields": ["steps"]}]}]}, r"'steps': write field=value"),
        ({"rows": [{"name": "a", "trainings": [STEP | {"fields": ["model=x"]}]}]}, r"model is .* model beside recipe"),
        ({"fields": ["training.seed=3"]}, r"fields: training.seed is the study's own to set: leave it out"),
    ],
)
def test_mistakes_in_the_settings_are_one_sentence(study_file, changes, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        load_config(study_file(**changes), StudyConfig)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"trainings": [{"recipe": "no.yaml"}]}, r"study.yaml, row 'b': training 1: There is no file .*no.yaml"),
        ({"trainings": [STEP, STEP | {"fields": ["training.stesp=3"]}]},
         r"row 'b': training 2: its fields: there is no field training.stesp: did you mean steps\?"),
        ({"trainings": [STEP | {"fields": ["rewards.edge=["]}]}, r"row 'b': training 1: .* in its fields: '\[' is no"),
        ({"trainings": [STEP | {"model": "nowhere/at all"}]}, r"row 'b': .*nowhere/at all"),
        ({"trainings": [STEP | {"fields": ["data.source=nowhere"]}]}, r"row 'b': There is no nowhere"),
        ({"model": "embeded"}, r"row 'b': .*embedded"),
        ({"model": "embedded", "protocol": "sere"}, r"row 'b': There is no protocol 'sere'"),
        ({"model": "embedded", "protocol_fields": ["frame=3"]}, r"row 'b': protocol_fields: .*no field frame: did you"),
        ({"model": "embedded", "protocol_fields": ["frames=9"]}, r"row 'b': .*has 4 frames, and the protocol embedded"),
        ({"model": "embedded", "protocol_fields": ["samples=9"]}, r"row 'b': .* for 9 clips and the reference has 4"),
        ({"model": "embedded", "protocol_fields": ["metrics=[fvd]"]}, r"row 'b': .*i3d_pretrained_400.pt"),
        ({"model": "embedded", "region": "truth"}, r"row 'b': The model embedded takes no region: leave"),
        ({"trainings": [STEP], "region": "white"}, r"row 'b': region is white, and models of the method showme"),
        ({"model": "embedded", "reference": "nowhere"}, r"row 'b': There is no .*nowhere"),
    ],
)  # fmt: skip
def test_what_is_missing_is_reported_before_anything_is_trained(study_file, tmp_path, monkeypatch, row, sentence):
    monkeypatch.setattr("showme.evaluation.study.run.train", lambda *_: pytest.fail("trained"))
    monkeypatch.chdir(tmp_path)
    good = {"name": "a", "trainings": [STEP]}
    file = study_file(rows=[good, {"name": "b"} | row])
    with pytest.raises(InputError, match=sentence) as error:
        run_study(load_config(file, StudyConfig), file, tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out" / "trainings").exists()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_study_names_recipes_and_protocols_that_there_are(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert f"configs/studies/{path.name} --out" in path.read_text(), "it says how it is run"
    study = load_config(path, StudyConfig)
    for row in study.rows:
        shared = study.protocol_fields if row.protocol is None else []
        load_protocol(row.protocol or study.protocol, [*shared, *row.protocol_fields])
        before = ""
        for step in row.trainings:
            stage = load_recipe(path.parent / step.recipe, [*study.fields, *step.fields]).label
            # The first stage drops what the second has learned.
            assert (before, stage) != ("state_video", "state_image")
            before = stage
