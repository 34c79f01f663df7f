"""What a metric needs to know of each sentence: rows of counts whose sums decide the score of a whole corpus.

Every metric here is a function of sums over sentences (its sufficient statistics). That is what makes
resampling cheap: a new sample of sentences is a new sum of rows, and no text is read twice.

B sentences · C counts kept of one sentence
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from importlib.metadata import PackageNotFoundError, version
from itertools import zip_longest
from operator import add
from typing import Any, Literal

import torch
from sacrebleu import BLEU, CHRF, TER
from torch import Tensor

from seq2see.errors import InputError
from seq2see.evaluation.edits import edit_distance

MetricName = Literal["bleu", "bleu1", "bleu2", "bleu3", "chrf", "ter", "exact_match", "cer", "wer"]
METRICS: tuple[MetricName, ...] = ("bleu", "bleu1", "bleu2", "bleu3", "chrf", "ter", "exact_match", "cer", "wer")
TOKENISERS = ("13a", "none", "intl", "char", "zh", "ja-mecab", "ko-mecab")
_BETWEEN_CHECKS = 256  # sentences; TER takes milliseconds for each

Check = Callable[[], None]


@dataclass(frozen=True, eq=False)
class Counts:
    """A metric's sufficient statistics: one row a sentence, and how the sum of rows becomes a score.

    ``rows_BC`` is float64 and its order is the order of the sentences. ``signature`` names everything the
    value depends on.
    """

    name: str
    rows_BC: Tensor
    finish: Callable[[Sequence[float]], float]
    signature: str

    def value(self) -> float:
        """Return the score of all sentences together."""
        # One after the other, as sacrebleu adds: its value is met to the last bit (`sum` rounds better).
        return self.finish([reduce(add, column) for column in self.rows_BC.T.tolist()])

    def values(self, totals_RC: Tensor) -> list[float]:
        """Return the score of each row of sums."""
        return [self.finish(total) for total in totals_RC.tolist()]


def count(
    name: str,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    tokenize: str = "13a",
    check: Check = lambda: None,
) -> Counts:
    """Return the counts of one metric; ``references`` lists the one or more references of each sentence.

    Raises InputError for an unknown metric or tokeniser, for no sentences, for lists of unequal lengths and
    for a sentence without a reference.
    """
    _check_sentences(hypotheses, references)
    match name:
        case "bleu":
            return _sacrebleu_counts(name, _bleu(tokenize), hypotheses, references, check)
        case "bleu1" | "bleu2" | "bleu3":
            # n-grams of up to one, two or three words, as captions are scored; sacrebleu's signature does not tell.
            order = int(name[-1])
            counts = _sacrebleu_counts(name, _bleu(tokenize, order), hypotheses, references, check)
            return replace(counts, signature=f"{counts.signature}|order:{order}")
        case "chrf":
            return _sacrebleu_counts(name, CHRF(), hypotheses, references, check)
        case "ter":
            # sacrebleu's command counts capitals as differences only when asked to; so does this.
            return _sacrebleu_counts(name, TER(), hypotheses, references, check)
        case "exact_match":
            hits = [[float(h in rs), 1.0] for h, rs in zip(hypotheses, references, strict=True)]
            return Counts(name, _table(hits), _percentage, _signature(references, unit="sentence"))
        case "cer":
            rows = _edits(hypotheses, references, list, check)
            return Counts(name, _table(rows), _percentage, _signature(references, unit="char"))
        case "wer":
            rows = _edits(hypotheses, references, str.split, check)
            return Counts(name, _table(rows), _percentage, _signature(references, unit="word"))
    raise InputError(f"there is no metric {name!r}; there are {', '.join(METRICS)}")


def perplexity_counts(log_probs: Sequence[float], tokens: Sequence[int]) -> Counts:
    """Return the counts behind perplexity from each sentence's summed log-probability (natural logarithm).

    ``tokens`` counts what was predicted in each sentence, ``<eos>`` included. Raises InputError for unequal
    lengths, for no tokens at all, and for a log-probability that is not a number or above zero.
    """
    _check_tokens("log-probabilities", log_probs, tokens)
    for sentence, log_prob in enumerate(log_probs, start=1):
        if math.isnan(log_prob) or log_prob > 1e-3 * tokens[sentence - 1]:
            raise InputError(f"the log-probability of sentence {sentence} is {log_prob}; it must be at most 0")
    # Sentences without any probability are counted apart: an infinity drawn 0 times would not be a number.
    rows = [
        [0.0, float(n), 1.0] if math.isinf(p) else [float(p), float(n), 0.0]
        for p, n in zip(log_probs, tokens, strict=True)
    ]
    return Counts("perplexity", _table(rows), _perplexity, f"unit:token|log:natural|{_version()}")


def token_accuracy_counts(correct: Sequence[int], tokens: Sequence[int]) -> Counts:
    """Return the counts behind token accuracy: of each sentence's ``tokens``, how many were the likeliest.

    Raises InputError for unequal lengths, for no tokens at all, and for more correct tokens than tokens.
    """
    _check_tokens("counts of correct tokens", correct, tokens)
    for sentence, (right, total) in enumerate(zip(correct, tokens, strict=True), start=1):
        if not 0 <= right <= total:
            raise InputError(f"sentence {sentence} has {right} correct tokens of {total}")
    rows = [[float(right), float(total)] for right, total in zip(correct, tokens, strict=True)]
    return Counts("token_accuracy", _table(rows), _percentage, f"unit:token|{_version()}")


def looks_tokenised(hypotheses: Sequence[str]) -> bool:
    """Say whether text looks tokenised already: a hundred lines end in " .", sacrebleu's own rule.

    Such text belongs under ``tokenize="none"``; scored otherwise, it compares with nothing.
    """
    return sum(hypothesis.endswith(" .") for hypothesis in hypotheses) >= 100


def _bleu(tokenize: str, order: int = 4) -> Any:
    if tokenize not in TOKENISERS:
        raise InputError(f"there is no tokeniser {tokenize!r} for BLEU; there are {', '.join(TOKENISERS)}")
    try:
        # force: sacrebleu would log a warning about text that looks tokenised; `looks_tokenised` tells.
        return BLEU(tokenize=tokenize, force=True, max_ngram_order=order)
    except (ImportError, RuntimeError) as error:
        language = tokenize.split("-")[0]
        raise InputError(
            f"tokenize={tokenize!r} needs a package that is not installed: "
            f"pip install 'sacrebleu[{language}]'; tokenize='char' needs none"
        ) from error


def _sacrebleu_counts(
    name: str, metric: Any, hypotheses: Sequence[str], references: Sequence[Sequence[str]], check: Check
) -> Counts:
    """Let sacrebleu count, a few sentences at a time.

    The two underlined methods are what sacrebleu's own significance tests are made of; a test holds the
    results to its public functions.
    """
    rows: list[list[float]] = []
    for start in range(0, len(hypotheses), _BETWEEN_CHECKS):
        check()
        chunk = slice(start, start + _BETWEEN_CHECKS)
        streams = list(zip_longest(*references[chunk]))  # None where a sentence has fewer references
        rows += metric._extract_corpus_statistics(hypotheses[chunk], streams)
    numbers = {len(sentence) for sentence in references}
    metric.num_refs = numbers.pop() if len(numbers) == 1 else -1  # of all chunks, not of the last one
    number = float if name == "ter" else round  # TER averages the lengths of references: no whole number

    def finish(total: Sequence[float]) -> float:
        return float(metric._compute_score_from_stats([number(part) for part in total]).score)

    return Counts(name, _table(rows), finish, str(metric.get_signature()))


def _edits(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    units: Callable[[str], list[str]],
    check: Check,
) -> list[list[float]]:
    """Return for each sentence [edits, length of the reference], both of the nearest reference."""
    rows = []
    for number, (hypothesis, sentence) in enumerate(zip(hypotheses, references, strict=True)):
        if number % _BETWEEN_CHECKS == 0:
            check()
        ours = units(hypothesis)
        theirs = [units(reference) for reference in sentence]
        # Equally near: the longer one, whose error rate is the lower.
        edits, length = min((edit_distance(ours, their), -len(their)) for their in theirs)
        rows.append([float(edits), float(-length)])
    return rows


def _percentage(total: Sequence[float]) -> float:
    """Return 100 · part / whole; without a whole (blank references only), 100 for any part and 0 for none."""
    part, whole = total
    if whole > 0:
        return 100.0 * part / whole
    return 100.0 if part > 0 else 0.0


def _perplexity(total: Sequence[float]) -> float:
    log_prob, tokens, impossible = total
    if impossible:
        return math.inf
    if tokens == 0:
        return 1.0
    try:
        return math.exp(-log_prob / tokens)
    except OverflowError:
        return math.inf


def _table(rows: Sequence[Sequence[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def _signature(references: Sequence[Sequence[str]], *, unit: str) -> str:
    """Return a signature in sacrebleu's style for a metric of our own."""
    numbers = {len(sentence) for sentence in references}
    nrefs = str(numbers.pop()) if len(numbers) == 1 else "var"
    return f"nrefs:{nrefs}|case:mixed|unit:{unit}|norm:none|{_version()}"


