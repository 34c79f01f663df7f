"""Beginning with what another run has learned: its pieces, its model, its weights.

A language model lends its network to a classifier (Radford et al. 2018, section 3.2), a masked one likewise
(Devlin et al. 2019, section 3), and every task that can go on with its own runs on other data does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from seq2see.config.toml import Table, merged
from seq2see.errors import InputError
from seq2see.storage.tensors import load_tensors
from seq2see.tasks.folder import TOKENISER, WEIGHTS, open_folder
from seq2see.text.tokeniser import TokeniserPair
from seq2see.training.checkpoint import weights_of


@dataclass(frozen=True)
class Donor:
    """A finished run that another one begins with.

    Attributes:
        task: its own task.
        settings: what a person would have to set to get its pieces and its network in the new task.
        weights: by their names in the new model.
    """

    folder: Path
    task: str
    settings: Table
    tokenisers: TokeniserPair
    weights: Mapping[str, Tensor]

    def laid_under(self, given: Table) -> Table:
        """What is set by hand, over what comes from the donor.

        Raises:
            InputError: pieces are set by hand as well.
        """
        by_hand = [f"text.{key}" for key in given.get("text", {}) if key != "dropout"]
        if by_hand:
            raise InputError(f"{', '.join(by_hand)}: the pieces are those of {self.folder} (--init-from); leave it out")
        return merged(self.settings, given)

    def fill(self, model: nn.Module, *, leave: Sequence[str] = ()) -> nn.Module:
        """The model, with the weights that the donor has for it; those whose names begin as in ``leave`` stay fresh.

        Raises:
            InputError: a weight has another shape, or the network has one that the donor does not know.
        """
        own = weights_of(model)
        for name, tensor in own.items():
            if name.startswith(tuple(leave)):
                continue
            found = self.weights.get(name)
            if found is None and name.startswith("encoder."):
                raise InputError(f"{self.folder}: has no weights for {name}; leave the sizes of model.encoder to it")
            if found is None:
                continue
            if found.shape != tensor.shape:
                raise InputError(
                    f"{self.folder}: {name} is {list(found.shape)} there and {list(tensor.shape)} here; leave the "
                    "sizes of the model to --init-from"
                )
            with torch.no_grad():
                tensor.copy_(found)
        return model


def open_donor(place: str, task: str, donors: Sequence[str]) -> Donor:
    """The run that a new one of ``task`` begins with; ``donors`` are the tasks it can come from.

    Raises:
        InputError: it is no finished run, or its task or model has nothing to lend.
    """
    folder = Path(place)
    try:
        opened = open_folder(folder)
    except InputError as error:
        raise InputError(f"--init-from {error}") from None
    kind = str(opened.table.get("task", "translate"))
    if kind not in donors:
        known = f"runs of the tasks {', '.join(donors)}" if donors else "no other run"
        raise InputError(f"--init-from {folder}: a run of the task {kind}, but {task} can begin with {known}")
    if not opened.finished:
        raise InputError(f"--init-from {folder}: its training has not finished; seq2see train --resume --out {folder}")
    model = opened.table["model"]
    network = model["decoder"] if kind == "lm" else model["encoder"]
    if network["kind"] == "markov":
        raise InputError(f"--init-from {folder}: a model of counts has no weights to begin with")
    text = {key: each for key, each in opened.table.get("text", {}).items() if key != "dropout"}
    tensors = load_tensors(folder / WEIGHTS, None)
    if kind == task:
        settings: Table = {"text": text, "model": model}
        if "window" in opened.table:
            settings["window"] = opened.table["window"]
    else:
        settings = {"text": text, "model": {"name": model["name"], "encoder": _as_encoder(network, kind)}}
        tensors = _of_encoder(tensors, kind)
    return Donor(folder, kind, settings, TokeniserPair.load(folder / TOKENISER), tensors)


def _as_encoder(network: Table, kind: str) -> Table:
    """The settings under which an encoder is the same network as a language model's decoder."""
    if kind != "lm":
        return network
    one_way = {"causal": True} if network["kind"] == "transformer" else {"bidirectional": False}
    return {**network, **one_way}


def _of_encoder(tensors: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """The weights of the network alone, by their names in an encoder; what made words of its states stays behind."""
    prefix = "decoder." if kind == "lm" else "encoder."
    return {
        "encoder." + name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix) and not name.startswith("decoder.output.")
    }
