"""From a language model and a text to a record of how it foresaw each piece: the input of every view.

L layers · H heads · T pieces · D width · M terms of a Markov chain
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from seq2see.config.settings import SearchSettings
from seq2see.errors import InputError
from seq2see.models.language_model import NeuralLanguageModel, RecurrentLanguageModel, TransformerLanguageModel
from seq2see.models.markov import MarkovChain
from seq2see.tasks.continuation import go_on
from seq2see.tasks.lm_scoring import Reader
from seq2see.tasks.piece_records import MOST_PIECES, alone, runners_up, text_side
from seq2see.text.tokeniser import SOS, Tokeniser
from seq2see.viewing.record import Record, Rows, RunnerUp, Weights


def see_text(reader: Reader, text: str, *, target: str | None, model_name: str) -> Record:
    """How a model foresees each piece of ``text``, and the likeliest piece behind it; or those of ``target``.

    Raises:
        InputError: the text is too long to be drawn.
    """
    read = reader.tokeniser.encode(text)
    if target is None:
        greedy = SearchSettings(method="greedy", max_length=1)
        ids = (*read.ids, *go_on(reader, [read.ids], greedy)[0][0].tokens)
    else:
        ids = reader.tokeniser.encode(text + target).ids
    if not ids:
        raise InputError("a blank text with a blank target: there is nothing to see")
    if len(ids) > MOST_PIECES:
        raise InputError(f"the text has {len(ids):,} pieces; a picture holds {MOST_PIECES}. Show a part of it.")
    ids, notes = _in_sight(reader, ids)
    log_probs_TV, attention, traces, more = _foreseen(reader, ids)
    own_T = log_probs_TV[torch.arange(len(ids)), torch.tensor(ids, dtype=torch.long)]
    likely = runners_up(reader.tokeniser, log_probs_TV)
    if target is None:
        notes = [*notes, _next(reader.tokeniser, ids[-1], likely[-1])]
    return Record(
        task="lm",
        model=model_name,
        source=text_side(read),
        target=text_side(reader.tokeniser.decode_with_spans(ids)),
        attention=attention,
        log_probs=tuple(own_T.tolist()),
        runners_up=likely,
        given=True,
        notes=(*notes, *more),
        traces=traces,
    )


def _in_sight(reader: Reader, ids: tuple[int, ...]) -> tuple[tuple[int, ...], list[str]]:
    """The last pieces, where a model cannot look back to all; and what to say of it."""
    most = reader.settings.window.length
    if not isinstance(reader.model, TransformerLanguageModel) or len(ids) <= most:
        return ids, []
    return ids[-most:], [f"the model looks back to at most {most} pieces: only the last {most} are shown"]


Seen = tuple[Tensor, dict[str, Weights], dict[str, Rows], list[str]]


def _foreseen(reader: Reader, ids: Sequence[int]) -> Seen:
    """log p of every piece at each place, attention, traces and remarks: from one pass over the text."""
    read_T = torch.tensor([SOS, *ids[:-1]], device=reader.device)
    with torch.inference_mode():
        if isinstance(reader.model, MarkovChain):
            return _markov(reader.model, read_T, ids)
        model = reader.model
        assert isinstance(model, NeuralLanguageModel)
        hidden_1TD, weights = model.decoder(read_T.unsqueeze(0), None, want_weights=True)
        log_probs_TV = model.decoder.output(hidden_1TD[0]).float().log_softmax(dim=-1).cpu()
        attention = {kind: cast(Weights, each[0].float().cpu().tolist()) for kind, each in weights.items()}
        traces = _traces(model, read_T) if isinstance(model, RecurrentLanguageModel) else {}
    return log_probs_TV, attention, traces, []


def _traces(model: RecurrentLanguageModel, read_T: Tensor) -> dict[str, Rows]:
    """States and gates of each layer, after each piece that was read."""
    layers = model.decoder.trace(read_T.unsqueeze(0), None)
    traces: dict[str, Rows] = {}
    for number, (trace,) in enumerate(layers, start=1):
        prefix = f"layer {number} " if len(layers) > 1 else ""
        named = {"hidden": trace.hidden_NTD, "cell": trace.cell_NTD} | {
            f"{name} gate" if name != "candidate" else name: gate_NTD for name, gate_NTD in trace.gates.items()
        }
        traces |= {prefix + name: _rows(each[0]) for name, each in named.items() if each is not None}
    return traces


def _markov(model: MarkovChain, read_T: Tensor, ids: Sequence[int]) -> Seen:
    """For each context, from none at all to the longest, its share in the probability of each piece."""
    padded = torch.cat((read_T.new_full((model.order - 1,), SOS), read_T))
    contexts_TK = padded.unfold(0, model.order, 1)
    log_probs_TV = model.distribution(contexts_TK).log()
    terms_TM = model.terms(contexts_TK, torch.tensor(ids, device=read_T.device))
    shares_TM = terms_TM / terms_TM.sum(dim=1, keepdim=True)
    # What every piece gets, and what single pieces do, are both from no context at all.
    shares_TM = torch.cat((shares_TM[:, :2].sum(dim=1, keepdim=True), shares_TM[:, 2:]), dim=1)
    traces = {f"after {k}": _rows(shares_TM[:, k : k + 1]) for k in range(model.order + 1)}
    decided = " ".join(map(str, shares_TM.argmax(dim=1).tolist()))
    lowest = torch.finfo(torch.float64).min
    remark = f"decided by this many pieces before, for each piece: {decided}"
    return log_probs_TV.clamp(min=lowest).cpu(), {}, traces, [remark, "after k: the share of the contexts of k pieces"]


def _rows(values_TD: Tensor) -> Rows:
    return tuple(tuple(row) for row in values_TD.float().cpu().tolist())


def _next(tokeniser: Tokeniser, piece: int, best: Sequence[RunnerUp]) -> str:
    likely = ", ".join(f"{text!r} {100 * math.exp(log_prob):.1f} %" for text, log_prob in best)
    return f"the last piece, {alone(tokeniser, piece)!r}, is the model's; what may stand there: {likely}"
