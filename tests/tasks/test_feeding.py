"""BPE-dropout in training: other pieces in every epoch, the same text, and the same again when it is asked again."""

import pytest

from seq2see.config.settings import TranslateSettings
from seq2see.config.toml import parse
from seq2see.data.batch import Batch
from seq2see.data.cache import CachedPairs
from seq2see.models.presets import preset
from seq2see.tasks.feeding import training_batches
from seq2see.text.tokeniser import TokeniserPair, train_pair

PAIRS = [(f"the {word} of the house", f"das {word}haus") for word in ("garden", "summer", "water", "glass", "tree")] * 3


def made(dropout: float, seed: int = 1) -> TranslateSettings:
    return parse(
        TranslateSettings,
        {
            "model": preset("lstm").model_dump(mode="json"),
            "training": {"steps": 1, "seed": seed, "batch_tokens": 40},
            "text": {"kind": "bpe", "vocabulary": 320, "dropout": dropout},
        },
    )


@pytest.fixture(scope="module")
def tokenisers() -> TokeniserPair:
    return train_pair(lambda: PAIRS, made(0.3).text, lambda: None)


@pytest.fixture(scope="module")
def cached(tokenisers: TokeniserPair) -> CachedPairs:
    sources, targets = zip(*PAIRS, strict=True)
    return CachedPairs.from_lists(tokenisers.source.encode_ids(sources), tokenisers.target.encode_ids(targets))


def rows(batches: list[Batch]) -> dict[int, tuple[list[int], list[int]]]:
    found = {}
    for batch in batches:
        for place, row in enumerate(batch.rows_B.tolist()):
            source = batch.source_BS[place][batch.source_valid_BS[place]].tolist()
            found[row] = source, batch.gold_BT[place][batch.gold_valid_BT[place]].tolist()
    return found


def test_every_epoch_has_the_same_texts_in_other_pieces(cached: CachedPairs, tokenisers: TokeniserPair) -> None:
    batches = training_batches(cached, tokenisers, made(0.3))
    epochs = [rows(list(batches.epoch(number))) for number in range(2)]
    assert epochs[0] != epochs[1]
    for epoch in epochs:
        for row, (source, target) in enumerate(PAIRS):
            assert tokenisers.source.decode(epoch[row][0]) == source
            assert tokenisers.target.decode(epoch[row][1]) == target


def test_an_epoch_is_a_pure_function_of_the_seed(cached: CachedPairs, tokenisers: TokeniserPair) -> None:
    """From whatever batch it is resumed, in whatever order the epochs are asked for."""
    first, second = (training_batches(cached, tokenisers, made(0.3)) for _ in range(2))
    list(second.epoch(3))
    whole = list(first.epoch(1))
    assert len(whole) > 3
    for start in range(len(whole)):
        assert rows(list(second.epoch(1, start))) == rows(whole[start:])
    other = rows(list(training_batches(cached, tokenisers, made(0.3, seed=2)).epoch(1)))
    assert other != rows(whole)


def test_without_dropout_the_pieces_are_those_of_the_cache(cached: CachedPairs, tokenisers: TokeniserPair) -> None:
    found = rows(list(training_batches(cached, tokenisers, made(0.0)).epoch(0)))
    for row, (source, target) in enumerate(cached.ids(range(len(PAIRS)))):
        assert (found[row][0][:-1], found[row][1][:-1]) == (source, target)
