import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2see.config.settings import DataSettings
from seq2see.data import cache
from seq2see.data.cache import CachedPairs, build_cache, cache_key, content_hash, open_cache, open_or_build
from seq2see.data.cache_writer import BLOCK_ROWS, schema
from seq2see.data.reading import open_pairs
from seq2see.data.tally import Pair
from seq2see.errors import InputError, Seq2seeError

RULES = DataSettings()


@dataclass(frozen=True)
class Letters:
    """A tokeniser whose pieces are letters: the piece of a letter is its code point, plus ``shift``."""

    size: int = 50_000
    shift: int = 0

    def encode_ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [[ord(letter) + self.shift for letter in text] for text in texts]

    def to_json(self) -> dict[str, int]:
        return {"size": self.size, "shift": self.shift}


def letters(size: int = 50_000, shift: int = 0) -> SimpleNamespace:
    return SimpleNamespace(source=Letters(size), target=Letters(size, shift))


def corpus(count: int) -> Iterator[Pair]:
    for row in range(count):
        yield Pair(f"s{row}", "t" * (row % 7), row * 2 + 1)


@pytest.mark.parametrize("count", [1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS + 5])
@pytest.mark.parametrize("size", [50_000, 70_000])
def test_a_cache_gives_back_every_piece_length_and_line(tmp_path: Path, count: int, size: int) -> None:
    report = build_cache(corpus(count), letters(size, 3), RULES, tmp_path / "cache", "key")
    cached = open_cache(tmp_path / "cache", "key")
    assert cached.report == report
    assert len(cached) == report.read == report.kept == count
    expected = [([ord(c) for c in f"s{row}"], [ord("t") + 3] * (row % 7)) for row in range(count)]
    assert cached.ids(range(count)) == expected
    assert cached.lines(range(count)) == [row * 2 + 1 for row in range(count)]
    assert cached.source_lengths(0, count).tolist() == [len(source) for source, _ in expected]
    assert cached.target_lengths(0, count).tolist() == [len(target) for _, target in expected]
    assert report.source_pieces == sum(len(source) for source, _ in expected)
    assert report.longest_target == max(len(target) for _, target in expected)
    first = cached.block(cached.blocks - 1)[1]
    assert first.ids_I.tolist() == [id for _, target in expected[(cached.blocks - 1) * BLOCK_ROWS :] for id in target]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 9_000), st.integers(0, 9_000))
def test_lengths_of_any_range_are_those_of_its_rows(one: int, other: int) -> None:
    start, stop = sorted((one, other))
    assert WIDE.source_lengths(start, stop).tolist() == [row % 5 for row in range(start, stop)]
    assert WIDE.target_lengths(start, stop).tolist() == [row % 3 for row in range(start, stop)]


WIDE = CachedPairs.from_lists([[9] * (row % 5) for row in range(9_000)], [[8] * (row % 3) for row in range(9_000)])


def test_rows_from_lists_are_like_those_of_a_file() -> None:
    cached = CachedPairs.from_lists([[1, 70_000], []], [[5], [6, 7, 8]])
    assert cached.ids([1, 0]) == [([], [6, 7, 8]), ([1, 70_000], [5])]
    assert cached.lines([0, 1]) == [1, 2]
    assert (cached.report.kept, cached.report.longest_target) == (2, 3)
    with pytest.raises(InputError, match="1 sources and 2 targets"):
        CachedPairs.from_lists([[1]], [[1], [2]])


def test_small_vocabularies_take_two_bytes_an_id() -> None:
    assert str(schema(65_536, 65_537).field("source").type) == "list<item: uint16>"
    assert str(schema(65_536, 65_537).field("target").type) == "list<item: int32>"


def test_the_highest_ids_survive(tmp_path: Path) -> None:
    pairs = [Pair("\uffff", "\U0001ffff", 1)]
    tokenisers = SimpleNamespace(source=Letters(65_536), target=Letters(200_000))
    build_cache(pairs, tokenisers, RULES, tmp_path / "c", "k")
    cached = open_cache(tmp_path / "c", "k")
    assert cached.ids([0]) == [([65_535], [0x1FFFF])]
    assert cached.block(0)[0].ids_I.long().tolist() == [65_535]


