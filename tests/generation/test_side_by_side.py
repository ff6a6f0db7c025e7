"""Several models asked the same: a folder for each, one page, and nothing where one of them cannot be asked."""

from __future__ import annotations

import shutil
from html.parser import HTMLParser

import pytest

from showme.cli import main
from showme.errors import InputError
from showme.generation.request import GenerateRequest
from showme.generation.side_by_side import generate_side_by_side

TEXT = "push the red box to the left"


class Sources(HTMLParser):
    """Files that a page shows or links to."""

    def __init__(self, page: str):
        super().__init__()
        self.files: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.files += [value for name, value in attrs if name in ("src", "href")]


@pytest.fixture
def models(tiny_bundle, tmp_path) -> list[str]:
    return [str(tiny_bundle), str(shutil.copytree(tiny_bundle, tmp_path / "another one"))]


def test_every_model_has_its_folder_and_the_page_shows_them_all(photo, models, tmp_path):
    out = tmp_path / "out"
    request = GenerateRequest(photo, TEXT, models[0], out=out, device="cpu")
    made = generate_side_by_side(request, models)
    assert [result.out.name for result in made.results] == ["1-tiny", "2-another-one"]
    page = made.page.read_text()
    files = Sources(page).files
    assert len(files) == 2 * 4
    assert all((out / file).is_file() for file in files)
    assert page.count(TEXT) == 2
    assert {path.name for path in out.iterdir()} == {"1-tiny", "2-another-one", "index.html"}
    # Another comparison takes the place of this one.
    again = generate_side_by_side(request, models[::-1])
    assert {path.name for path in out.iterdir()} == {"1-another-one", "2-tiny", "index.html"}
    assert again.results[0].page.is_file()


def test_the_command_names_every_page(photo, models, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["generate", str(photo), TEXT, "--model", models[0], "--model", models[1], "--task", "image",
              "--out", str(tmp_path / "out"), "--device", "cpu"])  # fmt: skip
    assert not exit_.value.code
    said = capsys.readouterr().out
    assert said.count("index.html") == 3
    assert f"look at: {tmp_path / 'out' / 'index.html'}" in said


@pytest.mark.parametrize(
    ("second", "sentence"), [("nowhere/at-all", "nowhere/at-all"), (None, "is given twice: name each once")]
)
def test_nothing_is_made_where_one_cannot_be_asked(photo, models, tmp_path, second, sentence):
    request = GenerateRequest(photo, TEXT, models[0], out=tmp_path / "out", device="cpu")
    with pytest.raises(InputError, match=sentence):
        generate_side_by_side(request, [models[0], second or models[0]])
    assert not (tmp_path / "out").exists()
