"""AdamW or Muon for a model: which weights decay, one norm for clipping, and the state as flat named tensors."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from seq2see.config.settings import TrainingSettings
from seq2see.errors import InputError
from seq2see.nn.cells import PARTS as GATES
from seq2see.nn.embedding import Embedding, OutputLayer
from seq2see.nn.position import LearnedPosition
from seq2see.nn.recurrent import Recurrent
from seq2see.training.muon import Muon

FUSED_DEVICES = ("cpu", "cuda", "mps", "xpu")  # where torch has one kernel for the whole update
TABLES = (nn.Embedding, Embedding, LearnedPosition)  # modules whose weights are vectors to look up
PARTS = ("step", "exp_avg", "exp_avg_sq")  # what AdamW keeps for each parameter
MATRIX_PARTS = ("momentum",)  # what Muon keeps for each matrix


def build_optimiser(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019, algorithm 2), fused where the device has it; or Muon, and AdamW for the rest.

    Muon has the hidden matrices: those that are neither a table to look up nor an output layer; each gate of a
    recurrent cell has its own.

    Weight decay is for matrices. Biases and the gains of norms (fewer than two dimensions) have none, and
    embeddings have none either: decay comes with each update, but a rare word's gradient seldom does, so its
    vector would fade. An output layer that is tied to an embedding counts as one. Frozen parameters are left
    out. The matrices come first, then the others, each in the order of ``model.named_parameters()``.
    """
    tables = [module for module in model.modules() if isinstance(module, TABLES)]
    embeddings = {id(each) for module in tables for each in module.parameters(recurse=False)}
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise InputError("the model has no parameter to train: all are frozen, or there are none")
    outputs = {id(each.weight_VD) for each in model.modules() if isinstance(each, OutputLayer)}
    decayed = [each for each in parameters if each.dim() >= 2 and id(each) not in embeddings]
    hidden = [each for each in decayed if each.dim() == 2 and id(each) not in outputs]
    cells = [module for module in model.modules() if isinstance(module, Recurrent)]
    gates = {id(each): GATES[cell.cell] for cell in cells for each in (cell.weight_ih_GE, cell.weight_hh_GD)}
    matrices = {each: gates.get(id(each), 1) for each in hidden} if settings.optimiser == "muon" else {}
    elsewhere = {id(each) for each in matrices}
    chosen = {id(each) for each in decayed}
    groups = [
        {"params": [each for each in decayed if id(each) not in elsewhere], "weight_decay": settings.weight_decay},
        {"params": [each for each in parameters if id(each) not in chosen], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(
        [group for group in groups if group["params"]] or [{"params": []}],
        lr=settings.learning_rate,
        betas=settings.betas,
        fused=all(each.device.type in FUSED_DEVICES and each.is_floating_point() for each in parameters),
    )
    if not matrices:
        return adamw
    return Muon(matrices, adamw, rate=settings.learning_rate, weight_decay=settings.weight_decay)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next update, for all parameters."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def clip_and_check(parameters: Iterable[Tensor], limit: float) -> tuple[float, bool]:
    """Scale the gradients, all together, to an L2 norm of at most ``limit`` (0: never); in place.

    Returns the norm before (Pascanu et al. 2013, algorithm 1) and whether it is finite. If it is not, because
    a gradient is NaN or infinite or because the squares overflow, nothing is scaled and the update should be
    skipped. The device is waited for once.
    """
    trained = [each for each in parameters if each.grad is not None]
    if not trained:
        return 0.0, True
    total = nn.utils.get_total_norm([each.grad for each in trained if each.grad is not None])
    norm = total.item()
    if not math.isfinite(norm):
        return norm, False
    if limit > 0 and norm > limit:
        nn.utils.clip_grads_with_norm_(trained, limit, total)
    return norm, True


def optimiser_tensors(optimiser: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The optimiser's state under flat names, ``exp_avg.<parameter>`` and so on, in the model's order.

    The tensors are the optimiser's own, not copies: write them before the next update. A parameter that has
    had no update yet has no entry. The learning rate is not part of it; the schedule gives it.
    """
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        state = optimiser.state.get(parameter, {})
        tensors |= {f"{part}.{name}": state[part].detach() for part in (*PARTS, *MATRIX_PARTS) if part in state}
    return tensors


def restore_optimiser(optimiser: torch.optim.Optimizer, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put back what ``optimiser_tensors`` gave, as copies; the next update is then the same to the bit.

    Raises InputError, before anything is changed, if a tensor is missing, unknown or of the wrong shape.
    """
    trained = {id(each): group for group in optimiser.param_groups for each in group["params"]}
    parameters = {name: each for name, each in model.named_parameters() if id(each) in trained}
    matrices = {id(each) for each in optimiser.matrices["params"]} if isinstance(optimiser, Muon) else set()
    parts = {name: MATRIX_PARTS if id(each) in matrices else PARTS for name, each in parameters.items()}
    _check_names(parameters, parts, tensors)
    for name, parameter in parameters.items():
        optimiser.state.pop(parameter, None)
        if f"{parts[name][0]}.{name}" not in tensors:
            continue
        group, state = trained[id(parameter)], dict[str, Tensor]()
        for part in parts[name]:
            found = tensors[f"{part}.{name}"]
            if part == "step":
                on_device = group["fused"] or group["capturable"]
                state[part] = found.to(parameter.device if on_device else "cpu", torch.float32, copy=True)
            else:
                state[part] = torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(found)
        optimiser.state[parameter] = state


def _check_names(
    parameters: Mapping[str, Tensor], parts: Mapping[str, tuple[str, ...]], tensors: Mapping[str, Tensor]
) -> None:
    """Raise InputError unless each parameter has all its parts, in its shape, or none."""
    known = {f"{part}.{name}": (part, name) for name in parameters for part in parts[name]}
    if unknown := sorted(set(tensors) - set(known)):
        raise InputError(f"the optimiser's state has tensors that this model does not: {', '.join(unknown[:5])}")
    for full, (part, name) in known.items():
        present = [f"{each}.{name}" in tensors for each in parts[name]]
        if any(present) and full not in tensors:
            raise InputError(f"the optimiser's state lacks the tensor {full}")
        shape = () if part == "step" else tuple(parameters[name].shape)
        if full in tensors and tuple(tensors[full].shape) != shape:
            raise InputError(
                f"the optimiser's tensor {full} has the shape {tuple(tensors[full].shape)}; this model needs {shape}"
            )
