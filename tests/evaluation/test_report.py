"""The report: the page read back by a parser, its videos decoded, its flow against torchvision's colours."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.utils import flow_to_image

from showme.errors import InputError
from showme.evaluation.report import ReportClip, write_report
from showme.evaluation.report.choice import choose
from showme.evaluation.report.clips import write_clip, write_wheel
from showme.evaluation.report.plots import draw_plot
from showme.evaluation.results import Column, Figure, Result
from showme.generation.outputs import VIEW_SIDE

from ..pages import Page

_SIDE, _FRAMES = 24, 3


def _figure(name: str, values, better: str = "higher", **others) -> Figure:
    known = [value for value in values if value is not None]
    mean = float(np.mean(known)) if known else float("nan")
    low, high = (mean - 1, mean + 1) if known else (None, None)
    fields = {"title": name.upper(), "note": "", "fingerprint": {}} | others
    return Figure(name, fields.pop("title"), mean, low, high, len(values), len(known) / len(values), better, **fields)


def _column(name: str, psnr, error) -> Column:
    figures = {"psnr": _figure("psnr", psnr, unit="dB"), "error": _figure("error", error, "lower")}
    return Column(name, figures, {"psnr": list(psnr), "error": list(error)})


def _result(psnr, error=None, ids=None, metrics=("psnr", "error"), **fields) -> Result:
    error = [1.0] * len(psnr) if error is None else error
    protocol = {"name": "seer", "task": "video", "metrics": list(metrics), "fit": "crop", **fields}
    ids = ids or [f"clip {number}" for number in range(len(psnr))]
    still = _column("still", [5.0] * len(psnr), [9.0] * len(psnr))
    return Result(protocol, ids, _column("ours", psnr, error), [still], [], {"dtype": "float32", "n": {"torch": "2"}})


def _frames(value: int, count: int = _FRAMES, size: tuple[int, int] = (_SIDE, _SIDE)) -> np.ndarray:
    return np.stack([np.full((*size, 3), value + 5 * t, np.uint8) for t in range(count)])


def _clip(instruction: str = "open the jar", **others) -> ReportClip:
    return ReportClip(instruction, _frames(40), _frames(120), **others)


def _right(clips: torch.Tensor) -> torch.Tensor:
    flow = torch.zeros(clips.shape[0], clips.shape[1] - 1, 2, *clips.shape[-2:])
    flow[:, :, 0] = 3
    return flow


def _written(folder: Path, result: Result, clip: ReportClip | None = None, flow=None, words=("All is said.",)) -> Page:
    page = write_report(folder, result, words, lambda name: clip or _clip(), flow)
    assert page == folder / "index.html"
    return Page(page.read_text(encoding="utf-8"))


def _decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_the_table_has_a_column_for_the_model_and_each_baseline(tmp_path):
    result = _result([10.0, 20.0], [0.5, None])
    result.model.figures["fvd"] = _figure("fvd", [412.3, 412.3], "lower", note="Centred, as the release does it.")
    quirks = Column("ours", {"fvd": _figure("fvd", [99.9], "lower")}, {})
    result = Result(result.protocol, result.ids, result.model, result.baselines, [quirks], result.record)
    page = _written(tmp_path, result)
    assert page.inside("bdi")[:4] == ["seer", "ours", "still", "ours, without quirks"]
    cells = [text for text in page.inside("td") if text[0].isdigit() or text == "–"]
    assert cells[:9] == ["15.00", "5.00", "–", "0.500", "9.000", "–", "412.3", "–", "99.9"]
    assert "PSNR (dB)\u00a0↑" in page.inside("th")
    assert "ERROR\u00a0↓" in page.inside("th")
    assert "[14.00, 16.00]" in page.inside("span")
    assert "50% of clips" in page.inside("span")
    assert page.inside("a") == ["1"]
    assert page.inside("li")[0] == "Centred, as the release does it."


def test_the_protocol_stands_in_words_and_fields_and_so_does_the_record(tmp_path):
    result = _result([10.0])
    result.model.figures["psnr"] = _figure("psnr", [10.0], fingerprint={"net": {"weights": "ab12"}})
    page = _written(tmp_path, result, words=["Sixteen frames.", "The first <is> shown."])
    assert page.inside("li") == ["Sixteen frames.", "The first <is> shown."]
    cells = dict(zip(page.inside("th")[-8:], page.inside("td")[-8:], strict=True))
    assert cells["fit"] == "crop"
    assert cells["n.torch"] == "2"
    assert cells["net.weights"] == "ab12"


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_the_best_and_the_worst_clips_are_shown_and_none_twice(better):
    values = np.random.default_rng(0).permutation(30).astype(float).tolist()
    result = _result(values)
    result.model.figures["psnr"] = _figure("psnr", values, better)
    best, worst = (group.ids for group in choose(result))
    order = [f"clip {values.index(value)}" for value in sorted(values, reverse=better == "higher")]
    assert (best, worst) == (order[:6], order[:-7:-1])
    few = [group.ids for group in choose(_result([3.0, 1.0, 2.0, None, 0.0, 4.0]))]
    assert few == [["clip 5", "clip 0", "clip 2"], ["clip 4", "clip 1"]]


def test_the_first_metric_that_tells_clips_apart_chooses():
    result = _result([None, None, None], [3.0, 1.0, 2.0])
    result.model.figures["fvd"] = _figure("fvd", [1.0], "lower")
    result.protocol["metrics"] = ["fvd", "psnr", "error"]
    groups = choose(result)
    assert [group.ids for group in groups] == [["clip 1", "clip 2"], ["clip 0"]]
    assert groups[0].why == "2 by ERROR\u00a0↓, of the 3 clips that have a value, the best first."
    result.model.clips.clear()
    [group] = choose(result)
    assert group.ids == ["clip 0", "clip 1", "clip 2"]
    assert "no metric has values of single clips" in group.why


def test_panels_play_in_one_video_beside_each_other(tmp_path):
    picture = np.full((_SIDE, _SIDE, 3), 77, np.uint8)
    page = _written(tmp_path, _result([10.0]), _clip(picture=picture, baselines={"still": _frames(200)}))
    [video] = page.all("video")
    assert {"autoplay", "loop", "muted", "playsinline", "controls"} < set(video)
    labels = ["generated", "truth", "still", "picture of the result"]
    assert page.inside("bdi")[-6:-1] == ["open the jar", *labels]
    frames = _decode(tmp_path / video["src"])
    assert frames.shape == (_FRAMES, int(video["height"]), int(video["width"]), 3)
    assert frames.shape[1] >= VIEW_SIDE
    width = frames.shape[2]
    for place, value in ((1 / 6, 40), (1 / 2, 120), (5 / 6, 200)):
        for t, frame in enumerate(frames):
            assert abs(int(frame[frames.shape[1] // 2, int(place * width), 0]) - (value + 5 * t)) <= 3
    [image] = [each for each in page.all("img") if "result" in each["src"]]
    assert (np.asarray(Image.open(tmp_path / image["src"])) == 77).all()


@pytest.mark.parametrize("size", [(320, 512), (17, 31), (576, 1024), (1024, 300)])
def test_clips_of_any_size_make_videos_of_the_size_that_the_page_names(tmp_path, size):
    clip = ReportClip("odd", _frames(10, 2, size), _frames(20, 2, size), None, {"a": _frames(30, 2, size)})
    files = write_clip(tmp_path, 1, clip, False, None)
    assert _decode(tmp_path / files.video).shape[1:3] == files.size[::-1]
    assert min(files.size) >= VIEW_SIDE / 2
    assert max(files.size) < 4096


def test_pictures_are_shown_as_pictures(tmp_path):
    one = ReportClip("a", np.repeat(_frames(40, 1), 3, 0), _frames(100, 3), None, {"still": _frames(7, 1)})
    page = _written(tmp_path, _result([10.0], task="image"), one, _right)
    assert not page.all("video")
    sources = [image["src"] for image in page.all("img")]
    # One picture beside the three true ones that it is compared with.
    assert len(sources) == 5
    spans = [each["style"] for each in page.all("span") if "grid-column" in (each.get("style") or "")]
    assert spans == ["grid-column: span 1", "grid-column: span 3", "grid-column: span 1"]
    values = [int(np.asarray(Image.open(tmp_path / source))[0, 0, 0]) for source in sources]
    assert values == [40, 100, 105, 110, 7]
    assert {path.name for path in (tmp_path / "clips").iterdir()} == {".report", *(Path(each).name for each in sources)}


def test_flow_is_shown_for_generated_and_true_frames_in_one_scale(tmp_path):
    seen = []

    def flow(clips: torch.Tensor) -> torch.Tensor:
        seen.append(clips)
        # The generated clip, the darker one, moves right by 2, the true one down by 8.
        moved = torch.zeros(clips.shape[0], 1, 2, *clips.shape[-2:])
        generated = clips.mean() < 100 / 255
        moved[:, :, 0 if generated else 1] = 2 if generated else 8
        return moved

    page = _written(tmp_path, _result([10.0]), _clip(), flow)
    assert [clips.shape for clips in seen] == [(2, 2, 3, _SIDE, _SIDE)] * 2
    torch.testing.assert_close(seen[0][:, 0, 0, 0, 0], torch.tensor([40, 45]) / 255)
    assert any("Frames 1 to 2, 2 to 3; full colour is 8.0 pixels" in text for text in page.inside("p"))
    oracle = torch.zeros(2, 2, 4, 4)
    oracle[0, 0], oracle[1, 1] = 2, 8
    for label, colour in zip(("generated", "truth"), flow_to_image(oracle)[:, :, 0, 0].numpy(), strict=True):
        [image] = [each for each in page.all("img") if each["alt"] == f"frames and optical flow, {label}"]
        strip = np.asarray(Image.open(tmp_path / image["src"]).convert("RGB"))
        assert np.abs(strip[-20, 20].astype(int) - colour).max() <= 6


def test_pictures_take_their_place_before_they_are_there(tmp_path):
    picture = np.full((_SIDE, _SIDE, 3), 77, np.uint8)
    for name, result in (("clips", _result([10.0])), ("pictures", _result([10.0], task="image"))):
        page = _written(tmp_path / name, result, _clip(picture=picture), _right)
        assert len(page.all("img")) >= 3
        for image in page.all("img"):
            with Image.open(tmp_path / name / image["src"]) as opened:
                assert opened.size == (int(image["width"]), int(image["height"]))


def test_wide_panels_say_that_there_is_more(tmp_path):
    said = [
        any("swipe" in text for text in _written(tmp_path, _result([10.0]), clip).inside("p"))
        for clip in (_clip(), _clip(baselines={"still": _frames(7)}))
    ]
    assert said == [False, True]


def test_cards_have_the_tables_decimals(tmp_path):
    page = _written(tmp_path, _result([10.0], [0.1234567]))
    assert "0.123" in page.inside("td")
    assert "0.123" in page.inside("dd")


def test_the_axis_of_shares_ends_at_one():
    svg = draw_plot(_result([0.5, 1.0]), "psnr")
    (still,) = _result([0.5, 1.0]).baselines
    assert still.clips["psnr"] == [5.0, 5.0]
    assert ">5.180<" in svg
    result = _result([0.5, 1.0])
    result.baselines.clear()
    assert ">1.0000<" in draw_plot(result, "psnr")


def test_flow_that_cannot_be_shown_is_reported(tmp_path):
    page = _written(tmp_path, _result([10.0]))
    assert not page.all("figure")
    assert any("optical flow need OpenCV" in text for text in page.inside("p"))


def test_noise_of_a_still_clip_does_not_shine(tmp_path):
    clip = _clip()
    files = write_clip(tmp_path, 1, clip, False, lambda clips: _right(clips) * 0.01)
    strip = np.asarray(Image.open(tmp_path / files.flows["truth"]).convert("RGB"))
    assert files.full == 1
    assert strip[-20, 20].min() > 240


def test_the_wheel_is_torchvisions(tmp_path):
    write_wheel(tmp_path / "wheel.png")
    wheel = np.asarray(Image.open(tmp_path / "wheel.png"))
    side = len(wheel)
    right = torch.zeros(1, 2, 1, 1)
    right[0, 0] = 1
    colour = flow_to_image(right)[0, :, 0, 0].numpy()
    assert np.abs(wheel[side // 2, -2, :3].astype(int) - colour).max() <= 12
    assert (wheel[side // 2, side // 2, :3] > 250).all()
    assert wheel[0, 0, 3] == 0


def test_every_clip_is_a_dot_that_names_it():
    values = [*np.random.default_rng(0).normal(20, 3, 49).tolist(), None]
    svg = draw_plot(_result(values), "psnr")
    dots = re.findall(r'cx="([\d.]+)" cy="([\d.]+)" r="[\d.]+"><title>([^:]+): ([\d.]+)', svg)
    assert {name: float(value) for _, _, name, value in dots} == {
        f"clip {number}": pytest.approx(value, abs=0.005) for number, value in enumerate(values[:-1])
    }
    across, down = np.array([(float(x), float(y)) for x, y, _, _ in dots]).T
    assert (np.diff(across) > 0).all()
    # Up is larger, and the worst is on the left.
    assert (np.diff(down) <= 0).all()
    drawn = np.array([float(value) for *_, value in dots])
    np.testing.assert_allclose(np.polyval(np.polyfit(drawn, down, 1), drawn), down, atol=0.2)
    assert "1 of 50 have no value." in svg
    assert svg.count("<polyline") == 1


def test_many_clips_make_a_bounded_plot_with_the_ends():
    values = np.random.default_rng(0).permutation(5000).astype(float).tolist()
    svg = draw_plot(_result(values), "psnr")
    dots = re.findall(r"<title>clip \d+: ([\d.]+)<", svg)
    assert len(dots) == 512
    assert (dots[0], dots[-1]) == ("0.0", "4999.0")
    assert "512 of them are drawn" in svg


@pytest.mark.parametrize("values", [[3.0, 3.0], [0.0], [None, None], [1e30, -1e30], [1.0, None]])
def test_odd_values_are_drawn(values):
    svg = draw_plot(_result(values), "psnr")
    assert "nan" not in svg
    assert "inf" not in svg


_SENTENCES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "افتح البرطمان & ضعه",
    "../../etc/passwd",
    "half \ud83d of it",
    "x" * 2000,
]


@pytest.mark.parametrize("sentence", _SENTENCES)
def test_any_text_is_shown_as_it_is_and_breaks_no_file_name(tmp_path, sentence):
    result = _result([10.0], ids=[sentence], **{sentence: sentence})
    figure = _figure("psnr", [10.0], title=sentence, unit=sentence, note=sentence, fingerprint={sentence: sentence})
    result = Result(
        result.protocol | {"name": sentence, "metrics": ["psnr"]},
        result.ids,
        Column(sentence, {"psnr": figure}, {"psnr": [10.0]}),
        [Column(sentence, {"psnr": figure}, {"psnr": [10.0]})],
        [],
        {sentence: sentence},
    )
    page = _written(tmp_path, result, _clip(sentence, baselines={sentence: _frames(3)}), _right, [sentence])
    assert not page.all("script")
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    shown = sentence.replace("\ud83d", "?")
    assert {"class": "words", "dir": "auto"} in page.all("bdi")
    assert page.inside("bdi").count(shown) >= 5
    for source in [each["src"] for tag in ("img", "video") for each in page.all(tag)]:
        assert re.fullmatch(r"clips/[\w.]+", source)
        assert (tmp_path / source).is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", "clips"}


def test_the_page_needs_nothing_else(tmp_path):
    _written(tmp_path, _result([10.0, 20.0]), flow=_right)
    page = (tmp_path / "index.html").read_text()
    assert not re.search(r"https?:|url\(|@import|<link|<script", page)
    assert "prefers-color-scheme: dark" in page
    assert str(tmp_path) not in page


def test_at_most_twelve_clips_are_looked_at(tmp_path):
    looked = []

    def look(name):
        looked.append(name)
        return ReportClip("a", _frames(1, 2), _frames(2, 2))

    write_report(tmp_path, _result(list(range(50))), [], look, None)
    assert len(looked) == len(set(looked)) == 12
    assert len(list((tmp_path / "clips").glob("*.mp4"))) == 12


def test_a_new_report_leaves_nothing_of_the_old_one_and_is_the_same(tmp_path):
    _written(tmp_path, _result([1.0, 2.0, 3.0]))
    assert len(list((tmp_path / "clips").glob("*.mp4"))) == 3
    _written(tmp_path, _result([1.0]))
    first = {path.name: path.read_bytes() for path in (tmp_path / "clips").iterdir()}
    _written(tmp_path, _result([1.0]))
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "clips").iterdir()}
    assert set(first) == {".report", "01.mp4"}
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", "clips"}


def test_what_fails_leaves_the_old_report(tmp_path):
    _written(tmp_path, _result([1.0]))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def look(name):
        raise InputError("broken")

    with pytest.raises(InputError, match="broken"):
        write_report(tmp_path, _result([2.0]), [], look, None)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_folders_that_no_report_wrote_are_left_alone(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "01.mp4").write_bytes(b"precious")
    with pytest.raises(InputError, match=r"clips is there and no report wrote it"):
        _written(tmp_path, _result([1.0]))
    assert (tmp_path / "clips" / "01.mp4").read_bytes() == b"precious"
    assert not (tmp_path / "index.html").exists()


def test_what_a_killed_report_left_is_swept(tmp_path):
    left = tmp_path / f"clips.{socket.gethostname()}.999999999.partial"
    left.mkdir()
    (left / ".report").touch()
    page = tmp_path / f"index.html.{socket.gethostname()}.999999999.partial"
    page.touch()
    other = tmp_path / "clips.mine.partial"
    other.mkdir()
    _written(tmp_path, _result([1.0]))
    assert not left.exists()
    assert not page.exists()
    assert other.exists()


def test_a_file_in_the_way_is_reported_in_one_sentence(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match=r"The report cannot be written to .*out \(.*\): choose another --out\."):
        _written(tmp_path / "out", _result([1.0]))
