"""float32 or bfloat16 arithmetic: what the hardware has, and which is faster for the model at hand.

float16 is never used: it needs loss scaling, and every device that has it and trains well has bfloat16 too.
Weights, sums of gradients and the optimiser stay float32; bfloat16 is for the products, by autocast.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from statistics import median
from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]

CPU_FEATURES = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # x86, x86, Arm, Arm
CPU_QUESTIONS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
ROUNDS = 3  # alternated, so that a slow moment of a shared machine meets both
SECONDS = 2.0  # of the two trials together: beyond it, more of them would take too much of the budget
GAIN = 0.10  # bfloat16 has to be at least so much faster: it rounds more, so a tie goes to float32


def choose_precision(
    setting: Literal["auto", "float32", "bfloat16"],
    device: torch.device,
    measure: Callable[[Precision], float],
) -> tuple[Precision, str]:
    """The precision to train in, and a sentence for people that says why.

    ``measure`` runs a training step of the real model in a precision and returns its seconds; it is called
    only for "auto" on hardware with bfloat16 arithmetic: once each to warm up, then three times each in turn
    (once, where a step takes seconds), and the medians are compared. On resume, keep the precision that was
    chosen first.
    """
    if setting == "float32":
        return "float32", "float32, as set."
    if setting == "bfloat16":
        lacking = "" if has_bfloat16(device) else f"; this {device.type} has no arithmetic for it: expect it slow"
        return "bfloat16", f"bfloat16, as set{lacking}."
    if not has_bfloat16(device):
        return "float32", f"float32: this {device.type} has no bfloat16 arithmetic."
    slow = measure("float32") + measure("bfloat16") > SECONDS
    rounds = [(measure("float32"), measure("bfloat16")) for _ in range(1 if slow else ROUNDS)]
    full, low = (median(each) for each in zip(*rounds, strict=True))
    chosen: Precision = "bfloat16" if low <= (1 - GAIN) * full else "float32"
    return chosen, (
        f"{chosen}: a training step takes {full * 1000:.3g} ms in float32, {low * 1000:.3g} ms in bfloat16 "
        f"(taken if at least {GAIN:.0%} faster)."
    )


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 itself, rather than by way of float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    # Older releases of torch have only the two questions; one that cannot be asked counts as a no.
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    questions: list[Callable[[], bool]] = [getattr(torch.cpu, name, bool) for name in CPU_QUESTIONS]
    return any(capabilities.get(name) for name in CPU_FEATURES) or any(ask() for ask in questions)


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The context in which a forward pass is to run; nothing is changed for float32."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
