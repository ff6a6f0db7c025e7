"""``--enrich``: a chat model says how the action is done in the photo, and the model reads that instead."""

from __future__ import annotations

from PIL import Image

from ..user_cache import cache_folder


def enrich(instruction: str, first_frame: Image.Image, captioner: str) -> str:
    """LEGO's question (arXiv 2312.03849), as IVG asks it (arXiv 2412.04189, section 3.1.1); answers are kept.

    Args:
        instruction: as the user wrote it.
        first_frame: what the model sees of the photo.
        captioner: ``transformers:MODEL``, ``server:ADDRESS#MODEL``, or ``tabletop`` for the rendered world.

    Raises:
        InputError: no such captioner, or no answer that can be used.
        OutsideError: a server that does not answer.
    """
    # Imported here: captioners of the other kind need torch, and refusals should not wait for it.
    from ..perception import captioner as named
    from ..perception.captions import ENRICHMENT, AnswerStore, ask

    answer = ask(named(captioner), ENRICHMENT, first_frame, instruction, AnswerStore(cache_folder() / "captions"))
    return " ".join(answer.split())
