"""The projection to the vocabulary in chunks of rows: logits and gradients without a table of all logits.

Shapes: N rows (target positions that count) · n rows of one chunk · D width · V vocabulary.

Under autocast (and for bfloat16 weights) the matrix products run in the low precision; everything else, the
softmax and the sums of the gradients included, is float32. Functions here expect autocast to be switched off
around them once a ``Projection`` has been made.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from seq2see.errors import InputError

CHUNK_BYTES_CPU = 16 << 20  # about what stays in the last-level cache
CHUNK_BYTES_DEVICE = 256 << 20  # a GPU needs large products to be busy
CHUNK_ROWS_LEAST = 128  # narrower products cost more than a table that leaves the cache


@dataclass(frozen=True)
class Projection:
    """The output layer in the types its products are computed in. ``sums`` is the type of everything else."""

    weight_VD: Tensor
    bias_V: Tensor | None
    sums: torch.dtype

    @staticmethod
    def of(hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None) -> "Projection":
        """Read the precision off the inputs and the autocast state; float64 is never lowered."""
        device = hidden_ND.device.type
        product = torch.promote_types(hidden_ND.dtype, weight_VD.dtype)
        if torch.is_autocast_enabled(device) and product != torch.float64:
            product = torch.get_autocast_dtype(device)
        sums = torch.promote_types(product, torch.float32)
        bias_V = None if bias_V is None else bias_V.detach().to(sums)
        return Projection(weight_VD.detach().to(product), bias_V, sums)

    def tables(self, count: int, rows: int) -> tuple[Tensor, ...]:
        """So many tables of rows × V to compute in; made once: fresh memory costs as much as a pass."""
        shape = (count, rows, self.weight_VD.shape[0])
        return self.weight_VD.new_empty(shape, dtype=self.sums).unbind(0)

    def logits(self, hidden_nD: Tensor, out_nV: Tensor) -> Tensor:
        """Write W h + b into ``out_nV`` and return it."""
        hidden_nD, weight_DV = hidden_nD.to(self.weight_VD.dtype), self.weight_VD.T
        if self.weight_VD.dtype != self.sums:
            out_nV.copy_(hidden_nD @ weight_DV)
            return out_nV if self.bias_V is None else out_nV.add_(self.bias_V)
        if self.bias_V is None:
            return torch.mm(hidden_nD, weight_DV, out=out_nV)
        return torch.addmm(self.bias_V, hidden_nD, weight_DV, out=out_nV)

    def mean_logits(self, hidden_ND: Tensor) -> Tensor:
        """mean_v z_v of each row, without the logits: h · mean(W) + mean(b)."""
        mean_N = hidden_ND.to(self.sums) @ self.mean_weight_D()
        return mean_N if self.bias_V is None else mean_N + self.bias_V.mean()

    def mean_weight_D(self) -> Tensor:
        return self.weight_VD.mean(0, dtype=self.sums)


class ProjectionGradients:
    """Sums of an output layer's gradients over chunks of rows; parts that nobody needs are left out."""

    def __init__(self, layer: Projection, uniform_D: Tensor, uniform: float, needs: tuple[bool, bool, bool]) -> None:
        """Start from what is the same for each word: ``uniform_D`` for weights, ``uniform`` for the bias.

        ``needs`` says whether the gradients of hidden, weight and bias are wanted.
        """
        self.layer, self.needs = layer, needs
        vocabulary = layer.weight_VD.shape[0]
        self.weight_VD = uniform_D.to(layer.sums).repeat(vocabulary, 1) if needs[1] else None
        self.bias_V = uniform_D.new_full((vocabulary,), uniform, dtype=layer.sums) if needs[2] else None

    def add(self, gradient_nV: Tensor, hidden_nD: Tensor) -> Tensor | None:
        """Add a chunk (its gradient of the logits) to the sums; return that of hidden (n × D) if needed."""
        if self.bias_V is not None:
            self.bias_V.add_(gradient_nV.sum(0))
        product = self.layer.weight_VD.dtype
        gradient_nV, hidden_nD = gradient_nV.to(product), hidden_nD.to(product)
        if self.weight_VD is not None:
            if product == self.layer.sums:
                self.weight_VD.addmm_(gradient_nV.T, hidden_nD)
            else:
                self.weight_VD.add_(gradient_nV.T @ hidden_nD)
        return gradient_nV @ self.layer.weight_VD if self.needs[0] else None


