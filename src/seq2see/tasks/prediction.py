"""Text in, text out: sentences become batches, batches become hypotheses, hypotheses become text, in order.

B sentences · S source positions · V vocabulary
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress, islice
from typing import Any

import torch
from torch import Tensor

from seq2see.config.settings import SearchSettings
from seq2see.errors import InputError
from seq2see.models.compiled_blocks import PackedMemory
from seq2see.models.compiled_decoder import compiled_decoder
from seq2see.models.compiled_encoder import compiled_encoder
from seq2see.models.contracts import Memory
from seq2see.models.seq2seq import Seq2Seq
from seq2see.search.hypothesis import Hypothesis
from seq2see.search.rules import ForbidWords, Rule
from seq2see.search.search import search
from seq2see.text.lexicon import Lexicon
from seq2see.text.normalise import refuse_surrogates
from seq2see.text.tokeniser import EOS, PAD, SOS, UNK, Tokeniser, TokeniserPair

_WINDOW = 1_024  # lines read ahead, so that sentences of like length can share a batch; the order is restored


@dataclass(frozen=True)
class Prediction:
    """What a model answers to one text or picture.

    ``log_probs`` has one natural logarithm for each of ``pieces``, the end included where the model ended by
    itself (``finished == "eos"``); ``"length"`` means that the limit cut it off, ``"copied"`` that the text
    holds no letter or digit and was handed back unchanged without asking the model.
    """

    source: str
    text: str
    score: float
    finished: str
    pieces: tuple[str, ...] = ()
    log_probs: tuple[float, ...] = ()
    ids: tuple[int, ...] = ()
    alternatives: tuple["Prediction", ...] = ()

    @property
    def facts(self) -> dict[str, object]:
        """What is told of an answer beside its source."""
        facts: dict[str, object] = {
            "text": self.text,
            "score": self.score,
            "finished": self.finished,
            "pieces": self.pieces,
            "log_probs": self.log_probs,
        }
        if self.alternatives:
            facts["alternatives"] = [each.facts for each in self.alternatives]
        return facts

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Translator:
    """A trained model with its tokenisers: all that prediction needs."""

    model: Seq2Seq
    tokenisers: TokeniserPair
    max_pieces: int
    lexicon: Lexicon | None = None

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def shortlist(self, source: Sequence[int], prefix: Sequence[int], count: int) -> list[int]:
        """What a translation of ``source`` that begins with ``prefix`` may be made of, lowest first.

        Raises:
            InputError: nothing is known of translations.
        """
        if self.lexicon is None:
            raise InputError("search.shortlist: nothing is known of translations; leave it out")
        return sorted({EOS, *prefix, *self.lexicon.shortlist(source, count)} - {PAD, SOS, UNK})


def has_content(text: str) -> bool:
    """Whether there is a letter or digit to work on; a model asked about anything less invents a sentence."""
    return any(character.isalnum() for character in text)


def padded_sources(sources: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Piece numbers as ``source_BS`` with ``<eos>`` at each end, and ``valid_BS`` (True = a piece)."""
    width = max(len(ids) for ids in sources) + 1
    source_BS = torch.full((len(sources), width), PAD, dtype=torch.long)
    lengths_B = torch.tensor([len(ids) + 1 for ids in sources])
    for row, ids in enumerate(sources):
        source_BS[row, : len(ids) + 1] = torch.tensor([*ids, EOS])
    valid_BS = torch.arange(width)[None, :] < lengths_B[:, None]
    return source_BS.to(device), valid_BS.to(device)


