"""Muon: an update of a hidden matrix that moves all its directions alike (Jordan et al. 2024).

Adam scales each number of a gradient by itself; but the gradient of a matrix has few large singular values, and the
directions of the others hardly move. Muon replaces the momentum U S Vᵀ by about U Vᵀ, found by five steps of Newton and
Schulz, which are products of matrices and nothing else. Embeddings, the output layer, gains and biases stay with AdamW.

The weights of a recurrent cell's gates lie above one another in one parameter, but they are matrices of their own, and
are treated as such: together, the gate with the largest gradient would leave the others little to move by.

Shapes: N matrices of one shape · A rows · B columns
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

MOMENTUM = 0.95
# x ← a x + b (x xᵀ) x + c (x xᵀ)² x takes singular values to about 1 the faster, the steeper it is at 0; these
# coefficients leave them between 0.7 and 1.2, which does no harm (Jordan et al. 2024).
STEPS, COEFFICIENTS = 5, (3.4445, -4.7750, 2.0315)
# With it a number of the update is as large, in the root of the mean square, as one of Adam's: one learning rate and
# one weight decay serve both (Liu et al. 2025, section 2.2).
MATCHING = 0.2
_TINY = 1e-7


class Muon(Optimizer):
    """Muon for ``matrices``, and ``adamw`` for what it was made with; one object, as the trainer knows it.

    ``matrices`` says of each parameter how many matrices of as many rows lie above one another in it.
    """

    def __init__(self, matrices: Mapping[nn.Parameter, int], adamw: AdamW, *, rate: float, weight_decay: float) -> None:
        super().__init__(list(matrices), {"lr": rate, "weight_decay": weight_decay})
        self.adamw = adamw
        self._parts = dict(matrices)
        self.matrices = self.param_groups[0]
        self.param_groups += adamw.param_groups
        adamw.state = self.state

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update from the gradients that are there."""
        self.adamw.step()
        alike: dict[tuple[torch.Size, int, torch.device], list[Tensor]] = {}
        for parameter, parts in self._parts.items():
            if parameter.grad is not None:
                alike.setdefault((parameter.shape, parts, parameter.device), []).append(parameter)
        for (_, parts, _), parameters in alike.items():
            _update(parameters, parts, self.state, self.matrices)


def _update(
    parameters: list[Tensor], parts: int, state: Mapping[Tensor, dict[str, Any]], group: Mapping[str, Any]
) -> None:
    """Matrices of one shape, all at once: an update costs as many products as one of them has."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    for parameter in parameters:
        if "momentum" not in state[parameter]:
            state[parameter]["momentum"] = torch.zeros_like(parameter)
    momenta = [state[parameter]["momentum"] for parameter in parameters]
    torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
    ahead = torch._foreach_lerp(gradients, momenta, MOMENTUM)  # Nesterov's: where the momentum will be
    rate, decay = group["lr"], group["weight_decay"]
    ahead_NAB = torch.cat([each.view(parts, -1, each.shape[1]) for each in ahead])
    scale = rate * MATCHING * max(ahead_NAB.shape[1:]) ** 0.5
    directions = orthogonal(ahead_NAB).to(parameters[0].dtype).flatten(0, 1).chunk(len(parameters))
    if decay:
        torch._foreach_mul_(parameters, 1 - rate * decay)
    torch._foreach_add_(parameters, directions, alpha=-scale)


def orthogonal(matrix_NAB: Tensor) -> Tensor:
    """About U Vᵀ of each matrix U S Vᵀ, in bfloat16: its products are the fastest, and the result is rough anyway."""
    x = matrix_NAB.mT if matrix_NAB.shape[1] > matrix_NAB.shape[2] else matrix_NAB
    x = (x / x.norm(dim=(1, 2), keepdim=True).clamp(min=_TINY)).bfloat16()
    a, b, c = COEFFICIENTS
    for _ in range(STEPS):
        gram_NAA = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram_NAA, gram_NAA, gram_NAA, beta=b, alpha=c), x, beta=a)
    return x.mT if matrix_NAB.shape[1] > matrix_NAB.shape[2] else x
