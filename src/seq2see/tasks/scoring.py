"""A run against references: scores, intervals, signatures, quality against length, and the difference to another run.

N gold positions of a batch · D width
"""

from collections.abc import Callable, Iterator, Sequence
from unicodedata import normalize

import torch

from seq2see.config.settings import SearchSettings
from seq2see.data.batch import Batch
from seq2see.evaluation.lengths import Bucket, by_length
from seq2see.evaluation.metrics import Score, perplexity, score, token_accuracy
from seq2see.evaluation.result import Evaluation
from seq2see.evaluation.significance import Comparison, compare
from seq2see.models.seq2seq import Seq2Seq
from seq2see.tasks.prediction import Translator, predict
from seq2see.training.loss import token_scores

_MOST_ROWS, _MOST_POSITIONS = 64, 16_384  # of one pass over given targets


def questions(pairs: Sequence[tuple[str, str]], metrics: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Sources to answer, and the references of each.

    Where answers are right or wrong as a whole (names, dates, words: the first metric is exact match or an
    error rate), equal sources are one question with several right answers. Where they are text, every line
    counts as the literature counts it.
    """
    # A text can be written with composed or with decomposed letters; models write the composed form, NFC.
    composed = [(source, normalize("NFC", target)) for source, target in pairs]
    if metrics[0] not in ("exact_match", "cer", "wer"):
        return [source for source, _ in composed], [[target] for _, target in composed]
    references: dict[str, list[str]] = {}
    for source, target in composed:
        references.setdefault(source, []).append(target)
    return list(references), list(references.values())


def hypotheses_for(
    translator: Translator, sources: Sequence[str], search: SearchSettings, check: Callable[[], None]
) -> list[str]:
    """The best answer to each source."""
    return [answer.text for answer in predict(translator, sources, search, window=100_000, check=check)]


def forced_scores(
    translator: Translator, pairs: Sequence[tuple[str, str]], check: Callable[[], None] = lambda: None
) -> list[Score]:
    """Perplexity and token accuracy: how well the model foresees the references, piece by piece."""
    sums, right, tokens = zip(*_forced_pairs(translator, pairs, check), strict=True)
    return [perplexity(sums, tokens), token_accuracy(right, tokens)]


def forced_loss(
    translator: Translator, pairs: Sequence[tuple[str, str]], check: Callable[[], None] = lambda: None
) -> float:
    """Cross-entropy of the references in nats per piece, ``<eos>`` counted, without label smoothing."""
    rows = list(_forced_pairs(translator, pairs, check))
    return -sum(log_prob for log_prob, _, _ in rows) / sum(count for _, _, count in rows)


def _forced_pairs(
    translator: Translator, pairs: Sequence[tuple[str, str]], check: Callable[[], None]
) -> Iterator[tuple[float, int, int]]:
    """For each pair, shortest targets first: summed log-probability, right pieces, pieces."""
    tokenisers = translator.tokenisers
    sources = tokenisers.source.encode_ids([source for source, _ in pairs])
    targets = tokenisers.target.encode_ids([target for _, target in pairs])
    order = sorted(range(len(pairs)), key=lambda row: (len(targets[row]), len(sources[row])))
    for rows in _batches(order, [max(len(sources[row]), len(targets[row])) for row in order]):
        check()
        batch = Batch.of([sources[row] for row in rows], [targets[row] for row in rows])
        yield from _forced(translator.model, batch.to(translator.device))


def _batches(order: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows in their order, as many as one pass over them can hold; ``lengths`` is theirs, in that order."""
    rows: list[int] = []
    longest = 0
    for row, length in zip(order, lengths, strict=True):
        longest = max(longest, length)
        if len(rows) == _MOST_ROWS or (rows and (len(rows) + 1) * longest > _MOST_POSITIONS):
            yield rows
            rows, longest = [], length
        rows.append(row)
    if rows:
        yield rows


def _forced(model: Seq2Seq, batch: Batch) -> list[tuple[float, int, int]]:
    with torch.inference_mode():
        hidden_BTD = model(batch.source_BS, batch.source_valid_BS, batch.input_BT)
        valid_BT = batch.gold_valid_BT
        hidden_ND, gold_N = hidden_BTD[valid_BT], batch.gold_BT[valid_BT]
        output = model.decoder.output
        log_probs_N, right_N = token_scores(hidden_ND, output.weight_VD, output.bias_V, gold_N)
    counts = valid_BT.sum(dim=1).tolist()
    sums = [part.sum().item() for part in torch.split(log_probs_N.double(), counts)]
    right = [int(part.sum()) for part in torch.split(right_N, counts)]
    return list(zip(sums, right, counts, strict=True))


def evaluate_pairs(
    translator: Translator,
    pairs: Sequence[tuple[str, str]],
    *,
    run: str,
    data: str,
    metrics: Sequence[str],
    tokenize: str,
    search: SearchSettings,
    versus: tuple[str, Translator, SearchSettings] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Decode the sources and compare the answers with their references, as :func:`questions` pairs them."""
    sources, references = questions(pairs, metrics)
    hypotheses = hypotheses_for(translator, sources, search, check)
    scores = score(metrics, hypotheses, references, tokenize=tokenize, check=check)
    lengths = [len(ids) for ids in translator.tokenisers.source.encode_ids(sources)]

    def of_lengths(answers: Sequence[str]) -> tuple[Bucket, ...]:
        return tuple(by_length(lengths, answers, references, metrics[0], tokenize=tokenize, check=check))

    comparisons: list[Comparison] = []
    others: list[str] | None = None
    if versus is not None:
        others = hypotheses_for(versus[1], sources, versus[2], check)
        comparisons = compare(metrics, others, hypotheses, references, tokenize=tokenize, check=check)
    return Evaluation(
        run=run,
        data=data,
        signature=search_signature(search),
        scores=(*scores, *forced_scores(translator, pairs, check)),
        examples=f"{len(sources):,} sources",
        lengths=of_lengths(hypotheses),
        length_metric=metrics[0],
        comparisons=tuple(comparisons),
        versus=versus[0] if versus else "",
        versus_lengths=() if others is None else of_lengths(others),
        sources=tuple(sources),
        hypotheses=tuple(hypotheses),
        references=tuple(tuple(several) for several in references),
    )


def search_signature(search: SearchSettings) -> str:
    """How answers were searched for, in the style of a score's signature."""
    kernel = f"|kernel:{search.kernel}" if search.kernel in ("bfloat16", "int8") else ""
    kernel += f"|shortlist:{search.shortlist}" if search.shortlist else ""
    match search.method:
        case "greedy":
            return f"greedy{kernel}"
        case "sample":
            temperature, seed = f"{search.temperature:g}", search.seed
            return f"sample|temperature:{temperature}|top_k:{search.top_k}|top_p:{search.top_p:g}|seed:{seed}{kernel}"
        case "beam":
            coverage = f"|coverage_penalty:{search.coverage_penalty:g}" if search.coverage_penalty else ""
            patience = "" if search.patience == SearchSettings().patience else f"|patience:{search.patience:g}"
            return f"beam:{search.beam}|length_penalty:{search.length_penalty:g}{coverage}{patience}{kernel}"
