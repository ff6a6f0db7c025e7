"""Guidance by picture and text: the formula, the passes that it takes, and a context of no words."""

from __future__ import annotations

import pytest
import torch

from showme.errors import InputError
from showme.methods.aid.guidance import DualGuidance, null_context


@pytest.mark.parametrize(
    ("text", "visual", "passes"), [(12, 1.5, 3), (12, 1, 2), (1, 1, 1), (3, 3, 2), (1, 2, 3), (0, 2, 3)]
)
def test_the_passes_that_are_made_give_the_whole_formula(text, visual, passes):
    torch.manual_seed(0)
    known = {branch: torch.randn(2, 3) for branch in ((False, False), (False, True), (True, True))}
    guidance = DualGuidance(text, visual)
    assert len(guidance.branches) == passes
    assert guidance.branches[-1] == (True, True)
    nothing, picture, everything = known.values()
    whole = nothing + visual * (picture - nothing) + text * (everything - picture)
    torch.testing.assert_close(guidance.combine(torch.cat([known[each] for each in guidance.branches])), whole)


def test_no_words_fill_a_context_by_standing_there_several_times():
    empty, context = torch.randn(2, 3, 5), torch.zeros(2, 4, 6, 5)
    filled = null_context(empty, context)
    assert filled.shape == context.shape
    query = torch.randn(2, 1, 5)
    attend = torch.nn.functional.scaled_dot_product_attention
    torch.testing.assert_close(attend(query, filled[:, 0], filled[:, 0]), attend(query, empty, empty))
    with pytest.raises(InputError, match="every frame 7 tokens, which the 3 of an empty text do not fill: choose"):
        null_context(empty, torch.zeros(2, 4, 7, 5))
