"""VQAScore: whether a network that sees says that a frame shows the instruction."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from ...errors import InputError
from ..networks.vqa import QuestionAnswering
from .base import ClipMetric, Pairs
from .estimators import bytes_of

QUESTION = 'Does this figure show "{text}"? Please answer yes or no.'
ANSWER = "Yes"


class VqaScore(ClipMetric):
    """VQAScore (arXiv 2404.01291): how likely the answer "Yes" is, 0 to 1; the mean over generated frames.

    The published figures are of clip-flant5-xl and -xxl, which are no models of transformers and cannot be loaded here.
    Figures of any other network, InstructBLIP-FlanT5 among them, compare with nothing but figures of the same network
    under the same question.

    Args:
        network: answers questions about pictures.
        question: holds ``{text}``, which is where the instruction goes. The authors' release asks InstructBLIP with
            "Question: " before it, and for the answer "yes".
        answer: whose probability counts.
        probability: ``answer``: of the answer's words, the paper's definition. ``released``: the geometric mean over
            the answer's tokens and its end, as the authors' release computes it: for one word nearly the square root.

    Raises:
        InputError: a question without ``{text}``, or an empty answer.
    """

    better = "higher"

    def __init__(
        self,
        network: QuestionAnswering,
        question: str = QUESTION,
        answer: str = ANSWER,
        probability: Literal["answer", "released"] = "answer",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if "{text}" not in question or not answer.strip():
            raise InputError(f"VQAScore's question {question!r} must hold {{text}}, and its answer {answer!r} a word.")
        self.network, self.question, self.answer, self.probability = network, question, answer, probability

    @property
    def fingerprint(self) -> dict[str, Any]:
        settings = {"question": self.question, "answer": self.answer, "probability": self.probability}
        return {"vqa": self.network.fingerprint} | settings

    def score(self, pairs: Pairs) -> Tensor:
        """(B,), 0 to 1.

        Raises:
            InputError: an instruction holds one of the network's control tokens.
        """
        clips = zip(pairs.generated, pairs.instructions, strict=True)
        return torch.stack([self._clip(clip, instruction) for clip, instruction in clips])

    def _clip(self, clip: Tensor, instruction: str) -> Tensor:
        question = self.question.replace("{text}", instruction)
        tokens = self.network.answer_log_probabilities(bytes_of(clip), question, self.answer)
        logarithm = tokens[:, :-1].sum(1) if self.probability == "answer" else tokens.mean(1)
        return logarithm.exp().mean()
