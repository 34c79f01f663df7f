"""How well a language model foresees a text: every piece of it, each given enough of what stands before.

A recurrent model or a Transformer reads a text in overlapping windows. The pieces at the end of a window count; those
before them, at least ``evaluation.context`` of them but for the beginning of the text, are only read. Where windows
begin depends on the text and the settings alone, so that the figures do not depend on how many are read at once.

I pieces of a stretch of text, those before it included · B windows · T positions · N pieces that count · K pieces
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from seq2see.config.lm import LmSettings
from seq2see.config.settings import TransformerDecoder
from seq2see.data.plain_text import parts
from seq2see.data.stream_cache import encoded
from seq2see.evaluation.likelihood import Stretch
from seq2see.models.language_model import LanguageModel, NeuralLanguageModel
from seq2see.models.markov import MarkovChain
from seq2see.text.normalise import normalise
from seq2see.text.tokeniser import SOS, UNK, Tokeniser
from seq2see.training.loss import token_log_probs

STRETCH = 1_000  # characters, at most
_MOST_POSITIONS = 16_384  # of one pass
_AT_ONCE = 64  # stretches encoded and scored together


@dataclass(frozen=True)
class Reader:
    """A trained model with its tokeniser and settings: all that reading and writing needs."""

    model: LanguageModel[Any]
    tokeniser: Tokeniser
    settings: LmSettings

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def context(self) -> int:
        """How many pieces, at least, are read before each that counts."""
        if isinstance(self.model, MarkovChain):
            return self.model.order
        return self.settings.evaluation.context

    @property
    def counted(self) -> int:
        """How many pieces of a window count."""
        bounded = isinstance(self.settings.model.decoder, TransformerDecoder)
        return self.settings.window.length - self.context if bounded else self.context

    @property
    def reversible(self) -> bool:
        """Whether the text can be told from its pieces."""
        return self.tokeniser.settings.kind != "word"

    @property
    def signature(self) -> str:
        """How a text is read, in the style of a score's signature."""
        text = self.tokeniser.settings
        seen = f"context:{self.context}"
        if not isinstance(self.model, MarkovChain):
            seen += f" to {self.context + self.counted - 1}"
        case = "lower" if text.lowercase else "mixed"
        known = f"norm:{text.normalisation}|case:{case}|stretch:{STRETCH}|version:{version('seq2see')}"
        return f"pieces:{text.kind}|{seen}|{known}"


def score_text(reader: Reader, text: Iterable[str], check: Callable[[], None]) -> tuple[list[Stretch], int]:
    """The stretches of a text, each with what the model makes of it, and how many pieces were unknown.

    Memory is some stretches; the text may be larger.
    """
    found: list[Stretch] = []
    unknown, offset = 0, 0
    remaining = parts(text, STRETCH)
    past_I = torch.empty(0, dtype=torch.long)
    while several := list(islice(remaining, _AT_ONCE)):
        check()
        ids = list(encoded(reader.tokeniser, several, check, begins=not found))
        new_I = torch.tensor([one for part in ids for one in part], dtype=torch.long)
        ids_I = torch.cat((past_I, new_I))
        log_probs_N = log_probs(reader, ids_I, len(past_I), begins=offset == 0, check=check)
        sums = [float(-part.sum()) for part in torch.split(log_probs_N, [len(part) for part in ids])]
        found += [_stretch(reader, *one) for one in zip(several, ids, sums, strict=True)]
        unknown += int((new_I == UNK).sum())
        past_I = ids_I[max(0, len(ids_I) - reader.context - 1) :]
        offset += len(ids_I) - len(past_I)
    return found, unknown


def _stretch(reader: Reader, text: str, ids: Sequence[int], nats: float) -> Stretch:
    read = normalise(text, reader.tokeniser.settings)
    return Stretch(nats, len(read), len(read.encode()), len(ids))


def sampled_loss(reader: Reader, ids_I: Tensor, most: int, check: Callable[[], None]) -> float:
    """−log p of a piece, in nats, the mean over about ``most`` pieces, evenly spread over a text."""
    every = max(1, len(ids_I) // most)
    return -float(log_probs(reader, ids_I, 0, begins=True, check=check, every=every).mean())


def log_probs(
    reader: Reader, ids_I: Tensor, first: int, *, begins: bool, check: Callable[[], None], every: int = 1
) -> Tensor:
    """log p of the pieces from number ``first`` on, each given those before it: ``[N]`` in float64, on the CPU.

    Args:
        begins: the text begins with ``ids_I``; otherwise its first piece is only read.
        every: of the windows only each so-many-th counts, from the first on.
    """
    if isinstance(reader.model, MarkovChain):
        return _counted(reader.model, ids_I, first, check)
    model = reader.model
    assert isinstance(model, NeuralLanguageModel)
    lowest = 0 if begins else 1
    windows = [
        (max(lowest, start - reader.context), start, min(start + reader.counted, len(ids_I)))
        for start in range(first, len(ids_I), reader.counted)
    ][::every]
    found = [_window_log_probs(model, ids_I, several, check, reader.device) for several in _alike(windows)]
    return torch.cat(found) if found else torch.empty(0, dtype=torch.float64)


Window = tuple[int, int, int]  # the first piece that is read as gold, the first that counts, the one behind the last


def _alike(windows: Sequence[Window]) -> Iterator[list[Window]]:
    """Windows in their order, those of one shape together, as many as one pass can hold."""
    held: list[Window] = []
    for window in windows:
        if held and (_shape(window) != _shape(held[0]) or (len(held) + 1) * (window[2] - window[0]) > _MOST_POSITIONS):
            yield held
            held = []
        held.append(window)
    if held:
        yield held


def _shape(window: Window) -> tuple[int, int]:
    return window[1] - window[0], window[2] - window[1]


def _window_log_probs(
    model: NeuralLanguageModel[Any],
    ids_I: Tensor,
    windows: Sequence[Window],
    check: Callable[[], None],
    device: torch.device,
) -> Tensor:
    check()
    before_I = torch.cat((torch.tensor([SOS]), ids_I))  # in front of each piece
    input_BT = torch.stack([before_I[read:stop] for read, _, stop in windows])
    gold_N = torch.cat([ids_I[start:stop] for _, start, stop in windows])
    skipped, _ = _shape(windows[0])
    output = model.decoder.output
    with torch.inference_mode():
        hidden_BTD = model(input_BT.to(device))[:, skipped:]
        found_N = token_log_probs(hidden_BTD.flatten(0, 1), output.weight_VD, output.bias_V, gold_N.to(device))
    return found_N.cpu().double()


def _counted(model: MarkovChain, ids_I: Tensor, first: int, check: Callable[[], None]) -> Tensor:
    """The same of a model of counts, which needs no window."""
    padded_I = torch.cat((torch.full((model.order,), SOS), ids_I)).to(next(model.parameters()).device)
    found = []
    for start in range(first, len(ids_I), _MOST_POSITIONS):
        check()
        stop = min(start + _MOST_POSITIONS, len(ids_I))
        window_NK = padded_I[start : stop + model.order].unfold(0, model.order + 1, 1)
        terms_NM = model.terms(window_NK[:, :-1], window_NK[:, -1])
        found.append(terms_NM.sum(dim=1).log())
    return torch.cat(found).cpu() if found else torch.empty(0, dtype=torch.float64)
