"""Preference studies: people see two answers to the same question and say which is better."""

from .store import Answer, AnswerStore
from .study import Question, Showing, Study, make_study, open_study

__all__ = ["Answer", "AnswerStore", "Question", "Showing", "Study", "make_study", "open_study"]