def decode(
    translator: Translator,
    sources: Sequence[Sequence[int]],
    settings: SearchSettings,
    *,
    rules: Sequence[Rule] = (),
    prefixes: Sequence[Sequence[int]] | None = None,
    keys: Sequence[int] | None = None,
    want_weights: bool = False,
    check: Callable[[], None] = lambda: None,
) -> list[list[Hypothesis]]:
    """The n-best hypotheses of each source, in the order of ``sources``; batches hold sources of like length.

    ``prefixes`` has the pieces that each answer begins with; ``keys`` name the sources for sampling. Batches are such
    that each can be written at once: with a short-list, step by step would be other sums in the last digit.
    """
    keys = range(len(sources)) if keys is None else keys
    prefixes = [()] * len(sources) if prefixes is None else prefixes
    looks = want_weights or settings.coverage_penalty > 0  # which is computed from the attention of each step
    results: list[list[Hypothesis]] = [[] for _ in sources]
    model = translator.model
    fast = compiled_decoder(model.decoder, settings.kernel)
    encoder = compiled_encoder(model.encoder, settings.kernel) if fast else None
    decoder: Any = fast or model.decoder
    lists: list[Sequence[int]] = [()] * len(sources)
    if settings.shortlist:
        lists = [translator.shortlist(*each, settings.shortlist) for each in zip(sources, prefixes, strict=True)]
    most = [settings.max_length or _room(*each) for each in zip(sources, prefixes, strict=True)]

    def fitting(row: int) -> int:
        return fast.fitting(most[row], _width(settings), len(lists[row])) if fast else len(sources)

    with torch.inference_mode():
        for rows in _batches(sources, prefixes, settings, fitting):
            check()
            memory: Memory | PackedMemory
            valid_BS = None
            if encoder and not settings.coverage_penalty:
                memory = encoder.read([[*sources[row], EOS] for row in rows])
            else:
                source_BS, valid_BS = padded_sources([sources[row] for row in rows], translator.device)
                memory = model.encode(source_BS, valid_BS)
            found = search(
                lambda tokens_N, state: decoder.step(tokens_N, state, want_weights=looks),
                decoder.start(memory),
                sentences=len(rows),
                settings=settings,
                max_lengths=[most[row] for row in rows],
                rules=rules,
                prefixes=[prefixes[row] for row in rows],
                shortlists=[lists[row] for row in rows] if settings.shortlist else None,
                want_weights=want_weights,
                source_valid_BS=valid_BS,
                normalised=fast is not None,
                step_best=decoder.step_best if fast else None,
                write=decoder.write if fast else None,
                write_beams=decoder.write_beams if fast else None,
                sentence_keys=[keys[row] for row in rows],
                device=translator.device,
                check=check,
            )
            for row, hypotheses in zip(rows, found, strict=True):
                results[row] = hypotheses
    return results


def _room(source: Sequence[int], prefix: Sequence[int]) -> int:
    return 2 * len(source) + 20 + len(prefix)


def _width(settings: SearchSettings) -> int:
    return settings.beam if settings.method == "beam" else settings.nbest


def _batches(
    sources: Sequence[Sequence[int]],
    prefixes: Sequence[Sequence[int]],
    settings: SearchSettings,
    fitting: Callable[[int], int],
) -> Iterator[list[int]]:
    """Rows of like length, as many as the token budget holds at this beam and as can go together.

    ``fitting``: how many may go together if all are like this row. Those with a prefix are by themselves.
    """
    rows: list[int] = []
    fit, begun = 0, False
    for row in sorted(range(len(sources)), key=lambda row: (bool(prefixes[row]), len(sources[row]), row)):
        fit = min(fit, fitting(row)) if rows else fitting(row)
        positions = (len(rows) + 1) * (len(sources[row]) + 1) * _width(settings)
        if rows and (positions > settings.batch_tokens or len(rows) >= fit or bool(prefixes[row]) != begun):
            yield rows
            rows, fit = [], fitting(row)
        rows.append(row)
        begun = bool(prefixes[row])
    if rows:
        yield rows


def predict(
    translator: Translator,
    texts: Iterable[str],
    settings: SearchSettings,
    *,
    rules: Sequence[Rule] = (),
    prefix: str = "",
    first: int = 0,
    window: int = _WINDOW,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Prediction]:
    """One prediction for each text, in order, holding no more than ``window`` texts at a time.

    A text without a letter or digit comes back unchanged. A text longer than the model was trained on is cut
    at white space into parts that are not, and the answers are joined by blanks; the first begins with ``prefix``.
    ``first`` is the number of the first text among all there are; what is drawn for a text depends on its number.

    Raises:
        InputError: a word of ``prefix`` is none of the model's.
    """
    prefix_ids = forced_ids(translator.tokenisers.target, prefix)
    remaining, first_key = iter(texts), first
    while lines := list(islice(remaining, window)):
        parts = _parts(translator, lines)
        flat = [ids for ids_of_text in parts for ids in ids_of_text]
        keys = [first_key + row for row, ids_of_text in enumerate(parts) for _ in ids_of_text]
        prefixes = [() if place else prefix_ids for ids_of_text in parts for place in range(len(ids_of_text))]
        found = iter(decode(translator, flat, settings, rules=rules, prefixes=prefixes, keys=keys, check=check))
        for text, ids_of_text in zip(lines, parts, strict=True):
            answers = [next(found) for _ in ids_of_text]
            yield _prediction(translator, text, answers)
        first_key += len(lines)


