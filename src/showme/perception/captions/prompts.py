"""What a captioner is asked, and what a captioner is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from PIL import Image

from ...errors import InputError
from .answers import parse_enrichment, parse_states

Answer = TypeVar("Answer")

INSTRUCTION = "[instruction]"
# Where the paper shows the picture within its sentence.
PICTURE = "<image>"


@dataclass(frozen=True)
class Prompt(Generic[Answer]):
    """A question about a picture and an instruction.

    name: goes, with the text, into the key of a stored answer. text: the words, with ``[instruction]`` where the
    instruction is put. parser: the raw answer -> what it says; raises AnswerError.
    """

    name: str
    text: str
    parser: Callable[[str], Answer]

    def question(self, instruction: str) -> str:
        """The words for one clip, to be read after its picture.

        A picture goes ahead of the words, which then say "the given image" for the figure's ``<image>``: most chat
        templates put pictures first, and would leave a hole in the sentence.

        Raises:
            InputError: an empty instruction.
        """
        if not instruction.strip():
            raise InputError("The instruction is empty, so nothing can be asked about it: write it or drop the clip.")
        before, marker, after = (part.replace(PICTURE, "image") for part in self.text.partition(INSTRUCTION))
        return before + instruction.strip() + after if marker else before


class Captioner(Protocol):
    """Says something about a picture: a chat model of any kind, or the tabletop's own words.

    name: goes into the key of a stored answer; two captioners that may answer differently have different names.
    """

    name: str

    def answer(self, picture: Image.Image, prompt: Prompt, instruction: str, attempt: int = 0) -> str:
        """The raw answer.

        Args:
            picture: RGB.
            prompt: what is asked.
            instruction: what the clip shows.
            attempt: 0 for the likeliest answer; 1, 2, ... for others, each the same every time where the captioner can.

        Raises:
            AnswerError: an answer that is known to be unusable, such as one that was cut off.
            InputError: the captioner cannot be asked at all.
        """
        ...


STATES: Prompt[tuple[str, ...]] = Prompt(
    "states",
    f'I have a prompt "{INSTRUCTION}" for video generation. This prompt guides the process of generating a video from '
    f"the given {PICTURE}. Can you describe this process in separate states? Each state should be described in only "
    "one sentence, and please ensure the descriptions between states are coherent. Be straightforward and avoid a "
    "narrative style. Additionally, can you align the description with the provided image? There should be four "
    "states in total.",
    parse_states,
)
"""AID, figure 14: what happens between the first frame and the last, in four sentences."""

ENRICHMENT: Prompt[str] = Prompt(
    "enrichment",
    f"How does the person properly {INSTRUCTION} that is displayed in the video frame?",
    parse_enrichment,
)
"""LEGO: how the action is done in this place. The instruction is put as an action: "open the drawer"."""
