"""A run's folder is its own."""

from __future__ import annotations

import pytest

from showme.errors import InputError
from showme.methods.showme.config import ShowMeConfig
from showme.run_folder import begin_folder, check_folder


def settings(out, **changes) -> ShowMeConfig:
    tree = {"stage": "state_image", "out": out, "data": {"source": "clips"}, "training": {"steps": 4}} | changes
    return ShowMeConfig.model_validate(tree)


@pytest.mark.parametrize("below", ["", "run", "runs/one"])
def test_a_file_in_the_way_is_named(tmp_path, below):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InputError, match=f"{file} is a file: choose another folder for the run"):
        check_folder(file / below, settings(file / below))


def test_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="holds other files"):
        check_folder(tmp_path, settings(tmp_path))


def test_a_run_goes_on_with_more_steps_but_no_other_settings(tmp_path):
    out = tmp_path / "run"
    begin_folder(out, settings(out))
    check_folder(out, settings(out, training={"steps": 9, "workers": 2}))
    with pytest.raises(InputError, match=r"begun with another adapter\.rank"):
        check_folder(out, settings(out, adapter={"rank": 3}))