def test_over_long_and_unequal_pairs_are_dropped_and_listed(tmp_path: Path) -> None:
    pairs = [
        Pair("abcd", "abcd", 1),
        Pair("abcde", "abc", 2),  # too long
        Pair("abcd", "a", 3),  # 4 to 1 is more than 3
        Pair("abc", "a", 4),  # 3 to 1 is not
        Pair("a", "", 5),
    ]
    report = build_cache(pairs, letters(), DataSettings(max_pieces=4, max_ratio=3.0), tmp_path / "c", "k")
    assert open_cache(tmp_path / "c", "k").lines([0, 1]) == [1, 4]
    assert (report.read, report.kept, report.too_long.lines, report.unequal.lines) == (5, 2, [2], [3, 5])
    assert report.sentences() == [
        "dropped: longer than data.max_pieces: 1 (line 2)",
        "dropped: sides differ by over data.max_ratio: 2 (lines 3, 5)",
    ]


def test_no_pair_left_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No pair is left of 1: dropped: longer than .* Raise data\.max_pieces"):
        build_cache([Pair("abc", "a", 1)], letters(), DataSettings(max_pieces=2), tmp_path / "c", "k")
    assert list(tmp_path.iterdir()) == []


def test_a_stop_leaves_nothing_and_the_old_cache_stays(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def check() -> None:
        raise Enough

    build_cache(corpus(3), letters(), RULES, tmp_path / "c", "old")
    with pytest.raises(Enough):
        build_cache(corpus(9), letters(), RULES, tmp_path / "c", "new", check)
    assert len(open_cache(tmp_path / "c", "old")) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = pa.OSFile

    class Full:
        def __init__(self, path: str, mode: str) -> None:
            self.file = real(path, mode)

        def __enter__(self) -> pa.PythonFile:
            return pa.PythonFile(self, mode="w")

        def __exit__(self, *_: object) -> None:
            self.file.close()

        closed = False

        def write(self, data: bytes) -> int:
            if self.file.tell() > 10_000:
                raise OSError(28, "No space left on device")
            return self.file.write(data)

        def flush(self) -> None:
            pass

        def close(self) -> None:
            pass

    monkeypatch.setattr(pa, "OSFile", Full)
    with pytest.raises(Seq2seeError, match=r"disk full: need [\d.]+ kB, have .* at .*c; make room") as error:
        build_cache(corpus(20_000), letters(), RULES, tmp_path / "c", "k")
    assert error.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_enormous_texts_are_encoded_a_few_at_a_time(tmp_path: Path) -> None:
    sizes = []

    class Watching(Letters):
        def encode_ids(self, texts: Sequence[str]) -> list[list[int]]:
            sizes.append(sum(map(len, texts)))
            return [[1] for _ in texts]

    tokenisers = SimpleNamespace(source=Watching(), target=Letters())
    pairs = (Pair("x" * 1_000_000, "y", line) for line in range(1, 31))
    assert build_cache(pairs, tokenisers, RULES, tmp_path / "c", "k").kept == 30
    assert max(sizes) < 6_000_000


def damages() -> dict[str, object]:
    def truncate(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-20])

    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    return {
        "truncated": truncate,
        "flipped": flip,
        "empty": lambda path: path.write_bytes(b""),
        "gone": lambda path: path.unlink(),
        "no manifest": lambda path: (path.parent / "manifest.json").unlink(),
        "bad manifest": lambda path: (path.parent / "manifest.json").write_text("{"),
        "a file in its place": lambda path: (shutil.rmtree(path.parent), path.parent.write_text("x")),
    }


