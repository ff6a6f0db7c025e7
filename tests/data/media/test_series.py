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
