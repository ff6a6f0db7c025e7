"""Which pictures of a folder are the clip: layouts that tools write, and those in which nobody can know."""

from __future__ import annotations

import pytest

from showme.data.media.series import SeriesError, choose_series


def numbered(pattern: str, count: int, first: int = 1) -> list[str]:
    return [pattern.format(number) for number in range(first, first + count)]


IMAGES = numbered("img_{:05d}.jpg", 12)


@pytest.mark.parametrize(
    ("others", "kinds"),
    [
        ([], ()),
        (numbered("flow_x_{:05d}.jpg", 11) + numbered("flow_y_{:05d}.jpg", 11), ("flow_x_*.jpg", "flow_y_*.jpg")),
        (numbered("depth_{:05d}.png", 12), ("depth_*.png",)),
        (["cover.jpg"], ("cover.jpg",)),
        (["result_1.png"], ("result_*.png",)),
    ],
)
def test_one_series_is_the_clip_and_the_others_are_named(others, kinds):
    series = choose_series([*others, *reversed(IMAGES)])
    assert (list(series.names), series.kind, series.others) == (IMAGES, "img_*.jpg", kinds)


def test_numbers_go_by_their_value_and_case_says_nothing():
    assert choose_series(["im_10.JPG", "IM_9.jpg", "im_2.jpeg"]).names == ["im_2.jpeg", "IM_9.jpg", "im_10.JPG"]
    stamps = ["9.5.png", "10.033.png", "10.066.png", "11.0.png"]
    assert choose_series(stamps[::-1]).names == stamps
    # Ten a second, from the beginning of one.
    stamps = [f"{second}.{tenth}.png" for second in range(3) for tenth in range(10)]
    assert choose_series(stamps[::-1]).names == stamps
    with pytest.raises(SeriesError, match=r"of 3 series, cam0\.\*\.png \(10\) and cam1"):
        choose_series([f"cam{name}" for name in stamps])


def test_of_two_formats_of_the_same_frames_the_faithful_one_is_the_clip():
    png, jpg = numbered("{}.png", 12), numbered("{}.jpg", 12)
    series = choose_series(jpg + png)
    assert (list(series.names), series.others) == (png, ("*.jpg",))
    # Where one has fewer, it is no clip.
    assert list(choose_series(jpg + png[:5]).names) == jpg
    # And what goes on in another format is one clip.
    assert list(choose_series(png[:5] + jpg[5:]).names) == png[:5] + jpg[5:]


def test_names_of_words_are_a_clip_in_the_order_of_the_alphabet():
    assert choose_series(["b.png", "a.png", "c.png"]).names == ["a.png", "b.png", "c.png"]
    mixed = ["-1.png", "2.png", "10.png", "a.png", "x7.png", "y8.png", "z9.png"]
    assert sorted(choose_series(mixed).names) == sorted(mixed)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (
            numbered("left_{}.png", 3) + numbered("right_{}.png", 4),
            r"of 2 series, left_\*\.png \(3\) and right_\*\.png",
        ),
        (numbered("flow_x_{}.jpg", 3) + numbered("flow_y_{}.jpg", 3), r"of 2 series, flow_x_\*\.jpg"),
        (numbered("cam00_{:03d}.png", 3) + numbered("cam01_{:03d}.png", 3), r"cam00_\*\.png \(3\) and cam01_\*\.png"),
        (numbered("{}.png", 5) + numbered("{}.jpg", 5, first=4), r"of 2 series, \*\.jpg \(5\) and \*\.png \(5\)"),
        (["1.jpg", "2.jpg", "1.JPG"], r"1\.JPG and 1\.jpg have one number: keep one of them"),
        (["img_1.jpg", "img_01.jpg"], r"img_01\.jpg and img_1\.jpg have one number"),
    ],
)
def test_what_could_be_several_clips_is_refused_by_name(names, sentence):
    with pytest.raises(SeriesError, match=sentence):
        choose_series(names)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        # Of another count, from another number on, and one picture alone.
        (numbered("cam0_{:03d}.png", 5) + numbered("cam1_{:03d}.png", 4), r"cam0_\*\.png \(5\) and cam1_\*\.png \(4\)"),
        (numbered("cam0_{:03d}.png", 5) + numbered("cam1_{:03d}.png", 5, 3), r"2 series, cam0_\*\.png \(5\) and cam1_"),
        (numbered("cam0_{:03d}.png", 5, 3) + numbered("cam1_{:03d}.png", 5), r"2 series, cam0_\*\.png \(5\) and cam1_"),
        ([*numbered("0_{:03d}.png", 5), "1_001.png"], r"2 series, 0_\*\.png \(5\) and 1_001\.png \(1\)"),
        # The camera's number last.
        (
            numbered("{:04d}_0.jpg", 12) + numbered("{:04d}_1.jpg", 12),
            r"2 series, \*_0\.jpg \(12\) and \*_1\.jpg \(12\): say which as pattern, such as pattern=\*_0\.jpg",
        ),
        # As many pictures as a minute has seconds.
        (numbered("00_{:02d}.png", 60, 0) + numbered("01_{:02d}.png", 60, 0), r"2 series, 00_\*\.png \(60\) and 01_"),
    ],
)
def test_cameras_are_no_clip_whatever_their_counts_and_first_numbers(names, sentence):
    with pytest.raises(SeriesError, match=sentence):
        choose_series(names)


