"""The page in a real browser: made, painted, compared, cancelled, found again after a restart, and read by axe."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from showme.studio.gate import VISITOR

from .conftest import serving
from .glance.test_reading import row, write_run

axe_of = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe checks the page's accessibility")

_MAKE, _RESULT = "#sm-make", "#sm-shown"
_LONG = 30_000


@pytest.fixture(scope="module")
def server(tmp_path_factory, models):
    folder = tmp_path_factory.mktemp("studio") / "studio"
    with serving(folder, "--models", str(models)) as server:
        yield server


@pytest.fixture
def page(browser, server):
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(20_000)
    yield opened(page, server)
    context.close()


def opened(page, server):
    page.goto(server.address)
    page.wait_for_selector(_MAKE)
    return page


def fill(page, upload: Path, instruction: str = "push the red box to the left") -> None:
    page.set_input_files("#sm-photo input[type=file]", upload)
    page.wait_for_selector("#sm-photo img")
    page.get_by_label("Instruction", exact=True).fill(instruction)


def choose(page, *models: str) -> None:
    """Take the embedded model out and others in."""
    box = page.get_by_label("Model", exact=True)
    box.click()
    box.press("Backspace")
    for name in models:
        box.fill(name)
        page.get_by_role("option", name=name, exact=True).click()
    page.keyboard.press("Escape")


def shot(page, name: str) -> None:
    """A screenshot, where somebody wants to look at it."""
    import os

    if folder := os.environ.get("SHOWME_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def make(page) -> None:
    page.click(_MAKE)
    try:
        page.wait_for_selector(f"{_RESULT} [data-frame]", timeout=_LONG)
    except Exception:
        shot(page, "failed")
        raise


def test_a_photo_becomes_a_picture_and_a_playing_video(page, upload):
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    fill(page, upload)
    choose(page, "tiny")
    make(page)
    assert page.locator(f"{_RESULT} .sm-wipe img").count() == 2
    # The page may put new elements in the place of those that were counted: they are looked for until all are drawn.
    page.wait_for_function(
        "where => { const all = [...document.querySelectorAll(where)];"
        " return all.length > 1 && all.every(each => each.naturalWidth); }",
        arg=f"{_RESULT} img",
    )
    before = page.eval_on_selector("video", "video => video.currentTime")
    page.wait_for_function(f"document.querySelector('video').currentTime !== {before}")
    frame = page.get_by_label("Frame of the video")
    frame.focus()
    frame.press("Home")
    frame.press("ArrowRight")
    assert page.eval_on_selector("video", "video => [video.paused, video.currentTime]") == [
        True,
        pytest.approx(1.5 / 8),
    ]
    page.get_by_label("Before or after").press("End")
    # All of it is the result; at the other end all of it is the photo.
    assert page.eval_on_selector(".sm-wipe", "each => each.style.getPropertyValue('--cut')") == "0%"
    shot(page, "made-1280")
    # Nothing is fetched from elsewhere: machines are offline, and photos private.
    assert not [url for url in requests if not url.startswith((page.url, "data:", "blob:"))]


def test_another_seed_and_another_instruction_grow_a_gallery(page, upload):
    fill(page, upload)
    choose(page, "tiny")
    make(page)
    first = page.get_attribute(".sm-wipe img", "src")
    page.click("#sm-again")
    page.wait_for_selector("#sm-futures [data-run]", timeout=_LONG)
    assert page.get_attribute(".sm-wipe img", "src") != first
    page.get_by_role("button", name=re.compile("^Settings")).click()
    assert page.input_value("#sm-seed input") != "0"
    page.get_by_label("Instruction", exact=True).fill("lift the blue mug up")
    page.click(_MAKE)
    page.wait_for_function("document.querySelectorAll('#sm-futures [data-run]').length === 3", timeout=_LONG)
    page.locator("#sm-futures [data-run]").last.click()
    page.wait_for_function(f"document.querySelector('.sm-wipe img').getAttribute('src') === {first!r}")
    shot(page, "futures-1280")


def test_two_models_are_compared(page, upload):
    fill(page, upload)
    choose(page, "tiny", "regions-1")
    make(page)
    titles = page.locator(f"{_RESULT} section h2").all_inner_texts()
    assert titles == ["tiny", "regions-1"]
    assert page.locator(f"{_RESULT} video").count() == 2
    shot(page, "compared-1280")


def test_a_region_is_painted(page, upload, server):
    fill(page, upload)
    choose(page, "regions-1")
    page.get_by_label("I paint it").check()
    canvas = page.locator("#sm-paint canvas").first
    canvas.wait_for()
    page.wait_for_timeout(1500)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 30, middle[1] + 20, steps=5)
    page.mouse.up()
    page.wait_for_timeout(500)
    shot(page, "painting-1280")
    make(page)
    shot(page, "painted-1280")
    assert page.locator(f"{_RESULT} .sm-over img").count() == 2
    assert "photos/" in _record(page, server)["settings"]["region"]


def _record(page, server) -> dict:
    source = page.get_attribute(f"{_RESULT} video", "src")
    return page.request.get(server.address + re.sub(r"[^/]+$", "run.json", source)).json()


def test_errors_stand_at_their_fields(page, tmp_path):
    (tmp_path / "page.png").write_bytes(b"<!doctype html><script>alert(1)</script>")
    page.click(_MAKE)
    page.wait_for_selector("#sm-error-instruction .sm-error")
    # gradio makes the photo's component anew for whoever has chosen an example.
    page.locator("#sm-examples .tr-body").first.click()
    page.wait_for_selector("#sm-photo img")
    page.get_by_label("Remove Image").first.click()
    page.get_by_label("Instruction", exact=True).fill("lift it")
    page.set_input_files("#sm-photo input[type=file]", tmp_path / "page.png")
    page.wait_for_selector("#sm-photo img", state="attached")
    page.click(_MAKE)
    page.wait_for_selector("#sm-error-photo .sm-error")
    assert (
        page.inner_text("#sm-error-photo") == "page.png is not a picture that can be read: convert it to PNG or JPEG."
    )
    assert not page.locator("#sm-error-instruction .sm-error").count()


def test_unknown_words_are_named_while_typing_and_markup_is_text(page):
    said = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.get_by_label("Instruction", exact=True).press_sequentially(
        "shove the <img src=x onerror=alert(1)> {{value}} ${1+1} bx"
    )
    page.wait_for_function("document.querySelector('#sm-notes').innerText.includes('\"bx\"')")
    notes = page.inner_text("#sm-notes")
    assert 'the word "shove": it reads "push" instead' in notes
    assert "the nearest that it knows: box" in notes
    assert not said


def test_markup_in_an_instruction_is_text_everywhere(page, upload):
    said = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    hostile = "push <img src=x onerror=alert(1)> {{value}} ${alert(1)}"
    fill(page, upload, hostile)
    choose(page, "tiny")
    page.get_by_label("Picture", exact=True).check()
    page.click(_MAKE)
    page.wait_for_selector(f"{_RESULT} details", timeout=_LONG)
    page.click(f"{_RESULT} summary")
    assert hostile in page.inner_text(f"{_RESULT} table")
    page.get_by_role("tab", name="History").click()
    page.wait_for_selector("#sm-history li")
    assert hostile in page.inner_text("#sm-history li")
    href = page.get_attribute(f"{_RESULT} .sm-downloads a", "href")
    with page.context.expect_page() as other:
        page.evaluate(f"window.open({href!r})")
    portable = other.value
    portable.wait_for_load_state()
    assert portable.inner_text("h1") == hostile
    assert not said


def test_a_training_is_looked_at_while_it_runs(browser, tmp_path, models):
    run = write_run(tmp_path / "runs" / "mine", 20)
    (run / "validation").mkdir()
    (run / "validation" / "index.html").write_text('<h1>Scenes</h1><img src="a.png" alt="">')
    Image.new("RGB", (8, 8)).save(run / "validation" / "a.png")
    with serving(tmp_path / "studio", "--models", str(models), "--runs", str(tmp_path / "runs")) as server:
        page = opened(browser.new_page(viewport={"width": 1280, "height": 1000}), server)
        page.get_by_role("tab", name="Training").click()
        page.wait_for_selector(".glance svg")
        assert "20 of 100" in page.inner_text(".glance dl")
        frame = page.frame_locator("iframe")
        assert frame.locator("h1").inner_text() == "Scenes"
        assert frame.locator("img").evaluate("each => each.naturalWidth") == 8
        with (run / "log.jsonl").open("a") as log:
            log.write(json.dumps(row(21)) + "\n")
        page.wait_for_function("document.querySelector('.glance dl').innerText.includes('21 of 100')", timeout=15_000)
        shot(page, "training-1280")
        assert not _axe(page)
        address = frame.locator("h1").evaluate("each => each.ownerDocument.location.href").split("?")[0]
        assert page.request.get(address).ok
        for wrong in (address.replace("index.html", "../log.jsonl"), re.sub(r"[0-9a-f]{32}", "0" * 32, address)):
            assert page.request.get(wrong).status == 404
        page.close()


def test_a_job_is_cancelled(page, upload):
    fill(page, upload)
    choose(page, "tiny")
    page.get_by_role("button", name=re.compile("^Settings")).click()
    page.get_by_label("Steps").fill("100")
    page.fill("#sm-clips input", "16")
    page.click(_MAKE)
    page.click("#sm-cancel")
    page.wait_for_function("document.querySelector('#sm-status').innerText.includes('Cancelled')", timeout=_LONG)
    assert page.locator("#sm-cancel").is_hidden()


def test_the_history_outlives_a_kill_and_is_its_owners(browser, tmp_path, models, upload):
    folder = tmp_path / "studio"
    context = browser.new_context()
    page = context.new_page()
    with serving(folder, "--models", str(models)) as server:
        fill(opened(page, server), upload)
        choose(page, "tiny")
        make(page)
        key = next(each for each in context.cookies() if each["name"] == VISITOR)
        link = server.address + page.get_attribute(f"{_RESULT} video", "src")
        server.kill()
    with serving(folder, "--models", str(models)) as server:
        # Cookies are of a host, whatever its port.
        assert key in context.cookies()
        opened(page, server).get_by_role("tab", name="History").click()
        page.wait_for_selector("#sm-history li")
        page.get_by_label("Words of the instruction").fill("left red")
        page.get_by_role("button", name=re.compile("^Show")).click()
        page.wait_for_selector("#sm-past-shown video")
        shot(page, "history-1280")
        page.get_by_role("button", name=re.compile("^Delete")).click()
        page.wait_for_selector("#sm-undo:visible")
        assert not page.locator("#sm-history li").count()
        page.click("#sm-undo")
        page.wait_for_selector("#sm-history li")
        moved = re.sub(r":\d+/", f":{server.address.rsplit(':', 1)[1]}/", link, count=1)
        assert page.request.get(moved).ok
        assert page.request.get(re.sub(r"/[0-9a-f]{32}/", f"/{'0' * 32}/", moved)).status == 404
        other = opened(browser.new_context().new_page(), server)
        other.get_by_role("tab", name="History").click()
        other.wait_for_function("document.querySelector('#sm-history').innerText.includes('Nothing here yet')")
        other.context.close()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_axe_finds_nothing_serious_and_no_text_is_cut_off(browser, server, upload, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = opened(context.new_page(), server)
    fill(page, upload)
    choose(page, "tiny")
    make(page)
    for name in ("What this model understands", "Settings"):
        page.get_by_role("button", name=re.compile(f"^{name}")).click()
    page.wait_for_timeout(600)
    findings = [_axe(page)]
    shot(page, f"make-{width}-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("tab", name="History").click()
    page.wait_for_selector("#sm-history li")
    findings.append(_axe(page))
    shot(page, f"history-{width}-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("tab", name="Judge").click()
    page.wait_for_selector("#sm-places")
    findings.append(_axe(page))
    shot(page, f"judge-{width}-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not [each for found in findings for each in found]
    context.close()


def _axe(page) -> list[str]:
    """Serious and critical violations, as rule and place."""
    found = axe_of.Axe().run(page).response
    assert len(found["passes"]) > 15
    return [
        f"{each['id']}: {node['html'][:200]}: {node['failureSummary'][:200]}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def test_the_whole_form_is_filled_in_by_keyboard(page, upload):
    page.set_input_files("#sm-photo input[type=file]", upload)
    page.wait_for_selector("#sm-photo img")
    page.get_by_label("Picture", exact=True).focus()
    page.keyboard.press("ArrowUp")
    assert page.get_by_label("Picture and video").is_checked()
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(300)
    assert page.get_by_label("Picture", exact=True).is_checked()
    page.keyboard.press("ArrowUp")
    page.locator("#sm-photo").get_by_role("button").first.focus()
    reached = ["sm-photo"]
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.closest('[id^=sm-]')?.id"))
        if reached[-1] == "sm-make":
            break
        if page.evaluate("document.activeElement.matches('#sm-instruction textarea, #sm-instruction input')"):
            page.keyboard.type("push the red box to the left")
    assert {"sm-photo", "sm-instruction", "sm-task", "sm-models", "sm-make"} <= set(reached)
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{_RESULT} [data-frame]", timeout=_LONG)


def test_a_page_that_is_loaded_again_follows_its_job_and_may_cancel_it(page, upload, server):
    fill(page, upload)
    choose(page, "tiny")
    page.get_by_role("button", name=re.compile("^Settings")).click()
    page.get_by_label("Steps").fill("100")
    page.fill("#sm-clips input", "16")
    page.click(_MAKE)
    page.wait_for_selector("#sm-cancel:visible")
    opened(page, server)
    page.click("#sm-cancel")
    page.wait_for_function("document.querySelector('#sm-status').innerText.includes('Cancelled')", timeout=_LONG)


_SAID = "document.querySelector('#sm-status').innerText"


def ask_for_a_long_one(page) -> None:
    """What takes a while, and is being made."""
    page.get_by_role("button", name=re.compile("^Settings")).click()
    page.get_by_label("Steps").fill("100")
    page.fill("#sm-clips input", "5")
    page.click(_MAKE)
    page.wait_for_function(f"{_SAID}.includes('Video of the action')", timeout=_LONG)


def test_whoever_waits_may_ask_for_more_and_is_shown_it(page, upload):
    fill(page, upload)
    choose(page, "tiny")
    ask_for_a_long_one(page)
    page.get_by_label("Steps").fill("1")
    page.fill("#sm-clips input", "1")
    page.get_by_label("Instruction", exact=True).fill("lift the blue mug up")
    page.click(_MAKE)
    page.wait_for_function(f"{_SAID}.includes('Waiting')")
    page.wait_for_timeout(1500)
    assert "Waiting" in page.inner_text("#sm-status")
    shot(page, "waiting-1280")
    assert not page.locator(f"{_RESULT} img").count(), "the picture of another job"
    page.wait_for_selector(f"{_RESULT} [data-frame]", timeout=_LONG)
    # The first one was done before, and did not take the page.
    assert page.locator("#sm-futures [data-run]").count() == 2
    assert page.locator("#sm-futures [aria-current]").inner_text().startswith("lift the blue mug up")


def test_cancel_is_of_what_is_made_whatever_is_shown_and_then_of_what_was_asked_before(page, upload):
    fill(page, upload, "open the drawer")
    choose(page, "tiny")
    for words in ("open the drawer", "close the drawer"):
        page.get_by_label("Instruction", exact=True).fill(words)
        page.click(_MAKE)
        page.wait_for_selector(f"{_RESULT} table:has-text('{words}')", state="attached", timeout=_LONG)
    ask_for_a_long_one(page)
    page.get_by_label("Instruction", exact=True).fill("lift the blue mug up")
    page.click(_MAKE)
    page.wait_for_function(f"{_SAID}.includes('Waiting')")
    page.locator("#sm-futures [data-run]").last.click()
    page.wait_for_selector(f"{_RESULT} [data-frame]")
    page.click("#sm-cancel")
    # The first goes on, and the page with it.
    page.wait_for_function(f"{_SAID}.includes('step')", timeout=_LONG)
    page.click("#sm-cancel")
    page.wait_for_function(f"{_SAID}.includes('Cancelled')", timeout=_LONG)
    assert page.locator("#sm-cancel").is_hidden()


def test_again_that_is_pressed_twice_means_one(page, upload, server):
    fill(page, upload, "pick the cup")
    choose(page, "tiny")
    make(page)
    before = len(list((server.folder / "runs").iterdir()))
    page.dblclick("#sm-again")
    page.wait_for_function("document.querySelectorAll('#sm-futures [data-run]').length === 2", timeout=_LONG)
    page.wait_for_timeout(1000)
    assert len(list((server.folder / "runs").iterdir())) == before + 1


def test_damaged_runs_spoil_nothing_else(page, upload, server):
    fill(page, upload, "lift the mug that stays")
    choose(page, "tiny")
    page.get_by_label("Picture", exact=True).check()
    page.click(_MAKE)
    page.wait_for_selector(f"{_RESULT} .sm-wipe", timeout=_LONG)
    page.get_by_label("Instruction", exact=True).fill("lift the mug that breaks")
    page.click(_MAKE)
    page.wait_for_selector("#sm-futures [data-run]", timeout=_LONG)
    broken = [place for place in (server.folder / "runs").iterdir() if "breaks" in (place / "studio.json").read_text()]
    for place in broken:
        (place / "run.json").write_text("{")
    page.get_by_role("tab", name="History").click()
    page.get_by_label("Words of the instruction").fill("mug that")
    page.wait_for_function("document.querySelectorAll('#sm-history li').length === 2")
    page.get_by_role("button", name="Show: lift the mug that breaks").click()
    page.wait_for_selector("#sm-past-shown .sm-error")
    page.get_by_role("button", name="Show: lift the mug that stays").click()
    page.wait_for_selector("#sm-past-shown .sm-wipe")
