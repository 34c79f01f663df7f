"""The gradient of one update, whatever memory allows: batches that do not fit are computed in halves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

import torch
from torch import nn

from seq2see.errors import Seq2seeError
from seq2see.training.batch import AnyBatch, LossFunction
from seq2see.training.precision import Precision, autocast

_SIGNS = ("out of memory", "DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED")


@dataclass(frozen=True)
class Gradient:
    """What :meth:`Computation.gradient` found: the summed loss, and how many batches had to be split."""

    loss: float
    split: int


@dataclass(frozen=True)
class Computation(Generic[AnyBatch]):
    """How a loss is computed: with which module, at which precision, on which device.

    ``twin``: a module with the same parameters that computes the same in bfloat16, faster.
    """

    module: nn.Module
    loss: LossFunction[AnyBatch]
    precision: Precision
    device: torch.device
    twin: nn.Module | None = None

    def gradient(self, batches: Sequence[AnyBatch], tokens: int) -> Gradient:
        """Add the gradient of the loss over ``batches``, divided by ``tokens``, to the (empty) gradients.

        Raises:
            Seq2seeError: not even a single row fits into memory.
        """
        parts, owners, split = list(batches), list(range(len(batches))), set[int]()
        while True:
            failed, loss = self._attempt(parts, tokens)
            if failed is None:
                return Gradient(loss, len(split))
            # Part of this gradient may have been added already: begin anew, with halves of what failed.
            self.module.zero_grad(set_to_none=True)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            parts[failed : failed + 1] = _halves(parts[failed])
            split.add(owners[failed])
            owners.insert(failed, owners[failed])

    def _attempt(self, parts: Sequence[AnyBatch], tokens: int) -> tuple[int | None, float]:
        """The loss, or the number of the part that did not fit. Nothing large outlives a failure."""
        total = torch.zeros((), device=self.device)
        module = self.twin if self.twin is not None and self.precision == "bfloat16" else self.module
        for number, part in enumerate(parts):
            if part.tokens == 0:
                continue
            try:
                with autocast(self.precision, self.device):
                    loss = self.loss(module, part.to(self.device))
                torch.autograd.backward(loss / tokens)
                total += loss.detach()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                return number, 0.0
        return None, float(total)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the machine, or torch's allocator on any device, had no memory left."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def _halves(part: AnyBatch) -> list[AnyBatch]:
    if part.rows_B.numel() < 2:
        raise Seq2seeError(
            f"out of memory with a single pair (row {int(part.rows_B[0])}): use a smaller model, or drop "
            "long pairs with data.max_pieces"
        )
    return [part.shard(0, 2), part.shard(1, 2)]
