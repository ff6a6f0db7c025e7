"""What a run of training needs to be there: its folder, model and clips, found before anything slow is imported."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from .bundle import BundleFiles, BundleInfo, open_bundle
from .data.sources import Record
from .data.sources.lists import read_enrichments
from .errors import InputError, ShowMeWarning
from .instruction import prompt_for, split_words
from .methods import find_method
from .run_config import RunConfig
from .run_folder import check_folder


@dataclass(frozen=True)
class RunInput:
    """The model that is tuned, and its clips with instructions as it reads them."""

    files: BundleFiles
    records: list[Record]


def find_input(config: RunConfig) -> RunInput:
    """Find what a run reads, by names and file headers alone.

    Raises:
        InputError: a folder that holds something else, no such model or clips, or wrong annotations.
    """
    check_folder(config.out, config)
    files = open_bundle(config.model)
    find_method(config.method).check_backbone(files)
    return RunInput(files, find_records(config, files.info))


def find_records(config: RunConfig, info: BundleInfo) -> list[Record]:
    """The clips of a run, with instructions as its model reads them.

    Raises:
        InputError: wrong annotations, or a clip that is missing.
    """
    records = config.data.source.records(config.data.clips)
    if config.data.enrichment is not None:
        records = enriched(records, config.data.enrichment)
    return _as_read(records, info)


def enriched(records: list[Record], file: Path) -> list[Record]:
    """The same, with how their actions are done for instructions.

    Raises:
        InputError: no such list, or one that lacks some of the clips.
    """
    texts = read_enrichments(file)
    lacking = [record.id for record in records if record.id not in texts]
    if lacking:
        raise InputError(
            f"{file} has no enrichment of {len(lacking)} of {len(records)} clips, {lacking[0]!r} first: run "
            "`showme data annotate` with labels=[enrichment] and the same source."
        )
    return [replace(record, instruction=texts[record.id]) for record in records]


def _as_read(records: list[Record], info: BundleInfo) -> list[Record]:
    """Instructions as they will be read when the model is asked; a warning names what it cannot tell apart in them."""
    if info.vocabulary is None:
        return records
    known = {*info.vocabulary, *info.synonyms}
    strange = [(record, word) for record in records for word in split_words(record.instruction) if word not in known]
    if strange:
        record, word = strange[0]
        count = len({each.id for each, _ in strange})
        warnings.warn(
            f"{count} of {len(records)} instructions {'has' if count == 1 else 'have'} words that {info.name} does not "
            f"know, such as {word!r} in clip {record.id!r}: it reads all of them as one and the same unknown word.",
            ShowMeWarning,
            stacklevel=3,
        )
    return [
        replace(
            record,
            instruction=prompt_for(record.instruction, info.vocabulary, info.synonyms),
            written=record.instruction,
        )
        for record in records
    ]
