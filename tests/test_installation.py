"""What is installed against what is needed, on distributions that the tests write."""

from __future__ import annotations

import importlib.metadata

import pytest

from showme import installation
from showme.installation import extras, find_conflicts, find_faults, first_unmet


@pytest.fixture
def install(tmp_path, monkeypatch):
    """install(name, version, requires, extras, files): a distribution's metadata as pip writes it, and nothing else."""

    def only_here(name):
        found = importlib.metadata.Distribution.discover(name=name, path=[str(tmp_path)])
        distribution = next(iter(found), None)
        if distribution is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return distribution

    monkeypatch.setattr(installation.importlib.metadata, "distribution", only_here)

    def write(name, version, requires=(), extras=(), files=()):
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        lines = [f"Name: {name}", f"Version: {version}", *(f"Provides-Extra: {extra}" for extra in extras)]
        lines += [f"Requires-Dist: {line}" for line in requires]
        (folder / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")
        (folder / "RECORD").write_text("".join(f"{file},,\n" for file in files))
        return tmp_path

    return write


def test_what_is_too_old_or_absent_is_named_with_its_remedy(install):
    requires = [
        "torch>=2.6",
        "peft>=0.18",
        "av>=17",
        'tomli>=2; python_version < "3"',
        'mujoco>=3.3.3; extra == "worlds"',
    ]
    install("showme-video", "0.1.0", requires, ["worlds", "dev"])
    install("torch", "2.7.0+cpu")
    install("peft", "0.17.1")
    assert [(fault.words, fault.remedy, fault.absent) for fault in find_faults()] == [
        ("peft 0.17.1 is installed, >=0.18 is needed", 'pip install "peft>=0.18"', False),
        ("av is missing", 'pip install "av>=17"', True),
    ]
    assert extras() == ["worlds"]
    assert [fault.words for fault in find_faults("worlds")] == ["mujoco is missing"]


def test_an_extra_says_nothing_of_what_the_package_itself_needs(install):
    install("showme-video", "0.1.0", ["peft>=0.18", 'mujoco>=3.3.3; extra == "worlds"'], ["worlds"])
    install("mujoco", "4.0.0")
    assert find_faults("worlds") == []


def test_another_build_of_opencv_is_opencv(install):
    install("showme-video", "0.1.0", ['opencv-python-headless>=4.10; extra == "perception"'], ["perception"])
    install("opencv-contrib-python", "4.9.0.80")
    assert [fault.words for fault in find_faults("perception")] == [
        "opencv-contrib-python 4.9.0.80 is installed, >=4.10 is needed"
    ]


def test_files_that_another_package_took_with_it_are_missed(install):
    install("showme-video", "0.1.0", ['mujoco>=3.3.3; extra == "worlds"'], ["worlds"])
    folder = install("mujoco", "4.0.0", files=["mujoco/__init__.py"])
    install("mujoco-core", "4.0.0", files=["mujoco/_specs.so", "mujoco/__pycache__/x.cpython-311.pyc"])
    (folder / "mujoco").mkdir()
    (folder / "mujoco" / "__init__.py").touch()
    [fault] = find_faults("worlds")
    assert fault.words == "mujoco 4.0.0 is installed and has lost files"
    assert fault.remedy == 'pip uninstall -y mujoco mujoco-core && pip install "mujoco>=3.3.3"'
    (folder / "mujoco" / "_specs.so").touch()
    assert find_faults("worlds") == []


def test_the_other_project_of_that_name_is_reported(install):
    install("showme-video", "0.1.0")
    assert find_conflicts() == []
    install("showme", "1.0.0")
    [sentence] = find_conflicts()
    assert sentence.startswith("showme 1.0.0, another project")
    assert "pip uninstall showme" in sentence


def test_where_this_package_is_not_installed_nothing_is_claimed(install):
    assert (find_faults(), extras()) == ([], [])
    assert find_conflicts()[0].startswith("showme-video is not installed")


def test_versions_that_something_needs(install):
    install("transformers", "5.5.4")
    assert first_unmet([("transformers", ">=5")]) is None
    assert first_unmet([("transformers", ">=5"), ("transformers", ">=5.6")]).words == (
        "transformers 5.5.4 is installed, >=5.6 is needed"
    )
