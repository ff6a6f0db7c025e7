"""Muon for matrices and kernels, AdamW for the rest, as one optimiser.

Muon replaces a matrix's momentum by the nearest matrix with all singular values near one, so that rare directions
learn as fast as common ones. In one run each on the embedded codec it reached a loss in about half AdamW's steps.
``torch.optim.Muon`` takes two-dimensional parameters only; most of these are convolution kernels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

# Quintic Newton-Schulz coefficients (K. Jordan, "Muon", 2024): steepest at zero, singular values end in 0.7..1.2.
_A, _B, _C = 3.4445, -4.7750, 2.0315


class MuonAdamW(torch.optim.Optimizer):
    """Two parameter groups, told apart by ``orthogonal``.

    Args:
        modules: whose trainable parameters are optimised. Kernels and matrices of at least 16 x 16 get Muon;
            embeddings, first and last layers of few channels, norms and biases get AdamW.
        muon_lr: step of Muon, relative to a matrix of unit singular values.
        lr: step of AdamW.
        weight_decay: decoupled, times the group's step, for both.
        momentum: of Muon, Nesterov's form.
        betas: of AdamW.
        iteration: precision of Muon's iteration, which tolerates the rounding of bf16.
    """

    def __init__(
        self,
        modules: Iterable[nn.Module],
        muon_lr: float = 0.02,
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        iteration: torch.dtype = torch.bfloat16,
    ):
        self.iteration = iteration
        orthogonal, others = _split_parameters(modules)
        shared = {"weight_decay": weight_decay, "momentum": momentum, "betas": betas}
        groups = [
            {"params": orthogonal, "orthogonal": True, "lr": muon_lr},
            {"params": others, "orthogonal": False, "lr": lr},
        ]
        super().__init__([group for group in groups if group["params"]], shared)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            if group["orthogonal"]:
                self._muon(parameters, group)
            else:
                self._adamw(parameters, group)

    def _muon(self, parameters: list[Tensor], group: dict) -> None:
        by_shape = defaultdict(list)
        for p in parameters:
            by_shape[p.flatten(1).shape].append(p)
        # Matrices of one shape go through together: many small products are slow one by one.
        for (rows, columns), same in by_shape.items():
            directions = [self._nesterov(p, _gradient(p), group["momentum"]).flatten(1) for p in same]
            updates = orthogonalised(torch.stack(directions), dtype=self.iteration)
            scale = group["lr"] * max(1.0, rows / columns) ** 0.5
            for p, update in zip(same, updates, strict=True):
                p.add_(update.to(p.dtype).view(p.shape), alpha=-scale)

    def _nesterov(self, p: Tensor, gradient: Tensor, momentum: float) -> Tensor:
        state = self.state[p]
        if not state:
            state["momentum"] = torch.zeros_like(p, memory_format=torch.contiguous_format)
        state["momentum"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(state["momentum"], momentum)

    def _adamw(self, parameters: list[Tensor], group: dict) -> None:
        beta1, beta2 = group["betas"]
        for p in parameters:
            state, gradient = self.state[p], _gradient(p)
            if not state:
                state["step"] = torch.zeros(())
                state["mean"] = torch.zeros_like(p, memory_format=torch.contiguous_format)
                state["square"] = torch.zeros_like(p, memory_format=torch.contiguous_format)
            state["step"] += 1
            state["mean"].lerp_(gradient, 1 - beta1)
            state["square"].lerp_(gradient.square(), 1 - beta2)
            step = float(state["step"])
            spread = (state["square"] / (1 - beta2**step)).sqrt_().add_(1e-8)
            p.addcdiv_(state["mean"], spread, value=-group["lr"] / (1 - beta1**step))


def _gradient(p: Tensor) -> Tensor:
    if p.grad is None:
        raise ValueError("a parameter without a gradient cannot be stepped")
    return p.grad


def orthogonalised(matrices: Tensor, steps: int = 3, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """(n, rows, columns) -> matrices of the same singular vectors with singular values near 1, by Newton-Schulz.

    The iteration tolerates the rounding of bf16. Three steps, not the usual five, which take a third of a training
    step's time on two cores; the weakest directions then stay below one.
    """
    x = matrices.to(dtype)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x.mT if tall else x


def _split_parameters(modules: Iterable[nn.Module]) -> tuple[list[Tensor], list[Tensor]]:
    orthogonal: list[Tensor] = []
    others: list[Tensor] = []
    for module in modules:
        tables = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
        for p in module.parameters():
            if not p.requires_grad:
                continue
            matrix = p.ndim in (2, 4) and id(p) not in tables and min(p.shape[0], p[0].numel()) >= 16
            (orthogonal if matrix else others).append(p)
    return orthogonal, others
