import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2see.data.batch import Batch
from seq2see.text.tokeniser import EOS, PAD, SOS

PIECES = st.lists(st.integers(4, 70_000), max_size=6)
PAIRS = st.lists(st.tuples(PIECES, PIECES), min_size=1, max_size=7)


def obvious(sequences: list[list[int]], step: int) -> list[list[int]]:
    """Padded row by row: pieces, <eos>, <pad> up to a multiple of ``step``."""
    ended = [[*ids, EOS] for ids in sequences]
    width = max(map(len, ended))
    while width % step:
        width += 1
    return [ids + [PAD] * (width - len(ids)) for ids in ended]


@settings(deadline=None, max_examples=100)
@given(PAIRS, st.integers(1, 5))
def test_a_batch_is_its_rows_padded_one_by_one(pairs: list[tuple[list[int], list[int]]], step: int) -> None:
    sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
    batch = Batch.of(sources, targets, shape_step=step)
    source, gold = obvious(sources, step), obvious(targets, step)
    assert batch.source_BS.tolist() == source
    assert batch.target_BT.tolist() == [[SOS, *row] for row in gold]
    assert batch.gold_BT.tolist() == gold
    assert batch.input_BT.tolist() == [[SOS, *row[:-1]] for row in gold]
    assert batch.source_valid_BS.tolist() == [[id != PAD for id in row] for row in source]
    assert batch.gold_valid_BT.tolist() == [[id != PAD for id in row] for row in gold]
    assert batch.tokens == sum(id != PAD for row in gold for id in row)
    cells = [id for row in source + gold for id in row]
    assert batch.positions == len(cells)
    assert batch.padding_share == pytest.approx(cells.count(PAD) / len(cells))
    assert batch.rows_B.tolist() == list(range(len(pairs)))
    assert batch.source_BS.dtype == batch.target_BT.dtype == torch.int64
    assert batch.source_valid_BS.dtype == batch.gold_valid_BT.dtype == torch.bool


def test_two_pairs_by_hand() -> None:
    batch = Batch.of([[7], []], [[8, 9], [5]], rows=[40, 3])
    assert batch.rows_B.tolist() == [40, 3]
    assert batch.source_BS.tolist() == [[7, EOS], [EOS, PAD]]
    assert batch.target_BT.tolist() == [[SOS, 8, 9, EOS], [SOS, 5, EOS, PAD]]
    assert (batch.tokens, batch.source_tokens, batch.positions) == (5, 3, 10)
    assert batch.padding_share == pytest.approx(0.2)


@settings(deadline=None, max_examples=60)
@given(PAIRS, st.integers(1, 9))
def test_the_shards_of_all_ranks_are_the_batch(pairs: list[tuple[list[int], list[int]]], world: int) -> None:
    batch = Batch.of([source for source, _ in pairs], [target for _, target in pairs])
    shards = [batch.shard(rank, world) for rank in range(world)]
    assert sum(shard.tokens for shard in shards) == batch.tokens
    rows = {
        row: (source, target, tuple(valid))
        for shard in shards
        if shard.tokens
        for row, source, target, valid in zip(
            shard.rows_B.tolist(),
            shard.source_BS.tolist(),
            shard.target_BT.tolist(),
            shard.gold_valid_BT.tolist(),
            strict=True,
        )
    }
    assert sorted(rows) == batch.rows_B.tolist()
    for row, (source, target, valid) in rows.items():
        assert source == batch.source_BS[row].tolist()
        assert target == batch.target_BT[row].tolist()
        assert list(valid) == batch.gold_valid_BT[row].tolist()
    for rank in range(len(pairs), world):  # more ranks than rows: something to compute, nothing to learn
        assert len(shards[rank]) == 1
        assert not shards[rank].gold_valid_BT.any()
        assert shards[rank].source_valid_BS.any()


def test_parts_count_their_own_tokens() -> None:
    batch = Batch.of([[7], [7, 7], []], [[8, 9], [5], [5]])
    first, second = batch.part(slice(0, 1)), batch.part(slice(1, None))
    assert (first.tokens, second.tokens) == (3, 4)
    assert (first.source_tokens, second.source_tokens) == (2, 4)
    assert torch.equal(torch.cat([first.source_BS, second.source_BS]), batch.source_BS)


def test_a_batch_moves_as_a_whole() -> None:
    batch = Batch.of([[7], [7, 7]], [[8, 9], [5]])
    moved = batch.to("meta")
    tensors = (moved.rows_B, moved.source_BS, moved.source_valid_BS, moved.target_BT, moved.gold_valid_BT)
    assert all(tensor.device.type == "meta" for tensor in tensors)
    assert (moved.tokens, moved.source_tokens) == (batch.tokens, batch.source_tokens)