@pytest.mark.parametrize("damage", damages())
def test_a_damaged_cache_is_refused_and_built_anew_loudly(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "c"
    build_cache(corpus(5), letters(), RULES, path, "key")
    damages()[damage](path / "pairs.arrow")  # type: ignore[operator]
    with pytest.raises(InputError, match=r"c\b"):
        open_cache(path, "key")
    said: list[str] = []
    cached = open_or_build(corpus(5), letters(), RULES, path, "key", said.append)
    assert len(cached) == 5
    assert len(said) == 1
    assert said[0].startswith("The cache is built anew: ")


def test_a_cache_is_used_again_only_under_its_key(tmp_path: Path) -> None:
    said: list[str] = []

    def forbidden() -> Iterator[Pair]:
        raise AssertionError("read again")
        yield

    def cached(pairs: Iterator[Pair], key: str) -> CachedPairs:
        return open_or_build(pairs, letters(), RULES, tmp_path / "deep" / "c", key, said.append)

    assert len(cached(corpus(4), "one")) == 4
    assert said == []
    assert len(cached(forbidden(), "one")) == 4
    assert said == []
    assert len(cached(corpus(6), "two")) == 6
    assert "other data, settings or tokenisers" in said[0]


def test_a_reader_keeps_its_rows_while_the_cache_is_replaced(tmp_path: Path) -> None:
    build_cache(corpus(4), letters(), RULES, tmp_path / "c", "one")
    old = open_cache(tmp_path / "c", "one")
    build_cache(corpus(9), letters(), RULES, tmp_path / "c", "two")
    assert len(old.ids(range(4))) == len(old) == 4


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="this system does not tell what is mapped")
@pytest.mark.parametrize("kept", [2, 1_000])
def test_mapped_pages_are_let_go_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setattr(cache, "_READS_KEPT", kept)
    pairs = (Pair("x" * 200, "y", line) for line in range(1, 4 * BLOCK_ROWS + 1))
    build_cache(pairs, letters(), RULES, tmp_path / "c", "k")
    cached = open_cache(tmp_path / "c", "k")
    for number in range(cached.blocks):
        assert int(cached.block(number)[0].ids_I.long().sum()) == ord("x") * 200 * BLOCK_ROWS

    def resident() -> int:
        """Kilobytes of the file that count as memory of this process."""
        parts = Path("/proc/self/smaps").read_text().split(str(tmp_path / "c" / "pairs.arrow"))
        return int(parts[1].split("Rss:")[1].split()[0])

    whole = (tmp_path / "c" / "pairs.arrow").stat().st_size // 1024
    if kept == 2:
        assert resident() < 0.6 * whole
    else:
        assert resident() > 0.9 * whole  # without it, all that was touched counts


def test_the_key_depends_on_everything_that_matters(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("a\tb\tc\nd\te\tf\n")
    content = content_hash(open_pairs(path))
    keys = {
        cache_key(content, RULES, letters(), "train"),
        cache_key(content, RULES, letters(), "dev"),
        cache_key(content, RULES, letters(shift=1), "train"),
        cache_key(content, RULES.model_copy(update={"max_pieces": 7}), letters(), "train"),
        cache_key(content_hash(open_pairs(path, source_column="1", target_column="3")), RULES, letters(), "train"),
    }
    path.write_text("a\tb\tc\nd\te\tg\n")
    keys.add(cache_key(content_hash(open_pairs(path)), RULES, letters(), "train"))
    assert len(keys) == 6
    assert cache_key(content, RULES.model_copy(update={"pairs": "elsewhere.tsv"}), letters(), "train") in keys
    moved = tmp_path / "moved.tsv"
    moved.write_text("a\tb\tc\nd\te\tf\n")
    assert content_hash(open_pairs(moved)) == content
    missing = open_pairs(moved)
    moved.unlink()
    with pytest.raises(InputError, match="There is no file"):
        content_hash(missing)


def test_the_two_files_of_a_parallel_corpus_cannot_be_mistaken_for_each_other(tmp_path: Path) -> None:
    for name, text in (("s", "a\n"), ("t", "b\n"), ("ab", "ab\n"), ("none", "\n")):
        (tmp_path / name).write_text(text)

    def hashed(source: str, target: str) -> str:
        return content_hash(open_pairs(source=tmp_path / source, target=tmp_path / target))

    assert len({hashed("s", "t"), hashed("t", "s"), hashed("ab", "none"), hashed("none", "ab")}) == 4


def test_what_a_source_is_called_does_not_change_the_hash(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tb\n")
    source = open_pairs(tmp_path / "a.tsv")
    assert content_hash(replace(source, notes=("other",))) == content_hash(source)
