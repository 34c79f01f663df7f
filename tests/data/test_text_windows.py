import pytest
import torch

from seq2see.data.stream_cache import CachedStream
from seq2see.data.text_windows import TextBatch, TextWindows
from seq2see.errors import InputError
from seq2see.text.tokeniser import PAD, SOS

BREAK = 4
IDS = [BREAK if number % 11 == 10 else 5 + number % 23 for number in range(97)]


def windows(ids: list[int] = IDS, *, length: int = 8, before: int = 0, tokens: int = 24, seed: int = 1) -> TextWindows:
    stream = CachedStream.from_ids(ids)
    return TextWindows(stream, length=length, before=before, tokens=tokens, seed=seed, line_breaks=[BREAK])


def content(batch: TextBatch) -> list[object]:
    return [batch.rows_B.tolist(), batch.before_BP.tolist(), batch.before_valid_BP.tolist(), batch.input_BT.tolist()]


@pytest.mark.parametrize("length", [1, 2, 8, 48, 96, 97, 200])
def test_every_piece_is_foreseen_once_and_the_beginning_too(length: int) -> None:
    for epoch in range(3):
        batches = list(windows(length=length).epoch(epoch))
        width = min(length, len(IDS))
        starts = sorted(start for batch in batches for start in batch.rows_B.tolist())
        places = [place for start in starts for place in range(start, start + width)]
        assert starts[0] == 0
        if len(starts) == 1:
            assert width == len(IDS)
            continue
        shift = starts[1]
        assert 1 <= shift <= width
        assert sorted(places[width:]) == list(range(shift, max(places) + 1))  # each once
        assert len(IDS) - 1 - max(places) < width
        for batch in batches:
            assert batch.gold_BT.tolist() == [IDS[start : start + width] for start in batch.rows_B.tolist()]


@pytest.mark.parametrize("before", [0, 1, 5, 40, 200])
def test_what_stands_in_front(before: int) -> None:
    """Against a slow twin: the text with <sos> in front of it, and of each line its beginning."""
    for batch in windows(before=before).epoch(0):
        for row, start in enumerate(batch.rows_B.tolist()):
            anew = start == 0 or IDS[start - 1] == BREAK
            front = (
                [SOS]
                if anew
                else ([SOS, *IDS[:start]])[-before - 1 :]
                if start <= before
                else IDS[:start][-before - 1 :]
            )
            assert batch.input_BT[row].tolist() == [front[-1], *IDS[start : start + 7]]
            valid = batch.before_valid_BP[row]
            assert batch.before_BP[row][valid].tolist() == front[:-1]
            assert valid.tolist() == [True] * (len(front) - 1) + [False] * (before - len(front) + 1)
            assert (batch.before_BP[row][~valid] == PAD).all()


def test_some_windows_begin_anew_and_most_do_not() -> None:
    firsts = [row[0] for epoch in range(9) for batch in windows().epoch(epoch) for row in batch.input_BT.tolist()]
    assert 0 < firsts.count(SOS) < len(firsts) / 2
    assert BREAK not in firsts


@pytest.mark.parametrize("tokens", [1, 8, 30, 1000])
def test_an_epoch_goes_on_at_any_batch(tokens: int) -> None:
    made = windows(before=3, tokens=tokens)
    for epoch in range(3):
        whole = [content(batch) for batch in made.epoch(epoch)]
        assert len(whole) == made.count(epoch)
        for start in range(len(whole) + 1):
            assert [content(batch) for batch in windows(before=3, tokens=tokens).epoch(epoch, start)] == whole[start:]


def test_epochs_and_seeds_differ() -> None:
    orders = {str([content(batch) for batch in windows(seed=seed).epoch(epoch)]) for seed in (1, 2) for epoch in (0, 1)}
    assert len(orders) == 4


def test_shards_are_the_batch() -> None:
    batch = next(iter(windows(before=2).epoch(0)))
    shards = [batch.shard(rank, 2) for rank in range(2)]
    assert sum(shard.tokens for shard in shards) == batch.tokens == 24
    rows = [content(shard.shard(row, len(shard))) for row in range(2) for shard in shards if row < len(shard)]
    assert rows == [content(batch.shard(row, 3)) for row in range(3)]
    empty = batch.shard(5, 6)
    assert (len(empty), empty.tokens, empty.padding_share) == (1, 0, 0.0)
    assert content(batch.to(torch.device("cpu"))) == content(batch)


def test_there_must_be_a_text() -> None:
    with pytest.raises(InputError, match="no text"):
        windows([])
    with pytest.raises(InputError, match="length = 0"):
        windows(length=0)
