"""From a file to batches, with the real tokenisers: what goes in comes out."""

import gzip
import random
import unicodedata

import pytest

from seq2see.config.settings import DataSettings, TextSettings
from seq2see.data.ahead import ahead
from seq2see.data.batching import Batches
from seq2see.data.cache import CachedPairs, cache_key, content_hash, open_or_build
from seq2see.data.pairs import held_out_pairs, texts, training_pairs, usable
from seq2see.data.reading import PairSource, open_pairs, read
from seq2see.data.survey import survey
from seq2see.data.tally import Pair, Tally
from seq2see.text.tokeniser import EOS, PAD, TokeniserPair, train_pair

WORDS = "go come see house river 가다 오다 보다 집 강 é 😀".split()  # noqa: SIM905
RULES = DataSettings(held_out=0.1, held_out_most=30)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> PairSource:
    draw = random.Random(1)
    lines = [
        "\t".join(" ".join(draw.choices(WORDS, k=draw.randint(1, 9))) for _ in range(2)) + "\n" for _ in range(600)
    ]
    lines[17] = " \tblank\n"
    lines[18] = "long " * 100 + "\tx\n"
    path = tmp_path_factory.mktemp("data") / "pairs.tsv.gz"
    path.write_bytes(gzip.compress("".join(lines).encode()))
    return open_pairs(path)


@pytest.fixture(scope="module")
def share(source: PairSource) -> float:
    return survey(source, RULES).held_out_share


def pairs(source: PairSource, share: float, part: str) -> list[Pair]:
    choose = training_pairs if part == "train" else held_out_pairs
    return list(choose(usable(read(source, Tally()), RULES, None, Tally()), share))


@pytest.fixture(scope="module")
def tokenisers(source: PairSource, share: float) -> TokeniserPair:
    settings = TextSettings(vocabulary=400, dropout=0.2)
    return train_pair(lambda: texts(pairs(source, share, "train")), settings)


@pytest.fixture(scope="module")
def cached(
    source: PairSource, share: float, tokenisers: TokeniserPair, tmp_path_factory: pytest.TempPathFactory
) -> CachedPairs:
    rules = RULES.model_copy(update={"max_pieces": 64})
    key = cache_key(content_hash(source), rules, tokenisers, f"train without {share}")
    folder = tmp_path_factory.mktemp("cache")
    said: list[str] = []
    built = open_or_build(pairs(source, share, "train"), tokenisers, rules, folder / key[:16], key, said.append)
    assert said == []
    return built


def test_the_parts_are_the_corpus(source: PairSource, share: float) -> None:
    training, dev = pairs(source, share, "train"), pairs(source, share, "dev")
    assert 1 <= len(dev) <= 30
    assert len(training) + len(dev) == 599  # all but the blank one
    assert not {pair.source for pair in training} & {pair.source for pair in dev}


def test_batches_hold_the_sentences_of_the_file(
    source: PairSource, share: float, tokenisers: TokeniserPair, cached: CachedPairs
) -> None:
    by_line = {pair.line: pair for pair in pairs(source, share, "train")}
    seen = []
    for batch in ahead(Batches(cached, tokens=256, seed=1).epoch(0)):
        lines = cached.lines(batch.rows_B.tolist())
        seen += lines
        for line, ids, gold in zip(lines, batch.source_BS.tolist(), batch.gold_BT.tolist(), strict=True):
            assert tokenisers.source.decode(ids) == unicodedata.normalize("NFC", by_line[line].source)
            assert tokenisers.target.decode(gold) == unicodedata.normalize("NFC", by_line[line].target)
    assert sorted(seen) == sorted(set(by_line) - {19})  # line 19 is longer than 64 pieces
    assert cached.report.too_long.lines == ([19] if 19 in by_line else [])


def test_dropout_changes_pieces_and_not_text(tokenisers: TokeniserPair, cached: CachedPairs) -> None:
    def resegment(row: int, epoch: int) -> tuple[list[int], list[int]]:
        draw = random.Random(f"7 {epoch} {row}")
        ((source, target),) = cached.ids([row])
        return (
            tokenisers.source.encode_with_dropout(tokenisers.source.decode(source), draw),
            tokenisers.target.encode_with_dropout(tokenisers.target.decode(target), draw),
        )

    batches = Batches(cached, tokens=256, seed=1, resegment=resegment)
    changed = 0
    for batch in batches.epoch(3):
        rows = batch.rows_B.tolist()
        for (ids, _), new in zip(cached.ids(rows), batch.source_BS.tolist(), strict=True):
            assert tokenisers.source.decode(new) == tokenisers.source.decode(ids)
            changed += [id for id in new if id not in (PAD, EOS)] != ids
    assert changed > len(cached) / 4
    again = [batch.source_BS.tolist() for batch in batches.epoch(3)]
    assert again == [batch.source_BS.tolist() for batch in batches.epoch(3)]
    assert again != [batch.source_BS.tolist() for batch in batches.epoch(4)]