def _version() -> str:
    try:
        return f"version:{version('seq2see')}"
    except PackageNotFoundError:
        return "version:source"


def _check_sentences(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if len(hypotheses) != len(references):
        raise InputError(
            f"{len(hypotheses)} hypotheses but {len(references)} sentences with references; "
            "scoring needs as many of one as of the other"
        )
    if not hypotheses:
        raise InputError("there is nothing to score: no hypotheses and no references were given")
    for sentence, (hypothesis, given) in enumerate(zip(hypotheses, references, strict=True), start=1):
        if not isinstance(hypothesis, str):
            raise InputError(f"hypothesis {sentence} is {type(hypothesis).__name__}, not text")
        if isinstance(given, str) or not all(isinstance(reference, str) for reference in given):
            raise InputError(f"the references of sentence {sentence} must be a list of texts, not {given!r:.80}")
        if not given:
            raise InputError(f"sentence {sentence} has no reference; each needs at least one")


def _check_tokens(what: str, values: Sequence[float], tokens: Sequence[int]) -> None:
    if len(values) != len(tokens):
        raise InputError(f"{len(values)} {what} but {len(tokens)} counts of tokens; give one of each a sentence")
    if sum(tokens) <= 0:
        raise InputError("there is nothing to score: no tokens were given")
