"""Where the golden files are: tensors that the reference implementations produced, never copied into the project."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from safetensors import safe_open

ROOT = Path(__file__).parents[2]
GOLDEN_DIR = Path(os.environ.get("SHOWME_GOLDEN_DIR", ROOT.parent / "shared" / "golden"))
TOLERANCE = 1e-4


class Golden:
    """One golden file: its settings, the reference's weights, and the cases recorded with them."""

    def __init__(self, path: Path):
        with safe_open(path, "pt") as file:
            self.metadata = {k: _maybe_json(v) for k, v in file.metadata().items()}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        self.config = self.metadata["config"]
        self.weights = {k[8:]: v.float() for k, v in tensors.items() if k.startswith("weights.")}
        self.tensors = {k: v for k, v in tensors.items() if not k.startswith(("weights.", "lora."))}

    def case(self, name: str) -> dict:
        """The tensors recorded under ``name.``."""
        return {k[len(name) + 1 :]: v for k, v in self.tensors.items() if k.startswith(name + ".")}


def _maybe_json(text: str):
    return json.loads(text) if text[:1] in "{[" else text


def golden_files(prefix: str) -> list:
    """Parameters for a test: every golden file whose name begins with ``prefix``, or one skipped with the reason."""
    files = sorted(GOLDEN_DIR.glob(f"{prefix}*.safetensors")) if GOLDEN_DIR.is_dir() else []
    if not files:
        reason = f"no {prefix}*.safetensors in {GOLDEN_DIR} (set SHOWME_GOLDEN_DIR)"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(path, id=path.stem) for path in files]


@pytest.fixture(scope="session")
def differences():
    """Collects (what, largest difference) and prints the summary when the session ends."""
    rows: list[tuple[str, float]] = []
    yield rows
    if rows:
        what, worst = max(rows, key=lambda row: row[1])
        print(f"\ngolden: {len(rows)} tensors compared, largest difference {worst:.2e} ({what})")


@pytest.fixture
def reference_keys() -> dict:
    path = GOLDEN_DIR / "reference_keys.json"
    if not path.is_file():
        pytest.skip(f"no {path} (set SHOWME_GOLDEN_DIR)")
    return json.loads(path.read_text())


@pytest.fixture
def compare(differences):
    """compare(what, ours, theirs, scale=1): asserts agreement to 1e-4 of ``scale`` and records the difference."""

    def check(what: str, ours, theirs, scale: float = 1.0):
        assert ours.shape == theirs.shape, f"{what}: {tuple(ours.shape)} against {tuple(theirs.shape)}"
        difference = float((ours.float() - theirs.float()).abs().max()) / scale
        differences.append((what, difference))
        assert difference <= TOLERANCE, f"{what}: differs by {difference:.2e}"

    return check
