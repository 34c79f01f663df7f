"""The one way into this package: a step function in, hypotheses out.

B sentences · W beam · S source positions
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from seq2see.config.settings import SearchSettings
from seq2see.search.beam import beam
from seq2see.search.greedy import greedy
from seq2see.search.hypothesis import Hypothesis
from seq2see.search.request import (
    Request,
    State,
    Step,
    StepBest,
    Write,
    WriteBeams,
    all_rules,
    prefix_table,
    require_fit,
)
from seq2see.search.rules import Rule
from seq2see.search.sample import sample


def search(
    step: Step,
    state: State,
    *,
    sentences: int,
    settings: SearchSettings,
    max_lengths: Sequence[int],
    rules: Sequence[Rule] = (),
    prefixes: Sequence[Sequence[int]] | None = None,
    shortlists: Sequence[Sequence[int]] | None = None,
    want_weights: bool = False,
    sentence_keys: Sequence[int] | None = None,
    source_valid_BS: Tensor | None = None,
    allow_unknown: bool = False,
    normalised: bool = False,
    step_best: StepBest | None = None,
    write: Write | None = None,
    write_beams: WriteBeams | None = None,
    device: torch.device | str = "cpu",
    check: Callable[[], None] = lambda: None,
) -> list[list[Hypothesis]]:
    """The hypotheses of each sentence, best first: at least one, at most ``settings.nbest``.

    A sentence's hypotheses do not depend on the other sentences of the batch.

    Args:
        step: the model: ``(tokens_N, state) -> (logits_NV, state, weights_NLHS or None)``.
        state: before the first step, one row for each sentence. Search only ever calls its ``take``.
        sentences: B; with 0 the answer is an empty list and the model is not asked.
        max_lengths: for each sentence the most tokens of a hypothesis, its ``<eos>`` included; what has not
            ended by then is cut, ``finished == "length"``. It wins over ``settings.min_length``.
        rules: what else is forbidden, beside ``<pad>``, ``<sos>``, ``<unk>`` and what the settings forbid. A
            hypothesis that is left no token to go on with is cut there, ``finished == "length"``.
        prefixes: for each sentence the pieces that its target starts with, whatever the rules say; they are
            part of the tokens, the log-probabilities and the score, and rules such as no-repeat see them.
        shortlists: for each sentence the tokens that there are, ascending, ``<eos>`` among them; the model's
            distribution is over them alone. None: all. Needed where ``settings.shortlist`` asks for it.
        want_weights: whether each hypothesis brings its attention (where the model gives any).
        sentence_keys: names of the sentences for sampling: what is drawn for a sentence depends on
            ``settings.seed`` and its key alone. None: 0, 1, 2, …
        source_valid_BS: True = a source position, False = padding; needed for a coverage penalty only.
        allow_unknown: whether ``<unk>`` may be chosen.
        normalised: ``step`` gives log-probabilities instead of logits, and does not look at them again.
        step_best: the model's own way to find the best tokens of a step; beam search uses it where every row is
            restricted alike and nothing is forced.
        write: the model's own way to write the likeliest tokens at once, from ``state`` on; greedy search uses it
            where only tokens and lengths are restricted and no attention is wanted.
        write_beams: the same for beam search.
        device: where the model lives; ``step`` gets its tokens and ``take`` its rows there.
        check: called once a step, or once where ``write`` makes all steps; raises ``Stopped`` when a signal has come.

    Raises:
        InputError: arguments that do not fit each other; a prefix that cannot be forced or leaves no room; a
            coverage penalty for a model without attention.
        Seq2seeError: the model gave no distribution (NaN, infinite).
    """
    if sentences == 0:
        return []
    require_fit(sentences, settings, max_lengths, sentence_keys, source_valid_BS, shortlists)
    request = Request(
        step=step,
        step_best=step_best,
        write=write,
        write_beams=write_beams,
        state=state,
        settings=settings,
        max_lengths=tuple(max_lengths),
        rules=all_rules(settings, rules, allow_unknown),
        prefix_BP=prefix_table(prefixes, max_lengths),
        shortlists=None if shortlists is None else tuple(map(tuple, shortlists)),
        keys=tuple(range(sentences) if sentence_keys is None else sentence_keys),
        want_weights=want_weights,
        normalised=normalised,
        source_valid_BS=source_valid_BS,
        device=torch.device(device),
        check=check,
    )
    with torch.no_grad():
        match settings.method:
            case "greedy":
                return greedy(request)
            case "beam":
                return beam(request)
            case "sample":
                return sample(request)
