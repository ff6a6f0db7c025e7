"""Rendering a data set of clips to disk, on all cores, resumable."""

import json
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from showme.errors import InputError
from showme.staged_files import staged
from showme.threads import usable_cores
from showme.worlds.tabletop.clip import Clip, render
from showme.worlds.tabletop.scene import Scene
from showme.worlds.tabletop.splits import SPLITS

_ARRAYS = (
    "frames",
    "joints",
    "object_track",
    "hand_masks",
    "object_masks",
    "second_object_masks",
    "depth",
)
_CHUNK = 8

# Called with the number of clips that exist so far and the number asked for.
Progress = Callable[[int, int], None]


def render_dataset(
    out_dir: str | Path,
    count: int,
    split: str,
    *,
    first_seed: int | None = None,
    processes: int | None = None,
    labels: bool = True,
    progress: Progress | None = None,
) -> Path:
    """Render ``count`` clips with consecutive seeds and list them in ``index.jsonl``.

    Finished clips are kept: call it again to resume, or with a larger count to extend.

    Args:
        out_dir: Folder for ``<seed>.safetensors`` files; made if absent.
        count: Number of clips.
        split: A key of ``SPLITS``.
        first_seed: First seed, in the split's range; its start if None.
        processes: Worker processes; the number of usable cores if None.
        labels: Also write masks and depth.
        progress: Called after each batch of clips.

    Returns:
        The path of the index, one JSON object per line with ``id``, ``file``,
        ``instruction``, ``split`` and ``seed``.

    Raises:
        ValueError: unknown split, or seeds that leave its range.
        InputError: the folder's index lists other clips.
        OpenGLMissingError: no offscreen OpenGL library is installed.
    """
    seeds = _seeds(count, split, first_seed)
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    _check_index(out, seeds, split)
    missing = [seed for seed in seeds if not _is_whole(clip_path(out, seed), labels)]
    done = count - len(missing)
    if progress is not None:
        progress(done, count)
    chunks = [missing[k : k + _CHUNK] for k in range(0, len(missing), _CHUNK)]
    for finished in _run(chunks, out, split, labels, processes or usable_cores()):
        done += finished
        if progress is not None:
            progress(done, count)
    return _write_index(out, seeds, split)


def clip_path(folder: Path, seed: int) -> Path:
    """Where the clip of a seed is kept."""
    return folder / f"{seed}.safetensors"


def save_clip(clip: Clip, path: Path) -> None:
    """Write a clip in one step: a reader never sees half a file."""
    arrays = {name: getattr(clip, name) for name in _ARRAYS if getattr(clip, name) is not None}
    metadata = {
        "instruction": clip.instruction,
        "scene": json.dumps(clip.scene.to_dict()),
        "final_state": json.dumps(clip.final_state),
    }
    with staged(path) as draft:
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, draft, metadata)


def load_clip(path: str | Path) -> Clip:
    """Read a clip written by ``render_dataset``; labels that were not written are None."""
    with safe_open(str(path), framework="numpy") as file:
        metadata = file.metadata()
        names = set(file.keys())
        arrays = {name: file.get_tensor(name) for name in _ARRAYS if name in names}
    return Clip(
        instruction=metadata["instruction"],
        scene=Scene.from_dict(json.loads(metadata["scene"])),
        final_state=json.loads(metadata["final_state"]),
        **arrays,
    )


def _is_whole(path: Path, labels: bool) -> bool:
    """Whether a clip is there and can be read, with masks and depth where they are asked for."""
    try:
        with safe_open(str(path), "numpy") as file:
            return bool(file.metadata()) and (not labels or "depth" in file.keys())  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError):
        return False


def _check_index(out: Path, seeds: range, split: str) -> None:
    """Refuse to take clips out of a list that is there.

    Raises:
        InputError: it has clips that are not asked for.
    """
    index = out / "index.jsonl"
    if not index.exists():
        return
    wanted = {str(seed) for seed in seeds}
    listed = [json.loads(line)["id"] for line in index.read_text().splitlines() if line.strip()]
    others = [name for name in listed if name not in wanted]
    if others:
        raise InputError(
            f"{index} lists {len(others)} clips that are not among these {len(seeds)} of {split}, such as {others[0]}: "
            "choose another --out, or a --count and --seed that keep them."
        )


def _seeds(count: int, split: str, first_seed: int | None) -> range:
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
    owned = SPLITS[split]
    start = owned.start if first_seed is None else first_seed
    if count < 1 or start not in owned or start + count - 1 not in owned:
        raise ValueError(f"seeds of {split!r} must lie in {owned.start}..{owned.stop - 1}")
    return range(start, start + count)


def _run(chunks: list[list[int]], out: Path, split: str, labels: bool, processes: int):
    """Render all chunks; yields the number of clips of each finished chunk."""
    if processes == 1 or len(chunks) <= 1:
        yield from (_render_chunk(seeds, out, split, labels) for seeds in chunks)
        return
    # Spawned, not forked: an OpenGL context does not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(chunks)), mp_context=context) as pool:
        jobs = [pool.submit(_render_chunk, seeds, out, split, labels) for seeds in chunks]
        try:
            for job in as_completed(jobs):
                yield job.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _render_chunk(seeds: list[int], out: Path, split: str, labels: bool) -> int:
    for seed in seeds:
        save_clip(render(seed, split, labels=labels), clip_path(out, seed))
    return len(seeds)


def _write_index(out: Path, seeds: range, split: str) -> Path:
    """List the clips, with the instructions that their files hold."""
    lines = []
    for seed in seeds:
        path = clip_path(out, seed)
        with safe_open(str(path), framework="numpy") as file:
            instruction = file.metadata()["instruction"]
        row = {
            "id": str(seed),
            "file": path.name,
            "instruction": instruction,
            "split": split,
            "seed": seed,
        }
        lines.append(json.dumps(row))
    index = out / "index.jsonl"
    part = index.with_name(f"{index.name}.{os.getpid()}.part")
    part.write_text("\n".join(lines) + "\n")
    part.replace(index)
    return index
