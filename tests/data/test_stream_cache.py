from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2see.config.settings import TextSettings, TokeniserKind
from seq2see.data import stream_cache
from seq2see.data.stream_cache import (
    CachedStream,
    build_stream,
    encoded,
    open_or_build_stream,
    open_stream,
    stream_key,
)
from seq2see.errors import InputError
from seq2see.text.tokeniser import Tokeniser

SAMPLE = "The cat sat on the mat, 12 cats' mats;\n\nthe 한국 cat's  hat.\n"
KINDS: tuple[TokeniserKind, ...] = ("char", "byte", "bpe", "unigram")
TOKENISERS = {kind: Tokeniser.train([SAMPLE] * 3, TextSettings(kind=kind, vocabulary=330)) for kind in KINDS}


@given(
    st.sampled_from(KINDS), st.lists(st.text(st.sampled_from("thcae ' \n12,한é"), min_size=1, max_size=9), max_size=9)
)
def test_pieces_of_parts_are_the_pieces_of_one_text(kind: TokeniserKind, cut: list[str]) -> None:
    tokeniser = TOKENISERS[kind]
    ids = [list(part) for part in encoded(tokeniser, cut)]
    assert len(ids) == len(cut)
    assert tokeniser.decode(one for part in ids for one in part) == "".join(cut)
    # What follows something is cut as inside a text: it begins with no blank of its own.
    later = [list(part) for part in encoded(tokeniser, ["12", *cut])][1:]
    assert [tokeniser.decode([*tokeniser.encode("x").ids, *part]) for part in later] == ["x" + part for part in cut]


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_cut_between_words_has_the_pieces_of_the_whole(kind: TokeniserKind) -> None:
    whole = SAMPLE * 3
    cut = [" the" + each if number else each for number, each in enumerate(whole.split(" the"))]
    found = [one for part in encoded(TOKENISERS[kind], cut) for one in part]
    assert found == list(TOKENISERS[kind].encode(whole).ids)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_cache, "BLOCK_PIECES", 7)


@pytest.mark.parametrize("vocabulary", [300, 70_000])
@pytest.mark.parametrize("length", [1, 7, 20])
def test_a_cache_holds_the_pieces(tmp_path: Path, small_blocks: None, vocabulary: int, length: int) -> None:
    ids = [number * 37 % vocabulary for number in range(length)]
    build_stream(iter([ids[:3], [], ids[3:]]), vocabulary, tmp_path / "cache", "key")
    for stream in (open_stream(tmp_path / "cache", "key"), CachedStream.from_ids(ids)):
        assert len(stream) == length
        for start in range(length + 1):
            for stop in range(start, length + 1):
                assert stream.read(start, stop).tolist() == ids[start:stop]
        told = [(block.tolist(), before) for block, before in stream.blocks(before=2)]
        assert [one for block, before in told for one in block[before:]] == ids
        assert all(block[:before] == ids[max(0, 7 * n - 2) : 7 * n] for n, (block, before) in enumerate(told))
        assert stream.counts(vocabulary).nonzero().flatten().tolist() == sorted(set(ids))


def test_a_cache_is_used_again_or_made_anew(tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / "cache"

    def opened(ids: list[int], key: str) -> list[int]:
        return open_or_build_stream(iter([ids]), 300, path, key, said.append).read(0, len(ids)).tolist()

    assert opened([1, 2, 3], "a") == [1, 2, 3]
    assert opened([9, 9, 9], "a") == [1, 2, 3]  # it fits: nothing is read again
    assert said == []
    assert opened([4, 5], "b") == [4, 5]
    assert "another text" in said.pop()
    file = path / stream_cache.ARROW_FILE
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)
    assert opened([6, 7], "b") == [6, 7]
    assert str(file.name) in said.pop()


def test_nothing_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="blank"):
        build_stream(iter([[], []]), 300, tmp_path / "cache", "key")
    assert not (tmp_path / "cache").exists()


def test_a_key_depends_on_text_part_and_tokeniser() -> None:
    char, byte = TOKENISERS["char"], TOKENISERS["byte"]
    keys = [stream_key("a", char, 0, 5), stream_key("b", char, 0, 5), stream_key("a", char, 0, 6)]
    keys += [stream_key("a", byte, 0, 5)]
    assert len(set(keys)) == 4
    assert stream_key("a", char, 0, 5) == keys[0]
