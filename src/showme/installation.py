"""What is installed against what this package says it needs: its own metadata, which pip reads as well."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

from packaging.requirements import Requirement

from .optional import DISTRIBUTION

# Extras for those who change this package.
_DEVELOPMENT = ("dev",)
# Packages that bring the same module, each whole.
_SAME = {"opencv-python-headless": ("opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")}
# Packages that are one module together.
_PARTS = {"mujoco": ("mujoco-core", "mujoco-studio")}


@dataclass(frozen=True)
class Fault:
    """A package that is not as it is needed.

    absent: whether it is not there at all. words: a clause, ``peft 0.17.1 is installed, >=0.18 is needed``. remedy: the
    command that mends it.
    """

    absent: bool
    words: str
    remedy: str


def find_faults(extra: str = "") -> list[Fault]:
    """What is wrong with the packages that this one needs, or else with those that one of its extras adds."""
    return [fault for requirement in _requirements(extra) if (fault := _examine(requirement))]


def extras() -> list[str]:
    """This package's extras that its users choose; none where it runs without being installed."""
    own = _find(DISTRIBUTION)
    named = own.metadata.get_all("Provides-Extra") if own else None
    return [extra for extra in named or () if extra not in _DEVELOPMENT]


def find_conflicts() -> list[str]:
    """Sentences on how this package itself is installed, where that is not as it should be."""
    ours, other = _find(DISTRIBUTION), _find("showme")
    if ours is None:
        return [f"{DISTRIBUTION} is not installed, so that what it needs is unknown: pip install . in its folder."]
    if other is None:
        return []
    return [
        f"showme {other.version}, another project or this one under its former name, is installed beside "
        f"{DISTRIBUTION} {ours.version}, and both are imported as showme: pip uninstall showme, and install "
        f"{DISTRIBUTION} again."
    ]


def first_unmet(needs: Iterable[tuple[str, str]]) -> Fault | None:
    """The first of some packages that is not installed in a version that is needed.

    Args:
        needs: of each the name and the versions, as ``>=5.6``.
    """
    faults = (_examine(Requirement(name + versions)) for name, versions in needs)
    return next(filter(None, faults), None)


def _requirements(extra: str) -> Iterator[Requirement]:
    own = _find(DISTRIBUTION)
    for requirement in map(Requirement, (own.requires if own else None) or ()):
        marker = requirement.marker
        always = marker is None or marker.evaluate({"extra": ""})
        if always != bool(extra) and (always or marker is None or marker.evaluate({"extra": extra})):
            yield requirement


def _examine(requirement: Requirement) -> Fault | None:
    name, versions = requirement.name, requirement.specifier
    found = next(filter(None, map(_find, (name, *_SAME.get(name, ())))), None)
    if found is None:
        return Fault(True, f"{name} is missing", f'pip install "{name}{versions}"')
    has = f"{found.name} {found.version} is installed"
    if not versions.contains(found.version, prereleases=True):
        return Fault(False, f"{has}, {versions} is needed", f'pip install "{found.name}{versions}"')
    if name in _SAME or name in _PARTS:
        parts = [found, *filter(None, map(_find, _PARTS.get(name, ())))]
        # Removing one of several packages with one folder takes files of the others.
        if any(map(_has_lost_files, parts)):
            # Together, for they refuse parts of another version.
            names = " ".join(part.name for part in parts)
            remedy = f'pip uninstall -y {names} && pip install "{found.name}{versions}"'
            return Fault(False, f"{has} and has lost files", remedy)
    return None


def _find(name: str) -> Distribution | None:
    try:
        return importlib.metadata.distribution(name)
    except PackageNotFoundError:
        return None


def _has_lost_files(found: Distribution) -> bool:
    files = (file for file in found.files or () if file.suffix != ".pyc")
    return not all(Path(str(found.locate_file(file))).exists() for file in files)
