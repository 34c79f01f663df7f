"""Different words stand there once, every token finds its own, and nothing of a pair is left over."""

import pytest
import torch

from seq2see.data.batching import Batches
from seq2see.data.cache import CachedPairs
from seq2see.data.tagging import TagBatch, TagBatches, Words, WordTable
from seq2see.text.spelling import Spelled

SPELLED = [
    Spelled(7, (1, 9, 8, 5, 2), (3, 4)),
    Spelled(1, (1, 2), ()),
    Spelled(5, (1, 6, 2), (0, 0, 9)),
    Spelled(6, (1, 6, 5, 2), (2,)),
]
SENTENCES = [[2, 0, 2], [1], [3, 2], [0, 0, 0, 1], [2]]
LABELS = [[10, 11, 12], [13], [14, 15], [16, 17, 18, 19], [20]]


def spelled(words: Words, place: int) -> Spelled:
    """What stands at a place of some words."""
    letters = words.letters_UT[place][words.letter_valid_UT[place]].tolist()
    ends = [*words.starts_U.tolist()[1:], len(words.ngrams_I)]
    ngrams = words.ngrams_I[int(words.starts_U[place]) : ends[place]].tolist()
    return Spelled(int(words.word_U[place]), tuple(letters), tuple(ngrams))


def batches(tokens: int = 8) -> TagBatches:
    pairs = CachedPairs.from_lists(SENTENCES, LABELS)
    return TagBatches(Batches(pairs, tokens=tokens, seed=3), WordTable(SPELLED))


def content(batch: TagBatch) -> dict[int, list[tuple[Spelled, int]]]:
    """By row: each token and its label."""
    rows = {}
    for b, row in enumerate(batch.rows_B.tolist()):
        places = batch.valid_BS[b].nonzero().flatten().tolist()
        rows[row] = [(spelled(batch.words, int(batch.index_BS[b, s])), int(batch.gold_BS[b, s])) for s in places]
    return rows


EXPECTED = {
    row: [(SPELLED[word], label) for word, label in zip(words, labels, strict=True)]
    for row, (words, labels) in enumerate(zip(SENTENCES, LABELS, strict=True))
}


def test_each_word_once_and_short_ones_first() -> None:
    words_BS = torch.tensor([[2, 0, 2, 0], [3, 2, 1, 1]])
    valid_BS = torch.tensor([[True] * 4, [True, True, False, False]])
    words, index_BS = WordTable(SPELLED).side_by_side(words_BS, valid_BS)
    assert [spelled(words, place) for place in range(3)] == [SPELLED[2], SPELLED[3], SPELLED[0]]
    assert index_BS.tolist() == [[0, 2, 0, 2], [1, 0, 0, 0]]  # what stands at padding does not come in


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_an_epoch_has_every_token_with_its_label_once(epoch: int) -> None:
    source = batches()
    found = list(source.epoch(epoch))
    assert len(found) == source.count(epoch) > 1
    rows: dict[int, list[tuple[Spelled, int]]] = {}
    for batch in found:
        assert not set(rows) & set(batch.rows_B.tolist())
        rows |= content(batch)
        assert batch.tokens == int(batch.valid_BS.sum())
        assert batch.padding_share == pytest.approx(1 - batch.tokens / batch.index_BS.numel())
        assert not batch.index_BS[~batch.valid_BS].any()
        assert not batch.gold_BS[~batch.valid_BS].any()
        assert bool((batch.valid_BS.int().diff(dim=1) <= 0).all())  # padding stands at the end
    assert rows == EXPECTED


def test_an_epoch_can_be_entered_anywhere() -> None:
    whole = [content(batch) for batch in batches().epoch(1)]
    for start in range(len(whole) + 1):
        assert [content(batch) for batch in batches().epoch(1, start)] == whole[start:]


def test_shards_are_the_batch() -> None:
    (batch,) = batches(tokens=1_000).epoch(0)
    for world in (1, 2, 3, 7):
        parts = [batch.shard(rank, world) for rank in range(world)]
        assert sum(part.tokens for part in parts) == batch.tokens
        rows: dict[int, list[tuple[Spelled, int]]] = {}
        for part in parts:
            if part.tokens:
                rows |= content(part)
            else:
                assert len(part) == 1
                assert not part.valid_BS.any()
        assert rows == EXPECTED


def test_words_without_letters_or_ngrams() -> None:
    table = WordTable([Spelled(3, (), ()), Spelled(4, (), ())])
    words, index_BS = table.side_by_side(torch.tensor([[1, 0]]), torch.ones(1, 2, dtype=torch.bool))
    assert words.word_U[index_BS].tolist() == [[4, 3]]
    assert words.letters_UT.shape == (2, 0)
    assert words.ngrams_I.tolist() == []


def test_another_device_changes_nothing() -> None:
    (batch,) = batches(tokens=1_000).epoch(0)
    assert content(batch.to(torch.device("cpu"))) == EXPECTED
