"""How well hidden pieces of a text are foretold: every piece once, while about the share of training is hidden.

A text is cut into windows, and each is read k times: pass j hides the pieces number j, j + k, j + 2k … of it. Where
windows begin depends on the text and the settings alone: the figures do not depend on how many are read at once.

I pieces of a stretch of text · W windows · B rows: windows, a pass each · T pieces of a window · D width ·
N hidden pieces
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import islice

import torch
from torch import Tensor

from seq2see.config.masked import MaskedSettings
from seq2see.data.masking import MASK
from seq2see.data.plain_text import parts
from seq2see.data.stream_cache import encoded
from seq2see.errors import InputError
from seq2see.evaluation.counts import Counts, perplexity_counts, token_accuracy_counts
from seq2see.evaluation.metrics import with_intervals
from seq2see.evaluation.result import Evaluation
from seq2see.evaluation.significance import Comparison, compare_counts
from seq2see.models.masked_language_model import MaskedLanguageModel
from seq2see.text.tokeniser import Tokeniser
from seq2see.training.loss import token_scores

STRETCH = 1_000  # characters, at most: what an interval draws again
MOST_POSITIONS = 16_384  # of one pass through the model
_AT_ONCE = 64  # stretches encoded and scored together


@dataclass(frozen=True)
class MaskedReader:
    """A trained model with its tokeniser and settings: all that foretelling needs."""

    model: MaskedLanguageModel
    tokeniser: Tokeniser
    settings: MaskedSettings

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def cut(self) -> "Cut":
        """How this run was trained to read."""
        return Cut(self.settings.window.length, self.settings.masking.passes)

    def signature(self, cut: "Cut") -> str:
        """How a text is read, in the style of a score's signature."""
        text = self.tokeniser.settings
        case = "lower" if text.lowercase else "mixed"
        seen = f"hidden:1/{cut.passes}|window:{cut.length}"
        known = f"norm:{text.normalisation}|case:{case}|stretch:{STRETCH}|version:{version('seq2see')}"
        return f"pieces:{text.kind}|{seen}|{known}"


@dataclass(frozen=True)
class Cut:
    """Windows of ``length`` pieces, each read ``passes`` times."""

    length: int
    passes: int


@dataclass(frozen=True)
class Foretold:
    """A stretch of text: the sum of its pieces' log-probabilities, and how many of them were the likeliest."""

    log_prob: float
    right: int
    pieces: int


def score_text(reader: MaskedReader, text: Iterable[str], cut: Cut, check: Callable[[], None]) -> list[Foretold]:
    """The stretches of a text, each with what the model makes of it; of the text itself only some is held."""
    counts: list[int] = []
    scores: list[tuple[Tensor, Tensor]] = []
    remaining = parts(text, STRETCH)
    held_I = torch.empty(0, dtype=torch.long)
    while several := list(islice(remaining, _AT_ONCE)):
        check()
        ids = list(encoded(reader.tokeniser, several, check, begins=not counts))
        counts += map(len, ids)
        held_I = torch.cat((held_I, torch.tensor([one for part in ids for one in part], dtype=torch.long)))
        whole = len(held_I) - len(held_I) % cut.length
        scores.append(hidden_scores(reader, held_I[:whole], cut, check))
        held_I = held_I[whole:]
    scores.append(hidden_scores(reader, held_I, cut, check))
    log_probs, right = (torch.split(torch.cat(each), counts) for each in zip(*scores, strict=True))
    return [
        Foretold(float(one.double().sum()), int(hits.sum()), len(one))
        for one, hits in zip(log_probs, right, strict=True)
    ]