def scale_gradients(
    gradients: tuple[Tensor | None, ...], upstream: Tensor, dtypes: list[torch.dtype | None]
) -> list[Tensor | None]:
    """The chain rule for a scalar loss whose gradients are known, in the types of the inputs."""
    return [
        None if gradient is None else (gradient * upstream).to(dtype)
        for gradient, dtype in zip(gradients, dtypes, strict=True)
    ]


def softmax_and_lse(logits_nV: Tensor, out_nV: Tensor) -> tuple[Tensor, Tensor]:
    """Write softmax to ``out_nV``; return the largest logit and lse − largest logit, both n × 1.

    The fused softmax is the fastest pass there is over a row, and its largest value is exp(max − lse).
    Keeping the two parts of lse apart keeps differences of large logits exact.
    """
    largest_n1 = logits_nV.amax(1, keepdim=True)
    torch.softmax(logits_nV, 1, out=out_nV)
    return largest_n1, -out_nV.amax(1, keepdim=True).log()


def subtract_gold(table_nV: Tensor, gold_n: Tensor, amount: float) -> None:
    """Subtract ``amount`` from each row's gold entry, in place; no entry is written twice."""
    gold_n1 = gold_n[:, None]
    table_nV.scatter_(1, gold_n1, table_nV.gather(1, gold_n1) - amount)


def chunks(rows: int, size: int) -> Iterator[slice]:
    """Slices of nearly equal length, at most ``size``, that cover ``rows``."""
    parts = math.ceil(rows / size)
    for part in range(parts):
        yield slice(rows * part // parts, rows * (part + 1) // parts)


def chunk_rows(layer: Projection, rows: int, chunk: int | None, tables: int) -> int:
    """``chunk``, or as many rows as fit the cache when ``tables`` tables of rows × V are needed at once."""
    if chunk is not None:
        return max(1, min(rows, chunk))
    budget = CHUNK_BYTES_CPU if layer.weight_VD.device.type == "cpu" else CHUNK_BYTES_DEVICE
    row_bytes = layer.weight_VD.shape[0] * layer.sums.itemsize * tables
    return max(1, min(rows, max(CHUNK_ROWS_LEAST, budget // row_bytes)))


def check_inputs(
    hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, gold_N: Tensor | None, chunk: int | None
) -> None:
    """Raise InputError unless the shapes fit each other and the chunk is possible."""
    fits = hidden_ND.dim() == 2 and weight_VD.dim() == 2 and hidden_ND.shape[1] == weight_VD.shape[1]
    fits = fits and (bias_V is None or bias_V.shape == weight_VD.shape[:1])
    if not (fits and (gold_N is None or gold_N.shape == hidden_ND.shape[:1])):
        given = (hidden_ND, weight_VD, bias_V, gold_N)
        shapes = [None if each is None else tuple(each.shape) for each in given]
        raise InputError(
            "an output layer's loss needs hidden (N, D), weight (V, D), bias (V) or None and gold (N); "
            f"given: {', '.join(map(str, shapes))}"
        )
    if chunk is not None and chunk < 1:
        raise InputError(f"chunk is a number of rows, at least 1 (None: chosen here); given: {chunk}")


def check_smoothing(smoothing: float) -> None:
    if not 0.0 <= smoothing < 1.0:
        raise InputError(f"label smoothing is a share, 0 ≤ smoothing < 1; given: {smoothing}")
