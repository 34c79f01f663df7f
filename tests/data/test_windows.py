"""Windows of series: each one once an epoch, in an order that depends on nothing but seed and epoch."""

import pytest
import torch

from seq2see.data.rolling import origins, stretches
from seq2see.data.windows import WindowBatch, Windows
from seq2see.errors import InputError

SERIES = torch.arange(20.0).view(2, 10)


def windows(seed: int = 1, tokens: int = 4) -> Windows:
    return Windows(SERIES, 4, 2, tokens=tokens, seed=seed)


def rows(batches: list[WindowBatch]) -> list[list[float]]:
    return [row for batch in batches for row in batch.values_BT.tolist()]


def test_every_window_once_an_epoch() -> None:
    found = rows(list(windows().epoch(0)))
    assert sorted(found) == [[first + at for at in range(4)] for first in [*range(7), *range(10, 17)]]
    batch = next(windows().epoch(0))
    assert len(batch.rows_B) == 2 and batch.tokens == 4  # two windows of two values that count
    assert torch.equal(batch.gold_BG, batch.values_BT[:, 2:])
    assert torch.equal((batch.values_BT[:, 0] >= 10).long(), batch.series_B)


def test_epochs_differ_and_are_pure() -> None:
    first = rows(list(windows().epoch(0)))
    assert first == rows(list(windows().epoch(0)))
    assert first != rows(list(windows().epoch(1))) and first != rows(list(windows(seed=2).epoch(0)))
    assert rows(list(windows().epoch(3, 4))) == rows(list(windows().epoch(3)))[8:]
    assert windows().count(0) == len(list(windows().epoch(0))) == 7


def test_windows_with_a_hole_are_none() -> None:
    series = SERIES.clone()
    series[0, :3], series[1, 8:] = torch.nan, torch.nan
    found = rows(list(Windows(series, 4, 1, tokens=9, seed=1).epoch(0)))
    assert sorted(row[0] for row in found) == [3, 4, 5, 6, 10, 11, 12, 13, 14]
    with pytest.raises(InputError, match="no window of 11 steps"):
        Windows(SERIES, 11, 1, tokens=9, seed=1)
    with pytest.raises(InputError, match="9 steps in a row"):
        Windows(series, 9, 1, tokens=9, seed=1)


def test_shards_share_a_batch() -> None:
    batch = windows(tokens=10).batch([3, 1, 4, 0, 5])
    parts = [batch.shard(rank, 2) for rank in range(2)]
    assert [part.rows_B.tolist() for part in parts] == [[3, 4, 5], [1, 0]]
    assert sum(part.tokens for part in parts) == batch.tokens == 10
    assert windows().batch([2]).shard(1, 2).tokens == 0


def test_stretches_and_origins() -> None:
    cut = stretches(20, 6, 4)
    assert (cut.dev, cut.test, cut.end) == (10, 16, 20)
    assert list(origins(10, 16, 3, 2)) == [10, 12]  # 13 is the last from which three steps lie within
    assert list(origins(10, 16, 3, 1)) == [10, 11, 12, 13]
    assert list(origins(10, 12, 3, 1)) == []
    with pytest.raises(InputError, match="leave nothing to train on"):
        stretches(10, 6, 4)