def test_a_pattern_that_is_offered_selects_one_series():
    plain, left = numbered("rgb_{:03d}.jpg", 3), numbered("rgb_{:03d}_left.jpg", 3)
    with pytest.raises(SeriesError, match=r"rgb_\*\[0-9\]\.jpg \(3\) and rgb_\*_left\.jpg") as error:
        choose_series(plain + left)
    offered = error.value.remedy.rpartition("pattern=")[2]
    assert choose_series(plain + left, offered).names in (plain, left)
    assert choose_series(plain + left, "rgb_*[0-9].jpg").names == plain
    with pytest.raises(SeriesError, match=r"its pictures named 'rgb_\*\.jpg' are of 2 series"):
        choose_series(plain + left, "rgb_*.jpg")


def times(pattern: str, seconds: range) -> list[str]:
    return [pattern.format(each // 3600, each // 60 % 60, each % 60) for each in seconds]


@pytest.mark.parametrize(
    "names",
    [
        times("{:02d}_{:02d}_{:02d}.png", range(90)),
        times("{:02d}_{:02d}_{:02d}.png", range(3590, 3720, 2)),
        times("2024-01-01_{:02d}-{:02d}-{:02d}.png", range(61)),
        [f"0000{each // 2:02d}_{each % 2 * 5}00.png" for each in range(120)],
        [f"{each // 60:02d}_{each % 60:02d}.png" for each in range(57, 130)],
        [f"t{each / 2}.png" for each in range(5)],
        [f"t{each / 4}.png" for each in range(9)],
        [f"frame_{each / 2}.png" for each in range(5)],
        [f"time{each / 10}s.png" for each in range(95, 115)],
        ["0.25.png", "0.5.png", "0.75.png"],
        ["1403636579_763555584.png", "1403636579_813555456.png", "1403636580_63555584.png"],
        numbered("part1_{:03d}.png", 5) + numbered("part2_{:03d}.png", 5, 6),
        [f"{each:04d}_{each * 33}.png" for each in range(40)],
    ],
)
def test_clocks_and_numbers_that_go_on_are_one_clip_in_their_order(names):
    assert list(choose_series(names[::-1]).names) == names


def test_a_pattern_may_join_cameras_and_that_is_reported():
    cameras = numbered("cam0_{}.png", 3) + numbered("cam1_{}.png", 3)
    assert choose_series(cameras, "*").joined == ("cam0_*.png", "cam1_*.png")
    assert choose_series(cameras, "cam1_*").joined == ()


def test_a_pattern_decides():
    left, right = numbered("left_{}.png", 3), numbered("right_{}.png", 4)
    assert list(choose_series(left + right, "RIGHT_*").names) == right
    cameras = numbered("cam0_{}.png", 3) + numbered("cam1_{}.png", 3)
    assert list(choose_series(cameras, "cam1_*.png").names) == cameras[3:]
    assert list(choose_series(cameras, "*").names) == cameras
    with pytest.raises(SeriesError, match=r"none of its pictures is named 'rgb_\*', they are left_\*\.png"):
        choose_series(left, "rgb_*")


@pytest.mark.parametrize(
    ("numbers", "jump"),
    [
        ([1, 2, 3, 4], None),
        ([0, 4, 8, 12], None),
        # Every second or third frame of a recording, as subsampling to an uneven rate leaves them.
        ([10, 12, 15, 17, 19, 21], None),
        ([1, 2, 4, 5], (2, 4)),
        ([0, 4, 8, 20, 24], (8, 20)),
        ([7], None),
    ],
)
def test_missing_numbers_are_found(numbers, jump):
    assert choose_series([f"frame_{number:04d}.png" for number in numbers]).jump == jump
