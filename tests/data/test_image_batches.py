"""Pictures come from their cache as they went in, in an order and with chances that depend on seed and epoch alone."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from seq2see.config.images import PictureData, PictureSize
from seq2see.data.augmentation import Chance, augmented, changes, drawn
from seq2see.data.cache import CachedPairs
from seq2see.data.image_batches import CaptionBatch, CaptionBatches, ImageBatch, ImageBatches, Supply, split_rows
from seq2see.data.image_cache import CachedPictures, cached_pictures, picture_key
from seq2see.data.images import open_pictures
from seq2see.data.pictures import Raw, fitted
from small_pictures import SIDE, captioned, write_zip

PICTURES = captioned(40)
SIZE = PictureSize(height=SIDE, width=SIDE, colour="rgb")
MOST = 1_000_000


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> CachedPictures:
    folder = tmp_path_factory.mktemp("pictures")
    pictures = open_pictures(write_zip(folder / "icons.zip", PICTURES))
    return cached_pictures(pictures, SIZE, MOST, "content", folder / "cache", pytest.fail)


# ── the cache ───────────────────────────────────────────────────────────────────────────────────


def test_what_goes_in_comes_out(cached: CachedPictures) -> None:
    rows = torch.tensor([7, 0, 39, 7])
    wanted = torch.stack([fitted(Raw("x", PICTURES[row][2]), SIZE, MOST) for row in rows.tolist()])
    assert torch.equal(cached.pictures(rows), wanted)
    entries = list(cached.entries())
    assert [(each.name, each.texts) for each in entries] == [(name, (caption,)) for name, caption, _ in PICTURES]
    assert entries[3].key == picture_key(Raw("other name", PICTURES[3][2]))
    assert len(cached) == 40
    for _ in range(200):  # mapped pages are let go of on the way
        assert torch.equal(cached.pictures(rows), wanted)


def test_a_cache_is_used_again_and_built_anew_when_it_does_not_fit(tmp_path: Path) -> None:
    pictures = open_pictures(write_zip(tmp_path / "icons.zip", PICTURES[:5]))
    path, said = tmp_path / "cache", list[str]()

    def made(size: PictureSize = SIZE, content: str = "a") -> CachedPictures:
        return cached_pictures(pictures, size, MOST, content, path, said.append)

    made()
    stamp = (path / "pictures.bytes").stat().st_mtime_ns
    made()
    assert (path / "pictures.bytes").stat().st_mtime_ns == stamp and not said
    small = made(PictureSize(height=8, width=8, colour="grey"))
    assert small.pictures(torch.tensor([0])).shape == (1, 1, 8, 8) and "other pictures or settings" in said.pop()
    made(content="b")
    assert said.pop()
    data = bytearray((path / "pictures.bytes").read_bytes())
    data[5] ^= 1
    (path / "pictures.bytes").write_bytes(data)
    again = made(PictureSize(height=8, width=8, colour="grey"), content="b")
    assert said.pop() and len(again) == 5


def test_damaged_pictures_are_counted_by_name(tmp_path: Path) -> None:
    whole = PICTURES[:3]
    cut = ("cut.png", "red square left", whole[0][2][:60])
    pictures = open_pictures(write_zip(tmp_path / "icons.zip", [*whole[:1], cut, *whole[1:]]))
    cached = cached_pictures(pictures, SIZE, MOST, "", tmp_path / "cache", pytest.fail)
    assert len(cached) == 3 and cached.damaged.count == 1 and "cut.png" in cached.damaged.names[0]
    assert [entry.name for entry in cached.entries()] == ["0.png", "1.png", "2.png"]


def test_a_signal_leaves_nothing_behind(tmp_path: Path) -> None:
    pictures = open_pictures(write_zip(tmp_path / "icons.zip", PICTURES[:5]))

    class Signal(Exception):
        pass

    def check() -> None:
        raise Signal

    with pytest.raises(Signal):
        cached_pictures(pictures, SIZE, MOST, "", tmp_path / "cache", pytest.fail, check)
    assert [path.name for path in tmp_path.iterdir()] == ["icons.zip"]


# ── what chance does ────────────────────────────────────────────────────────────────────────────


def one(picture_HW: Tensor, monkeypatch: pytest.MonkeyPatch, chance: Chance) -> Tensor:
    """A picture after exactly this chance."""
    monkeypatch.setattr("seq2see.data.augmentation.drawn", lambda *_: chance)
    rules = PictureData(shift=0.1, erase=0.1)
    return augmented(picture_HW[None, None].to(torch.uint8), rules, 1, 0, [0])[0, 0]


NONE = (0.0, 0.0, 0.0, 0.0)
NUMBERS = torch.arange(36).view(6, 6) * 7


def test_moved_by_whole_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = one(NUMBERS, monkeypatch, Chance(1 / 6, 2 / 6, 0.0, False, NONE))
    assert torch.equal(moved[2:, 1:], NUMBERS[:-2, :-1])
    assert torch.equal(moved[2:, 0], NUMBERS[:-2, 0])  # what comes in repeats the edge
    assert torch.equal(moved[0, 1:], NUMBERS[0, :-1])


def test_mirrored_and_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torch.equal(one(NUMBERS, monkeypatch, Chance(0, 0, 0.0, True, NONE)), NUMBERS.flip(1))
    assert torch.equal(one(NUMBERS, monkeypatch, Chance(0, 0, 180.0, False, NONE)), NUMBERS.flip(0, 1))
    quarter = one(NUMBERS, monkeypatch, Chance(0, 0, 90.0, False, NONE))
    assert torch.equal(quarter, NUMBERS.rot90(1)) or torch.equal(quarter, NUMBERS.rot90(-1))
    wide = torch.zeros(4, 8)
    wide[1:3, 3:5] = 200.0  # a square in the middle stays one, whatever the picture's proportions
    assert torch.equal(one(wide, monkeypatch, Chance(0, 0, 90.0, False, NONE)).float(), wide)


def test_wiped_out_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    wiped = one(NUMBERS, monkeypatch, Chance(0, 0, 0.0, False, (1 / 6, 2 / 6, 2 / 6, 3 / 6)))
    mean = round(NUMBERS.double().mean().item())
    assert wiped[1:3, 2:5].unique().tolist() == pytest.approx([mean], abs=1)
    kept = torch.ones(6, 6, dtype=torch.bool)
    kept[1:3, 2:5] = False
    assert torch.equal(wiped[kept].long(), NUMBERS[kept])


def test_chance_is_a_function_of_seed_epoch_and_row() -> None:
    rules = PictureData(shift=0.2, rotate=10.0, erase=0.5, flip=True)
    assert drawn(rules, 1, 2, 3) == drawn(rules, 1, 2, 3)
    others = [drawn(rules, 9, 2, 3), drawn(rules, 1, 9, 3), drawn(rules, 1, 2, 9)]
    assert all(other != drawn(rules, 1, 2, 3) for other in others)
    many = [drawn(rules, 1, 0, row) for row in range(400)]
    assert max(abs(each.right) for each in many) <= 0.2 and max(abs(each.angle) for each in many) <= 10
    assert 0.4 < sum(each.mirrored for each in many) / 400 < 0.6
    assert 0.4 < sum(each.erased != NONE for each in many) / 400 < 0.6
    assert min(each.right for each in many) < -0.15 and max(each.down for each in many) > 0.15
    assert all(top + high <= 1 and left + wide <= 1 for top, left, high, wide in (each.erased for each in many))


def test_without_rules_nothing_changes() -> None:
    pictures = torch.randint(0, 256, (2, 3, 5, 5), dtype=torch.uint8)
    assert augmented(pictures, PictureData(), 1, 0, [0, 1]) is pictures
    assert not changes(PictureData()) and changes(PictureData(flip=True))


# ── batches ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def batches(cached: CachedPictures) -> ImageBatches:
    rows = torch.tensor([row for row in range(40) if row % 4])
    return ImageBatches(Supply(cached, PictureData(shift=0.1), 3), rows, rows * 10, 7)


def test_every_picture_once_an_epoch_with_its_class(batches: ImageBatches, cached: CachedPictures) -> None:
    for epoch in (0, 1):
        found = list(batches.epoch(epoch))
        rows = torch.cat([batch.rows_B for batch in found])
        assert sorted(rows.tolist()) == [row for row in range(40) if row % 4]
        assert len(found) == batches.count(epoch) and max(batch.tokens for batch in found) <= 7
        for batch in found:
            assert torch.equal(batch.labels_B, batch.rows_B * 10)
            wanted = augmented(cached.pictures(batch.rows_B), PictureData(shift=0.1), 3, epoch, batch.rows_B.tolist())
            assert torch.equal(batch.pictures_BCHW, wanted)
    first, second = (torch.cat([batch.rows_B for batch in batches.epoch(epoch)]) for epoch in (0, 1))
    assert not torch.equal(first, second)


def test_an_epoch_goes_on_from_any_batch(batches: ImageBatches) -> None:
    whole = list(batches.epoch(2))
    for start in range(len(whole) + 1):
        rest = list(batches.epoch(2, start))
        assert len(rest) == len(whole) - start
        for one_batch, other in zip(rest, whole[start:], strict=True):
            assert torch.equal(one_batch.rows_B, other.rows_B)
            assert torch.equal(one_batch.pictures_BCHW, other.pictures_BCHW)


def test_shards_are_the_batch(batches: ImageBatches) -> None:
    batch = next(batch for batch in batches.epoch(0) if batch.tokens == 7)
    parts = [batch.shard(rank, 3) for rank in range(3)]
    assert [part.tokens for part in parts] == [3, 2, 2]
    assert sorted(torch.cat([part.rows_B for part in parts]).tolist()) == sorted(batch.rows_B.tolist())
    assert all(torch.equal(part.labels_B, part.rows_B * 10) for part in parts)
    empty = batch.shard(8, 9)
    assert (len(empty.rows_B), len(empty.pictures_BCHW), empty.tokens) == (1, 1, 0)
    assert isinstance(batch.to(torch.device("cpu")), ImageBatch) and batch.padding_share == 0


def test_captions_keep_to_their_pictures(cached: CachedPictures) -> None:
    """Caption n says the number of its picture; some pictures have two captions, some none."""
    rows = [5, 5, 9, 30, 2, 30]
    report = CachedPairs.from_lists([[]] * 6, [[row] * (1 + n % 3) for n, row in enumerate(rows)])
    pairs = _with_lines(report, rows)
    batches = CaptionBatches(Supply(cached, PictureData(), 1), pairs, 12)
    found = list(batches.epoch(0))
    assert sorted(row for batch in found for row in batch.rows_B.tolist()) == list(range(6))
    assert len(found) == batches.count(0)
    for batch in found:
        pictures = batch.texts.target_BT[:, 1]
        assert torch.equal(batch.pictures_BCHW, cached.pictures(pictures))
        assert batch.tokens == int(batch.texts.gold_valid_BT.sum())
        for part in (batch.shard(0, 2), batch.shard(0, 2).to(torch.device("cpu"))):
            assert torch.equal(part.pictures_BCHW, batch.pictures_BCHW[::2])
            assert torch.equal(part.rows_B, batch.rows_B[::2])
        empty = batch.shard(8, 9)
        assert isinstance(empty, CaptionBatch) and empty.tokens == 0 and len(empty.pictures_BCHW) == 1
        assert batch.padding_share == pytest.approx(1 - batch.tokens / batch.texts.gold_valid_BT.numel())


def _with_lines(pairs: CachedPairs, lines: list[int]) -> CachedPairs:
    class Lined(CachedPairs):
        def lines(self, rows: object) -> list[int]:
            return [lines[row] for row in rows]  # type: ignore[attr-defined]

    return Lined(pairs._read_block, len(pairs), pairs.report)


def test_equal_pictures_are_on_one_side_of_a_split() -> None:
    chance = torch.Generator().manual_seed(1)
    distinct = torch.randint(0, 1 << 62, (300,), generator=chance).tolist()
    keys = [4 * key for key in distinct] * 2
    kept, held = split_rows(keys, 0.2, 1_000)
    assert sorted(kept + held) == list(range(600))
    assert not {keys[row] for row in kept} & {keys[row] for row in held}
    assert 0.1 < len(held) / 600 < 0.3
    assert max(keys[row] for row in held) < min(keys[row] for row in kept)
    assert len(split_rows(keys, 0.5, 20)[1]) <= 30
    assert split_rows([7, 7, 7], 0.2, 10) == ([0, 1, 2], [])
    assert split_rows(keys, 0.0, 10)[1] == []