def forced_ids(tokeniser: Tokeniser, prefix: str) -> tuple[int, ...]:
    """The pieces that an answer is made to begin with.

    Raises:
        InputError: a word of ``prefix`` is none of the model's: it cannot be written.
    """
    encoding = tokeniser.encode(prefix)
    if UNK in encoding.ids:
        start, end = encoding.spans[encoding.ids.index(UNK)]
        word = encoding.text[start:end]
        raise InputError(f"the prefix {prefix!r} holds {word!r}, which is no word of this model; leave it out")
    return encoding.ids


def forbidden(tokeniser: Tokeniser, words: Sequence[str]) -> list[Rule]:
    """The rule against these words, if any can be written: what the model has no piece for, it cannot."""
    # A word is another piece at the beginning of a text than after a blank.
    spellings = {tokeniser.encode(form).ids for word in words if word.strip() for form in (word, " " + word)}
    known = sorted(ids for ids in spellings if UNK not in ids)
    return [ForbidWords(tuple(known))] if known else []


def _parts(translator: Translator, texts: Sequence[str]) -> list[list[list[int]]]:
    """Of each text the piece numbers; of several parts where it is longer than the model has seen; none to copy it."""
    read = [has_content(text) for text in texts]
    found = iter(translator.tokenisers.source.encode_ids(list(compress(texts, read))))
    parts: list[list[list[int]]] = []
    for text, asked in zip(texts, read, strict=True):
        if not asked:
            refuse_surrogates(text)
            parts.append([])
        else:
            ids = next(found)
            parts.append([ids] if len(ids) <= translator.max_pieces else _cut(translator, text))
    return parts


def _cut(translator: Translator, text: str) -> list[list[int]]:
    """The piece numbers of a text, in parts that are as long as the model has seen and end at white space."""
    encoding, limit = translator.tokenisers.source.encode(text), translator.max_pieces
    parts: list[list[int]] = []
    start = 0
    while start < len(encoding.ids):
        stop = min(start + limit, len(encoding.ids))
        if stop < len(encoding.ids):
            # Piece `at` starts a word if white space stands before it or at its beginning.
            breaks = [at for at in range(start + 1, stop + 1) if _starts_word(encoding.text, encoding.spans[at][0])]
            stop = breaks[-1] if breaks else stop
        parts.append(list(encoding.ids[start:stop]))
        start = stop
    return parts


def _starts_word(text: str, at: int) -> bool:
    return text[at : at + 1].isspace() or text[at - 1 : at].isspace()


def _prediction(translator: Translator, source: str, answers: list[list[Hypothesis]]) -> Prediction:
    if not answers:
        return Prediction(source=source, text=source, score=0.0, finished="copied")
    if len(answers) == 1:
        first, *others = [worded(translator.tokenisers.target, source, hypothesis) for hypothesis in answers[0]]
        return replace(first, alternatives=tuple(others))
    # Of a text in parts, the second best answer is made of the second best answers to its parts, and so on.
    several = zip(*answers, strict=False)
    first, *others = [
        _joined(source, [worded(translator.tokenisers.target, source, part) for part in parts]) for parts in several
    ]
    return replace(first, alternatives=tuple(others))


def _joined(source: str, parts: Sequence[Prediction]) -> Prediction:
    return Prediction(
        source=source,
        text=" ".join(part.text.strip() for part in parts),
        score=sum(part.score for part in parts) / len(parts),
        finished="length" if any(part.finished == "length" for part in parts) else "eos",
        pieces=tuple(piece for part in parts for piece in part.pieces),
        log_probs=tuple(log_prob for part in parts for log_prob in part.log_probs),
        ids=tuple(token for part in parts for token in part.ids),
    )


def worded(tokeniser: Tokeniser, source: str, hypothesis: Hypothesis) -> Prediction:
    """What was found, as text."""
    return Prediction(
        source=source,
        text=tokeniser.decode(hypothesis.tokens),
        score=hypothesis.score,
        finished=hypothesis.finished,
        pieces=tokeniser.pieces(hypothesis.tokens),
        log_probs=hypothesis.log_probs,
        ids=hypothesis.tokens,
    )


def single_line(text: str) -> str:
    """Text as one output line: a line break inside an answer would shift every line below it."""
    return text.replace("\r", " ").replace("\n", " ")


def require_text(text: str, what: str) -> str:
    """``text`` with something to work on in it.

    Raises:
        InputError: it is blank or holds no letter or digit.
    """
    if not has_content(text):
        raise InputError(f"{what} {text!r} holds no letter or digit: there is nothing to work on")
    return text