def hidden_scores(
    reader: MaskedReader, ids_I: Tensor, cut: Cut, check: Callable[[], None], *, every: int = 1
) -> tuple[Tensor, Tensor]:
    """log p of each piece when it is hidden (float32), and whether none was likelier: ``[N]`` both, on the CPU.

    Args:
        every: of the windows only each so-many-th counts, from the first on; the last one may be shorter.
    """
    windows = list(torch.split(ids_I, cut.length))[::every] if len(ids_I) else []
    found = [(torch.empty(0), torch.empty(0, dtype=torch.bool))]
    rows = max(1, MOST_POSITIONS // (cut.length * cut.passes))
    while windows:
        check()
        alike = [each for each in windows[:rows] if len(each) == len(windows[0])]
        windows = windows[len(alike) :]
        found.append(_window_scores(reader, torch.stack(alike), cut.passes))
    log_probs, right = zip(*found, strict=True)
    return torch.cat(log_probs), torch.cat(right)


def _window_scores(reader: MaskedReader, ids_WT: Tensor, passes: int) -> tuple[Tensor, Tensor]:
    T = ids_WT.shape[1]
    passes = min(passes, T)
    gold_BT = ids_WT.repeat_interleave(passes, dim=0)
    number_B1 = torch.arange(len(gold_BT)).unsqueeze(1)
    hidden_BT = torch.arange(T) % passes == number_B1 % passes
    log_probs_N, right_N = _scores_at(reader, gold_BT, hidden_BT)
    # Row by row, and in a row from the left: back to where they stand in their windows.
    row_N, place_N = hidden_BT.nonzero(as_tuple=True)
    order_N = torch.argsort(row_N // passes * T + place_N)
    return log_probs_N[order_N], right_N[order_N]


def _scores_at(reader: MaskedReader, gold_BT: Tensor, hidden_BT: Tensor) -> tuple[Tensor, Tensor]:
    states_BTD = states(reader, gold_BT.masked_fill(hidden_BT, MASK), torch.ones_like(hidden_BT))
    states_ND, gold_N = states_BTD[hidden_BT.to(reader.device)], gold_BT[hidden_BT].to(reader.device)
    output = reader.model.output
    log_probs_N, right_N = token_scores(states_ND, output.weight_VD, output.bias_V, gold_N)
    return log_probs_N.float().cpu(), right_N.cpu()


def states(reader: MaskedReader, input_BT: Tensor, valid_BT: Tensor) -> Tensor:
    """What the output layer makes logits of, ``[B, T, D]``, on the model's device."""
    with torch.inference_mode():
        states_BTD: Tensor = reader.model(input_BT.to(reader.device), valid_BT.to(reader.device))
    return states_BTD


def sampled_loss(reader: MaskedReader, ids_I: Tensor, most: int, check: Callable[[], None]) -> float:
    """−log p of a hidden piece, in nats, the mean over about ``most`` pieces, evenly spread over a text."""
    log_probs_N, _ = hidden_scores(reader, ids_I, reader.cut, check, every=max(1, len(ids_I) // most))
    return -float(log_probs_N.double().mean())


def evaluate_text(
    reader: MaskedReader,
    text: Callable[[], Iterable[str]],
    *,
    run: str,
    data: str,
    versus: tuple[str, MaskedReader] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Evaluation:
    """How well a model foretells the hidden pieces of a text, which is read anew each time it is asked for.

    Raises:
        InputError: the text is blank, or two runs that cannot be compared are to be.
    """
    found = score_text(reader, text(), reader.cut, check)
    pieces = sum(each.pieces for each in found)
    if not pieces:
        raise InputError(f"{data} is blank: there is nothing to score")
    signature = reader.signature(reader.cut)
    tables, comparisons = _tables(found, signature), list[Comparison]()
    if versus is not None:
        if versus[1].tokeniser.to_json() != reader.tokeniser.to_json():
            raise InputError(f"{versus[0]} has other pieces: what it foretells of a piece compares with nothing here")
        others = _tables(score_text(versus[1], text(), reader.cut, check), signature)
        comparisons = [compare_counts(*each, check=check) for each in zip(others, tables, strict=True)]
    return Evaluation(
        run=run,
        data=data,
        signature="",
        scores=tuple(with_intervals(tables, check=check)),
        examples=f"{pieces:,} pieces, each hidden once",
        comparisons=tuple(comparisons),
        versus=versus[0] if versus else "",
    )


def _tables(found: Sequence[Foretold], signature: str) -> list[Counts]:
    pieces = [each.pieces for each in found]
    tables = (
        perplexity_counts([each.log_prob for each in found], pieces),
        token_accuracy_counts([each.right for each in found], pieces),
    )
    return [replace(table, signature=signature) for table in tables]
