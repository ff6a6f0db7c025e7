"""Both forms of attention agree, gradients included."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from showme.models.dot_product import dot_product_attention


@pytest.mark.parametrize("keys", [5, 200])
def test_bf16_on_a_cpu_agrees_with_fp32(keys):
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, n, 16, dtype=torch.bfloat16) for n in (7, keys, keys))
    weight = torch.randn(2, 3, 7, 16)
    results = []
    for dtype, form in ((torch.bfloat16, dot_product_attention), (torch.float32, F.scaled_dot_product_attention)):
        leaves = [x.detach().to(dtype).requires_grad_() for x in (q, k, v)]
        out = form(*leaves)
        (out.float() * weight).sum().backward()
        results.append([out, *(leaf.grad for leaf in leaves)])
    assert results[0][0].dtype is torch.bfloat16
    for ours, exact in zip(*results, strict=True):
        torch.testing.assert_close(ours.float(), exact, atol=0.03, rtol=0.03)


def test_fp32_is_torchs_own():
    q, k, v = (torch.randn(2, 3, n, 16) for n in (7, 5, 5))
    torch.testing.assert_close(dot_product_attention(q, k, v), F.scaled_dot_product_attention(q, k, v), atol=0, rtol=0)
