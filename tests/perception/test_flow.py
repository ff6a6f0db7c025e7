"""Flow of a picture that slides by a known distance."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from showme.errors import InputError
from showme.perception.flow import DisFlow, RaftFlow


def sliding_clip(right: int, down: int, frames: int = 3, size: int = 96) -> torch.Tensor:
    """A smooth random texture that moves by (right, down) pixels a frame: (1, T, 3, size, size)."""
    torch.manual_seed(0)
    margin = frames * max(abs(right), abs(down))
    side = size + 2 * margin
    texture = torch.nn.functional.interpolate(torch.rand(1, 3, side // 6, side // 6), (side, side), mode="bicubic")
    views = []
    for t in range(frames):
        top, left = margin - t * down, margin - t * right
        views.append(texture[0, :, top : top + size, left : left + size].clamp(0, 1))
    return torch.stack(views)[None]


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, -2), (2, 4)])
def test_dis_measures_the_slide(right, down):
    pytest.importorskip("cv2", reason="OpenCV is not installed: pip install opencv-python-headless")
    flow = DisFlow()(sliding_clip(right, down))
    assert flow.shape == (1, 2, 2, 96, 96)
    middle = flow[..., 16:-16, 16:-16].flatten(3).median(-1).values
    torch.testing.assert_close(middle, torch.tensor([right, down]).float().expand(1, 2, 2), atol=0.25, rtol=0)


def test_dis_gives_the_same_flow_whatever_works_on_it():
    """With any number of OpenCV's threads, and when several of ours call it at once."""
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed: pip install opencv-python-headless")
    clips = [sliding_clip(right, 1, size=256) for right in (1, 2, 3, 4)]
    before, flow = cv2.getNumThreads(), DisFlow()
    try:
        cv2.setNumThreads(1)
        alone = [flow(clip) for clip in clips]
        for threads in (2, 3, 4):
            cv2.setNumThreads(threads)
            assert torch.equal(flow(clips[1]), alone[1])
        with ThreadPoolExecutor(4) as pool:
            assert all(map(torch.equal, pool.map(flow, clips), alone))
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize(
    "content", [None, b"", b"no weights", b"\x80\x02.", {"net.weight": torch.zeros(1)}, {1: torch.zeros(1)}, [1]]
)
def test_raft_refuses_other_files(tmp_path, content):
    path = tmp_path / "raft.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(InputError, match=r"RAFT.*raft\.pth|raft\.pth.*RAFT") as error:
        RaftFlow(path)
    assert "\n" not in str(error.value)


def test_raft_gets_pictures_in_its_own_range_and_gives_pixels_of_ours(tmp_path):
    from torchvision.models.optical_flow import raft_large

    torch.save(raft_large(weights=None).state_dict(), tmp_path / "raft.pth")
    estimator = RaftFlow(tmp_path / "raft.pth")
    seen = []

    def constant_flow(first, second):
        seen.append((first, second))
        return [torch.ones(len(first), 2, *first.shape[-2:])]

    estimator.network.forward = constant_flow
    clip = torch.rand(1, 3, 3, 64, 100)
    flow = estimator(clip)
    first, second = seen[0]
    assert first.shape == second.shape == (2, 3, 128, 128)
    assert float(first.min()) < -0.5
    assert flow.shape == (1, 2, 2, 64, 100)
    # One pixel of the enlarged picture is 100/128 of one across and 64/128 down.
    torch.testing.assert_close(flow[0, 0, :, 0, 0], torch.tensor([100 / 128, 0.5]))
    assert not any(p.requires_grad for p in estimator.parameters())
