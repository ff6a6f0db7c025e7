"""Muon against the singular value decomposition, AdamW against torch's own."""

from __future__ import annotations

import copy

import torch
from torch import nn

from showme.training.muon import MuonAdamW, orthogonalised


def test_orthogonalised_keeps_the_singular_vectors():
    torch.manual_seed(0)
    matrices = torch.randn(3, 24, 40)
    result = orthogonalised(matrices).float()
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    aligned = u.mT @ result @ vh.mT
    values = aligned.diagonal(dim1=-2, dim2=-1)
    assert values.min() > 0.3
    assert values.max() < 1.3
    assert (aligned - torch.diag_embed(values)).abs().max() < 0.08


def test_small_parameters_follow_torch_adamw():
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5))
    theirs = copy.deepcopy(ours)
    a = MuonAdamW([ours], lr=1e-2, weight_decay=0.1)
    b = torch.optim.AdamW(theirs.parameters(), lr=1e-2, betas=(0.9, 0.99), weight_decay=0.1)
    for step in range(5):
        x = torch.randn(8, 6, generator=torch.Generator().manual_seed(step))
        for model, optimizer in ((ours, a), (theirs, b)):
            model(x).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-6, rtol=1e-5)


def test_embeddings_and_thin_layers_are_not_orthogonalised():
    model = nn.ModuleList([nn.Embedding(32, 32), nn.Conv2d(3, 32, 3), nn.Conv2d(32, 3, 3), nn.Conv2d(32, 32, 3)])
    groups = {group["orthogonal"]: group["params"] for group in MuonAdamW([model]).param_groups}
    # The first convolution has 3 x 9 = 27 inputs and 32 outputs: wide enough.
    assert {id(p) for p in groups[True]} == {id(model[1].weight), id(model[3].weight)}
