"""Captions: what a vision-language model says about a first frame and an instruction, asked once and kept."""

from .answers import AnswerError
from .chat_model import ChatModel
from .prompts import ENRICHMENT, STATES, Captioner, Prompt
from .server import ChatServer
from .store import AnswerStore, ask
from .template import TabletopWords

__all__ = [
    "ENRICHMENT",
    "STATES",
    "AnswerError",
    "AnswerStore",
    "Captioner",
    "ChatModel",
    "ChatServer",
    "Prompt",
    "TabletopWords",
    "ask",
]
