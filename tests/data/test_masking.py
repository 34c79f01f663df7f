"""As many pieces of every window are hidden as was said before they were drawn, and each in one of three ways."""

from collections.abc import Iterator

import pytest
import torch

from seq2see.config.masked import MaskingSettings
from seq2see.data.masking import FIRST, MASK, MaskedBatch, MaskedWindows, hidden_of, hide
from seq2see.data.stream_cache import CachedStream
from seq2see.data.text_windows import TextWindows

V = 40


def windows(pieces: int = 100, length: int = 10, tokens: int = 40) -> MaskedWindows:
    stream = CachedStream.from_ids([FIRST + number % (V - FIRST) for number in range(pieces)])
    return MaskedWindows(TextWindows(stream, length=length, before=0, tokens=tokens, seed=1), 0.15)


def batches(made: MaskedWindows, start: int = 0) -> Iterator[tuple[list[int], int, int]]:
    for batch in made.epoch(0, start):
        yield batch.rows_B.tolist(), batch.hidden, batch.tokens


@pytest.mark.parametrize(("length", "share", "hidden"), [(128, 0.15, 19), (3, 0.15, 1), (2, 0.01, 1), (10, 0.5, 5)])
def test_exactly_so_many_are_hidden(length: int, share: float, hidden: int) -> None:
    assert hidden_of(length, share) == hidden
    gold_BT = torch.randint(FIRST, V, (7, length))
    input_BT, places_BK = hide(gold_BT, hidden, MaskingSettings(masked=1.0, replaced=0.0), V)
    assert (input_BT == MASK).sum(dim=1).tolist() == [hidden] * 7
    assert all(len(set(row)) == hidden for row in places_BK.tolist())
    assert torch.equal(input_BT.scatter(1, places_BK, gold_BT.gather(1, places_BK)), gold_BT)


def test_eighty_ten_ten() -> None:
    torch.manual_seed(1)
    gold_BT = torch.randint(FIRST, V, (400, 100))
    input_BT, places_BK = hide(gold_BT, 50, MaskingSettings(), V)
    read_BK, gold_BK = input_BT.gather(1, places_BK), gold_BT.gather(1, places_BK)
    masked, kept = (read_BK == MASK).double().mean(), (read_BK == gold_BK).double().mean()
    assert float(masked) == pytest.approx(0.8, abs=0.012)  # 20,000 draws: four standard errors
    assert float(kept) == pytest.approx(0.1, abs=0.009)
    replaced_N = read_BK[(read_BK != MASK) & (read_BK != gold_BK)]
    assert float(len(replaced_N) / read_BK.numel()) == pytest.approx(0.1, abs=0.009)
    assert set(replaced_N.tolist()) == set(range(FIRST, V))
    often_T = torch.bincount(places_BK.flatten(), minlength=100) / 400
    assert float(often_T.min()) > 0.38 and float(often_T.max()) < 0.62


@pytest.mark.parametrize(
    ("masking", "read"),
    [(MaskingSettings(masked=0.0, replaced=0.0), {5}), (MaskingSettings(masked=0.0, replaced=1.0), {4})],
)
def test_all_of_one_kind(masking: MaskingSettings, read: set[int]) -> None:
    input_BT, places_BK = hide(torch.full((3, 8), 5), 4, masking, 6)
    assert set(input_BT.gather(1, places_BK).flatten().tolist()) == read


def test_a_vocabulary_of_one_piece_has_no_other() -> None:
    input_BT, _ = hide(torch.full((2, 3), FIRST), 2, MaskingSettings(masked=0.0, replaced=1.0), FIRST + 1)
    assert (input_BT == FIRST).all()


def test_batches_know_how_many_count_and_go_on_anywhere() -> None:
    made = windows()
    whole = list(batches(made))
    assert len(whole) == made.count(0)
    assert all((hidden, tokens) == (2, 2 * len(rows)) for rows, hidden, tokens in whole)
    assert list(batches(made, 2)) == whole[2:]


@pytest.mark.parametrize("world", [2, 3, 7])
def test_shards_are_the_batch(world: int) -> None:
    batch = next(windows().epoch(0))
    shards = [batch.shard(rank, world) for rank in range(world)]
    assert sum(each.tokens for each in shards) == batch.tokens
    rows = [row for each in shards if each.tokens for row in each.rows_B.tolist()]
    assert sorted(rows) == sorted(batch.rows_B.tolist())
    assert all(isinstance(each, MaskedBatch) and len(each) and each.hidden == batch.hidden for each in shards)
    assert all(len(each) == 1 for each in shards if not each.tokens)
