"""HDR as SDR: what the ffmpeg command's zscale and tonemap give, and HDR clips that are mapped or refused."""

from __future__ import annotations

import av
import numpy as np
import pytest

from showme.data.check import fault_of
from showme.data.media import Video
from showme.data.media.colours import Colours
from showme.data.media.hdr import peak_of
from showme.data.sources.record import Record
from showme.errors import ClipError, ShowMeWarning
from showme.pictures.light import tone_map

# ffmpeg 5.1: zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:desat=0,zscale=t=iec61966-2-1
CODES = [(0, 0, 0), (20000, 20000, 20000), (38000, 38000, 38000), (38000, 20000, 15000), (15000, 40000, 20000),
         (20000, 10000, 42000), (49000, 30000, 30000), (52000, 52000, 52000), (65535, 40000, 20000),
         (65535, 65535, 65535)]  # fmt: skip
SHOWN = {
    16: [(0, 0, 0), (65, 65, 65), (212, 212, 212), (228, 0, 0), (0, 226, 0), (0, 0, 234), (253, 0, 46),
         (253, 253, 253), (255, 0, 0), (255, 255, 255)],
    18: [(0, 0, 0), (78, 78, 78), (163, 163, 163), (188, 52, 44), (0, 180, 54), (74, 7, 189), (226, 65, 87),
         (222, 222, 222), (253, 0, 0), (249, 249, 249)],
}  # fmt: skip
CURVES = {"PQ": 16, "HLG": 18}


def hdr_clip(path, curve: int, metadata: str = ""):
    """Grey of 203 cd/m2 in PQ, and a light one in HLG, as 10-bit HEVC."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx265", rate=10, options={"x265-params": f"log-level=none{metadata}"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = curve, 9, 9, 1
        for number in range(3):
            frame = av.VideoFrame(64, 48, "yuv420p10le")
            for plane, code in zip(frame.planes, (64 + round(876 * 0.58), 512, 512), strict=True):
                plane.update(np.full(plane.buffer_size // 2, code, np.uint16).tobytes())
            frame.pts, frame.color_trc, frame.color_primaries, frame.colorspace = number, curve, 9, 9
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("curve", SHOWN)
def test_tone_mapping_equals_ffmpegs(curve):
    mapped = tone_map(np.array([CODES], np.uint16), curve, 9, 10.0)
    assert np.abs(mapped[0].astype(int) - SHOWN[curve]).max() <= 1


@pytest.mark.parametrize("curve", SHOWN)
def test_darker_than_the_knee_sdr_stays_what_it_is(curve):
    grey = np.rint(np.arange(20, 140) / 255 * 255)
    light = np.where(grey / 255 <= 0.04045, grey / 255 / 12.92, ((grey / 255 + 0.055) / 1.055) ** 2.4)
    if curve == CURVES["PQ"]:
        power = (light * 203 / 10000) ** 0.1593017578125
        code = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    else:
        scene = (light * 203 / 1000) ** (1 / 1.2)
        bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        code = np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)
    codes = np.repeat(np.rint(code * 65535).astype(np.uint16)[None, :, None], 3, axis=-1)
    assert np.abs(tone_map(codes, curve, 9, 10.0)[0, :, 0] - grey).max() <= 1


@pytest.mark.parametrize("name", CURVES)
def test_hdr_clips_are_mapped_and_reported_or_refused(tmp_path, name):
    path = hdr_clip(tmp_path / "hdr.mp4", CURVES[name])
    sentence = rf"hdr.mp4 is HDR \({name}\): its colours are mapped to SDR"
    with pytest.warns(ShowMeWarning, match=sentence) as caught, Video(path).open() as frames:
        pictures = list(frames.read([0, 2]))
    assert len(caught) == 1
    assert np.abs(pictures[0].astype(int) - {"PQ": 213, "HLG": 163}[name]).max() <= 3
    refused = Video(path, colours=Colours(hdr="refuse"))
    with pytest.raises(ClipError, match=f"it is HDR, {name}.*set colours.hdr=map"), refused.open() as frames:
        next(iter(frames.read([0])))
    assert f"it is HDR, {name}" in (fault_of(Record("x", refused, "x")) or "")


@pytest.mark.parametrize(
    ("metadata", "peak"),
    [
        ("", 10.0),
        (":max-cll=400,100", 4.0),
        (":master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(6000000,50)", 6.0),
    ],
    ids=["none", "MaxCLL", "mastering display"],
)
def test_the_brightest_light_is_the_files(tmp_path, metadata, peak):
    path = hdr_clip(tmp_path / "hdr.mp4", 16, metadata)
    with av.open(str(path)) as container:
        assert peak_of(next(container.decode(video=0)), "hevc") == pytest.approx(peak)
