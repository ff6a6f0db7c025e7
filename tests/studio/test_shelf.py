"""Runs and their index: whatever happens, no run is lost, no half one is shown, and nobody sees another's."""

from __future__ import annotations

import stat
from datetime import date, timedelta

import pytest

from showme.errors import InputError
from showme.studio.shelf import INDEX, Shelf
from showme.studio.store import Entry

from .conftest import OTHER, OWNER, asked, finished


def again(shelf: Shelf) -> Shelf:
    """The studio after it was killed and started anew."""
    shelf.close()
    return Shelf(shelf.folder)


def states(shelf: Shelf) -> dict[str, str]:
    return {entry.id: entry.state for entry in shelf.store.all()}


def test_one_folder_is_for_one_studio(shelf):
    with pytest.raises(InputError, match="Another studio has the folder"):
        Shelf(shelf.folder)


def test_jobs_that_a_killed_studio_had_open_are_interrupted(shelf):
    waiting = shelf.begin(OWNER, asked())
    (shelf.folder / shelf.work(waiting.id)).mkdir()
    done = finished(shelf)
    shelf = again(shelf)
    assert states(shelf) == {waiting.id: "interrupted", done: "done"}
    assert not list((shelf.folder / "work").iterdir())
    shelf.close()


def test_a_run_that_was_moved_before_the_index_knew_is_done(shelf):
    entry = shelf.begin(OWNER, asked())
    place = shelf.folder / "runs" / entry.id
    place.mkdir()
    shelf = again(shelf)
    assert states(shelf)[entry.id] == "done"
    shelf.close()


def test_the_index_is_rebuilt_from_the_folders(shelf):
    kept, deleted = finished(shelf, instruction="open the red case"), finished(shelf, OTHER)
    shelf.delete(deleted, OTHER)
    before = shelf.store.all()
    shelf.close()
    for file in shelf.folder.glob(f"{INDEX}*"):
        file.unlink()
    shelf = Shelf(shelf.folder)
    assert [(e.id, e.owner, e.instruction, e.asked, e.at) for e in shelf.store.all()] == [
        (e.id, e.owner, e.instruction, e.asked, e.at) for e in before
    ]
    assert [entry.id for entry in shelf.store.search(OWNER)] == [kept]
    assert not shelf.store.search(OTHER)
    assert shelf.reindex() == 1
    shelf.restore(deleted, OTHER)
    assert [entry.id for entry in shelf.store.search(OTHER)] == [deleted]
    shelf.close()


def test_a_folder_of_showme_generate_is_found_and_everybodys(shelf, tiny_bundle, photo):
    from showme.generation.request import GenerateRequest
    from showme.generation.run import generate

    generate(GenerateRequest(photo, "lift the red box", str(tiny_bundle), "image", shelf.folder / "runs" / "mine"))
    shelf = again(shelf)
    for owner in (OWNER, OTHER):
        entry = shelf.store.search(owner)[0]
        assert (entry.id, entry.instruction, entry.models, entry.owner) == ("mine", "lift the red box", "tiny", None)
    shelf.close()


def test_deleting_can_be_undone_and_is_for_the_owner(shelf):
    run = finished(shelf)
    with pytest.raises(InputError, match="no such run of yours"):
        shelf.delete(run, OTHER)
    shelf.delete(run, OWNER)
    assert not shelf.store.search(OWNER)
    with pytest.raises(InputError, match="may have been deleted"):
        shelf.place(run)
    shelf = again(shelf)
    assert not shelf.store.search(OWNER)
    shelf.restore(run, OWNER)
    assert [entry.id for entry in shelf.store.search(OWNER)] == [run]
    assert shelf.place(run).is_dir()
    shelf.close()


def test_what_was_deleted_a_week_ago_is_gone(shelf):
    run = finished(shelf)
    shelf.delete(run, OWNER)
    shelf.store.change(run, deleted="2020-01-01T00:00:00+00:00")
    shelf = again(shelf)
    assert states(shelf) == {}
    assert not (shelf.folder / "trash" / run).exists()
    shelf.close()


@pytest.mark.parametrize("name", ["../runs", "..", ".", "", "a/b", "/etc", "x" * 200])
def test_no_name_leads_out_of_the_folder(shelf, name):
    with pytest.raises(InputError, match="no such run"):
        shelf.place(name)


def test_links_hold_a_token_of_their_run(shelf):
    run, other = finished(shelf), finished(shelf)
    assert shelf.opens(run, shelf.token(run))
    assert not shelf.opens(run, shelf.token(other))
    assert not shelf.opens(run, "")
    assert not shelf.opens(run, "tökén")
    assert stat.S_IMODE((shelf.folder / "secret").stat().st_mode) == 0o600
    token = shelf.token(run)
    shelf = again(shelf)
    assert shelf.token(run) == token
    shelf.close()


def test_runs_are_found_by_words_model_and_day(shelf):
    entries = [
        Entry("1", OWNER, "done", "Push the 100% red box", "embedded", None, None, "2026-01-31T10:00:00+00:00"),
        Entry("2", OWNER, "done", "open the case", "mine/best_model", None, None, "2026-02-01T23:59:59+00:00"),
        Entry("3", OTHER, "done", "push the box", "embedded", None, None, "2026-02-01T10:00:00+00:00"),
    ]
    shelf.store.put(entries)

    def found(**filters) -> list[str]:
        return [entry.id for entry in shelf.store.search(OWNER, **filters)]

    assert found() == ["2", "1"]
    assert found(text="PUSH box") == ["1"]
    assert found(text="100%") == ["1"]
    assert found(text="%") == ["1"]
    assert found(text="push case") == []
    assert found(model="best_") == ["2"]
    assert found(since=date(2026, 2, 1)) == ["2"]
    assert found(until=date(2026, 1, 31)) == ["1"]
    assert found(since=date(2026, 2, 1), until=date(2026, 2, 1)) == ["2"]
    assert found(until=date(2026, 1, 31) - timedelta(days=1)) == []
