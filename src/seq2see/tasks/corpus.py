"""The pairs of a run: which are trained on, which are held out, and what was left out and why."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from seq2see.config.settings import DataSettings, SearchSettings
from seq2see.data.cache import CachedPairs
from seq2see.data.columns import PAIRS, Wanted
from seq2see.data.pairs import held_out_pairs, is_blank, source_key, training_pairs, usable
from seq2see.data.reading import PairSource, open_pairs, read
from seq2see.data.repetitions import Repetitions, find_repetitions
from seq2see.data.survey import Survey, survey
from seq2see.data.tally import Pair, Tally
from seq2see.errors import InputError
from seq2see.text.tokeniser import TokeniserPair

_LOOKED_AT = 100_000  # pairs whose lengths are compared
_MANY = 0.01  # of them may be cut off without a word


def nothing() -> None:
    """The ``check`` of a caller that never stops early."""


@dataclass(frozen=True)
class Corpus:
    """Pairs to train on and pairs to choose by. ``share`` of the sources is held out where there is no dev file.

    ``repetitions`` are places among ``pairs``; None where repetitions are kept.
    """

    pairs: PairSource
    dev: PairSource | None
    rules: DataSettings
    share: float = 0.0
    repetitions: Repetitions | None = None

    def training(self, tally: Tally, check: Callable[[], None] = nothing) -> Iterator[Pair]:
        """The training pairs in the order of the file, without those the rules drop, which are counted."""
        kept = usable(read(self.pairs, Tally(), check), self.rules, self.repetitions, tally)
        return training_pairs(kept, self.share)

    def development(self, check: Callable[[], None] = nothing) -> tuple[list[tuple[str, str]], str]:
        """The held-out pairs, at most ``held_out_most``; of more, those whose sources have the least hashes.

        Also a sentence on where they come from.
        """
        if self.dev is not None:
            pairs = read(self.dev, Tally(), check)
        else:
            pairs = held_out_pairs(read(self.pairs, Tally(), check), self.share)
        chosen = [(pair.source, pair.target) for pair in pairs if not is_blank(pair)]
        least = least_by_hash(chosen, self.rules.held_out_most)
        if self.dev is None:
            return least, f"held out: {len(least):,} pairs, {self.share:.1%} of the sources, chosen by their hash"
        some = f"{len(least):,} of " if len(least) < len(chosen) else ""
        why = " (data.held_out_most)" if some else ""
        return least, f"dev: {some}{len(chosen):,} pairs of {self.dev.name}{why}"


def least_by_hash(pairs: list[tuple[str, str]], most: int) -> list[tuple[str, str]]:
    """``most`` of the pairs, in their order, chosen as if at random but always the same."""
    if len(pairs) <= most:
        return pairs
    order = sorted(range(len(pairs)), key=lambda row: source_key(pairs[row][0]))
    return [pairs[row] for row in sorted(order[:most])]


def of_length(
    pairs: list[tuple[str, str]], tokenisers: TokeniserPair, most: int, check: Callable[[], None] = nothing
) -> list[tuple[str, str]]:
    """The pairs of which both sides have at most ``most`` pieces."""
    check()
    sources = tokenisers.source.encode_ids([source for source, _ in pairs])
    targets = tokenisers.target.encode_ids([target for _, target in pairs])
    return [pair for pair, *sides in zip(pairs, sources, targets, strict=True) if max(map(len, sides)) <= most]


def cut_off(cached: CachedPairs, search: SearchSettings) -> list[str]:
    """A sentence, if many a target is longer than an answer may get: the model would be cut off again and again."""
    rows = min(len(cached), _LOOKED_AT)
    most_N = 2 * cached.source_lengths(0, rows) + 20 if search.max_length is None else search.max_length
    share = float((cached.target_lengths(0, rows) >= most_N).double().mean())
    if share < _MANY:
        return []
    limit = "2 × the pieces of its source + 20" if search.max_length is None else f"{search.max_length} pieces"
    return [f"{share:.1%} of the targets are longer than an answer may get ({limit}); search.max_length sets that"]


def open_corpus(rules: DataSettings, check: Callable[[], None] = nothing, wanted: Wanted = PAIRS) -> Corpus:
    """Find the files that ``rules`` names; ``wanted`` says which columns of them.

    Raises:
        InputError: nothing or too much is named, or a file cannot be used.
    """
    if rules.pairs is None and rules.source is None and rules.target is None:
        raise InputError("no data given: name a file of pairs, or --source and --target files")
    columns = rules.columns or (None, None)
    opened = open_pairs(
        rules.pairs,
        rules.source,
        rules.target,
        source_column=columns[0],
        target_column=columns[1],
        max_line_bytes=rules.max_line_bytes,
        wanted=wanted,
        check=check,
    )
    return Corpus(opened, _open_dev(rules, check, wanted), rules)


def _open_dev(rules: DataSettings, check: Callable[[], None], wanted: Wanted) -> PairSource | None:
    most = rules.max_line_bytes
    match rules.dev:
        case ():
            return None
        case (source, target):
            return open_pairs(None, source, target, max_line_bytes=most, check=check)
        case _:
            pairs = rules.dev[0]
            columns = rules.columns or (None, None)
            return open_pairs(
                pairs,
                source_column=columns[0],
                target_column=columns[1],
                max_line_bytes=most,
                wanted=wanted,
                check=check,
            )


def surveyed(corpus: Corpus, tally: Tally, check: Callable[[], None] = nothing) -> tuple[Corpus, Survey]:
    """The corpus with its split decided, and what it looks like.

    Raises:
        InputError: nothing in it can be trained on, or nothing can be held out.
    """
    dev_sources = [] if corpus.dev is None else [pair.source for pair in read(corpus.dev, Tally(), check)]
    found = survey(
        read(corpus.pairs, tally, check),
        corpus.rules,
        check,
        dev_keys={source_key(each) for each in dev_sources},
    )
    found.check_trainable(corpus.pairs.name, dev_given=corpus.dev is not None)
    share = 0.0 if corpus.dev is not None else found.held_out_share
    dropped = find_repetitions(read(corpus.pairs, Tally(), check), check) if corpus.rules.drop_duplicates else None
    return replace(corpus, share=share, repetitions=dropped), found


def default_name(rules: DataSettings) -> str:
    """A name for the run, after the data."""
    named = rules.pairs or rules.source or "run"
    stem = Path(named).name.split(".")[0] if named != "-" else "stdin"
    return stem or "run"


def without_places(rules: DataSettings) -> DataSettings:
    """The rules alone: where the data lies may change, what is in it may not."""
    return rules.model_copy(update={"pairs": None, "source": None, "target": None, "dev": (), "columns": None})
