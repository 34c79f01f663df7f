import random
import re
import sys
import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_samples import NASTY, SENTENCES, texts
from tokenizers import pre_tokenizers

from seq2see.config.settings import TextSettings
from seq2see.errors import InputError
from seq2see.text.normalise import normalise
from seq2see.text.tokeniser import EOS, PAD, SOS, UNK, Tokeniser
from seq2see.text.vocabulary import Vocabulary, fixed_pieces, is_white, numbered


@settings(deadline=None, max_examples=150)
@given(text=texts())
def test_decoding_gives_the_normalised_text_back(reversible: Tokeniser, text: str) -> None:
    encoding = reversible.encode(text)
    assert encoding.text == normalise(text, reversible.settings)
    assert reversible.decode(encoding.ids) == encoding.text
    assert not {PAD, SOS, EOS, UNK}.intersection(encoding.ids)


def test_every_character_comes_back(reversible: Tokeniser) -> None:
    codes = [*range(0xD800), *range(0xE000, 0x20000), *range(0x20000, sys.maxunicode + 1, 37)]
    every = list(map(chr, codes))
    blocks = ["".join(every[start : start + 2048]) for start in range(0, len(every), 2048)]
    for block, ids in zip(blocks, reversible.encode_ids(blocks), strict=True):
        assert reversible.decode(ids) == normalise(block, reversible.settings)


@pytest.mark.parametrize("text", NASTY)
def test_a_special_name_in_a_text_is_text(reversible: Tokeniser, word: Tokeniser, text: str) -> None:
    assert reversible.decode(reversible.encode(text).ids) == normalise(text, reversible.settings)
    assert not {PAD, SOS, EOS}.intersection(word.encode(text).ids)


def test_names_of_special_pieces_are_not_learnt_as_such() -> None:
    lines = ["<s> </s> <unk> <pad> < pad > < eos > < unk > <0x41>"] * 20
    for kind in ("char", "word", "byte", "bpe", "unigram"):
        tokeniser = Tokeniser.train(lines, TextSettings(kind=kind, vocabulary=300))
        assert min(tokeniser.encode(lines[0]).ids) > UNK
        assert tokeniser.decode(tokeniser.encode(lines[0]).ids) == lines[0]


@settings(deadline=None, max_examples=100)
@given(text=texts())
def test_pieces_and_spans_tile_the_text(reversible: Tokeniser, text: str) -> None:
    encoding = reversible.encode(text)
    lengths = {len(encoding.ids), len(encoding.pieces), len(encoding.spans)}
    assert len(lengths) == 1
    reached = 0
    for (start, end), piece in zip(encoding.spans, encoding.pieces, strict=True):
        assert reached - 1 <= start <= reached or (start, end) == (0, 1)
        assert end >= reached
        if not re.search("‹[0-9A-F]{2}›", piece) and (start, end) != (0, 1):
            assert encoding.text[start:end] == piece
        reached = end
    assert reached == len(encoding.text)


def test_spans_by_hand() -> None:
    byte = Tokeniser.train([], TextSettings(kind="byte"))
    encoding = byte.encode("e\u0301€")
    assert encoding.text == "é€"
    assert encoding.ids == tuple(4 + number for number in "é€".encode())
    assert encoding.spans == ((0, 1), (0, 1), (1, 2), (1, 2), (1, 2))
    assert encoding.pieces == ("‹C3›", "‹A9›", "‹E2›", "‹82›", "‹AC›")

    merges = (("t", "h"), ("th", "e"), ("Ġ", "the"))
    pieces = numbered(fixed_pieces("bpe"), (left + right for left, right in merges))
    bpe = Tokeniser(TextSettings(kind="bpe"), Vocabulary(pieces, merges))
    encoding = bpe.encode("the then\tthe")
    assert encoding.ids[:2] == (262, 262) and encoding.ids[-1] == 261
    assert encoding.pieces == ("the", " the", "n", "\t", "the")
    assert encoding.spans == ((0, 3), (3, 7), (7, 8), (8, 9), (9, 12))

    char = Tokeniser.train(["ab"], TextSettings(kind="char"))
    encoding = char.encode("abé")
    assert (encoding.pieces, encoding.spans) == (("a", "b", "‹C3›", "‹A9›"), ((0, 1), (1, 2), (2, 3), (2, 3)))


def test_the_blank_before_the_text_belongs_to_its_first_character(bpe: Tokeniser) -> None:
    encoding = bpe.encode("\tx")
    assert encoding.pieces == (" ", "\t", "x")
    assert encoding.spans == ((0, 1), (0, 1), (1, 2))
    assert bpe.encode("cat").ids == bpe.encode("the cat").ids[-1:], "one piece for a word wherever it stands"


def test_a_text_of_nothing_but_the_blank_before_it(bpe: Tokeniser) -> None:
    blank = 4 + ord(" ")
    placed = bpe.decode_with_spans([SOS, blank, EOS])
    assert placed.text == bpe.decode([blank]) == ""
    assert placed.spans == ((0, 0), (0, 0), (0, 0)) and placed.pieces == ("<sos>", " ", "<eos>")
    assert bpe.decode([blank, blank]) == " "


def any_ids(size: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, size - 1) | st.sampled_from([PAD, SOS, EOS, UNK, 4 + 0xE2, 4 + 0x82]), max_size=20)


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_any_ids_decode_with_their_spans(reversible: Tokeniser, data: st.DataObject) -> None:
    ids = data.draw(any_ids(reversible.size))
    placed = reversible.decode_with_spans(ids)
    assert placed.ids == tuple(ids)
    assert placed.text == reversible.decode(ids)
    assert placed.pieces == reversible.pieces(ids)
    placed.text.encode()  # no lone surrogate
    for number, piece, (start, end) in zip(ids, placed.pieces, placed.spans, strict=True):
        assert 0 <= start <= end <= len(placed.text)
        if number <= UNK:
            assert start == end and piece == ("<pad>", "<sos>", "<eos>", "<unk>")[number]
        elif placed.text:
            assert start < end
        if "‹" not in piece and number > UNK and start < end and (start, end) != (0, 1):
            assert placed.text[start:end] == piece
    covered = {at for start, end in placed.spans for at in range(start, end)}
    assert covered == set(range(len(placed.text)))


@settings(deadline=None, max_examples=100)
@given(text=texts())
def test_spans_are_the_same_in_both_directions(reversible: Tokeniser, text: str) -> None:
    encoding = reversible.encode(text)
    assert reversible.decode_with_spans(encoding.ids) == encoding
    wrapped = reversible.decode_with_spans([SOS, *encoding.ids, EOS])
    end = len(encoding.text)
    assert wrapped.spans == ((0, 0), *encoding.spans, (end, end))
    assert wrapped.pieces == ("<sos>", *encoding.pieces, "<eos>")


def test_wrong_bytes_become_replacement_characters(reversible: Tokeniser) -> None:
    euro = [4 + number for number in "€".encode()] if reversible.settings.kind != "char" else []
    if euro:
        assert reversible.decode(euro) == "€"
        assert reversible.decode(euro[:2]) == "\ufffd\ufffd"
        placed = reversible.decode_with_spans([*euro[:2], EOS])
        assert placed.pieces == ("‹E2›", "‹82›", "<eos>")
        assert placed.spans == ((0, 1), (1, 2), (2, 2))


@pytest.mark.parametrize("wrong", [-1, 420, 10**9])
def test_an_unknown_id_is_refused(bpe: Tokeniser, word: Tokeniser, wrong: int) -> None:
    for tokeniser in (bpe, word):
        for decode in (tokeniser.decode, tokeniser.decode_with_spans):
            with pytest.raises(InputError, match=f"id {wrong} .* 0 to {tokeniser.size - 1}"):
                decode([5, wrong, 6])


@settings(deadline=None, max_examples=60)
@given(lines=st.lists(texts(5), max_size=6))
def test_many_texts_at_once_as_one_by_one(reversible: Tokeniser, word: Tokeniser, lines: list[str]) -> None:
    for tokeniser in (reversible, word):
        assert tokeniser.encode_ids(lines) == [list(tokeniser.encode(line).ids) for line in lines]


def test_more_texts_than_one_parallel_call_takes(bpe: Tokeniser) -> None:
    lines = [str(number) for number in range(5_000)]
    assert [bpe.decode(ids) for ids in bpe.encode_ids(lines)] == lines


def test_blank_and_empty_texts(reversible: Tokeniser, word: Tokeniser) -> None:
    assert reversible.encode("").ids == () and reversible.encode_ids([]) == []
    assert reversible.decode([]) == reversible.decode([SOS, EOS, PAD]) == ""
    assert reversible.decode(reversible.encode("   ").ids) == "   "
    assert word.encode(" \t ").ids == () and word.encode(" \t ").text == " \t "


def test_a_lone_surrogate_is_refused_everywhere(bpe: Tokeniser) -> None:
    calls: Sequence[Callable[[], object]] = (
        lambda: bpe.encode("ab\ud800"),
        lambda: bpe.encode_ids(["fine", "ab\ud800"]),
        lambda: bpe.encode_with_dropout("ab\ud800", random.Random(1)),
        lambda: Tokeniser.train(["ab\ud800"], bpe.settings),
    )
    for call in calls:
        with pytest.raises(InputError, match=r"character 3 .*U\+D800"):
            call()


# Words


def test_words_are_split_at_white_space_only() -> None:
    text = "the cat\u3000ate ,  don't &apos;s xyzzy"
    word = Tokeniser.train(["cat ate ate the the the don't"], TextSettings(kind="word", vocabulary=8))
    encoding = word.encode(text)
    assert encoding.ids == (4, 6, 5, UNK, 7, UNK, UNK), "the most frequent first, ties in code point order"
    assert encoding.pieces == ("the", "cat", "ate", ",", "don't", "&apos;s", "xyzzy")
    assert [text[start:end] for start, end in encoding.spans] == list(encoding.pieces)
    assert word.decode(encoding.ids) == "the cat ate don't"


@settings(deadline=None, max_examples=100)
@given(text=texts())
def test_words_come_back_with_one_blank_between(text: str) -> None:
    tokeniser = Tokeniser.train([text, "x"], TextSettings(kind="word", vocabulary=500))
    given = normalise(text, tokeniser.settings)
    expected = "".join(" " if is_white(char) else char for char in given).split(" ")
    encoding = tokeniser.encode(text)
    assert UNK not in encoding.ids
    assert tokeniser.decode(encoding.ids) == " ".join(filter(None, expected))
    assert all(given[start:end] == piece for (start, end), piece in zip(encoding.spans, encoding.pieces, strict=True))


def test_white_space_is_that_of_the_package() -> None:
    split = pre_tokenizers.WhitespaceSplit()
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        if char.isspace() or code < 0x3100:
            assert is_white(char) == (not split.pre_tokenize_str(char)), hex(code)


def test_generated_words_with_spans(word: Tokeniser) -> None:
    the, cat = word.encode("the cat").ids
    placed = word.decode_with_spans([SOS, the, UNK, cat, EOS])
    assert placed.text == "the cat"
    assert placed.pieces == ("<sos>", "the", "<unk>", "cat", "<eos>")
    assert placed.spans == ((0, 0), (0, 3), (3, 3), (4, 7), (7, 7))
    assert placed.pieces == word.pieces([SOS, the, UNK, cat, EOS])


# Time


ADVERSARIAL: dict[str, Callable[[int], str]] = {
    "same letter": lambda n: "a" * n,
    "same han": lambda n: "漢" * n,
    "blanks": lambda n: " " * n,
    "scripts": lambda n: "aб가" * (n // 3),
    "brackets": lambda n: "(" * (n // 2) + ")" * (n // 2),
    "marks": lambda n: "a" + "\u0301" * n,
    "apostrophes": lambda n: "'’" * (n // 2),
    "digits": lambda n: "7" * n,
}


def seconds(call: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_time_is_linear_in_the_length(reversible: Tokeniser, name: str) -> None:
    """Eight times the text within 2.5 ** 3 times the time; quadratic work would take 64 times as long."""
    short, long = ADVERSARIAL[name](3_000), ADVERSARIAL[name](24_000)
    ids = reversible.encode_ids([long])[0]
    for call in (reversible.encode, lambda text: reversible.encode_ids([text])):
        assert seconds(lambda: call(long)) < 2.5**3 * seconds(lambda: call(short)) + 0.01  # noqa: B023
    assert reversible.decode(ids) == reversible.encode(long).text
    assert seconds(lambda: reversible.decode_with_spans(ids)) < 1.0


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_bpe_dropout_takes_linear_time(bpe: Tokeniser, name: str) -> None:
    short, long = ADVERSARIAL[name](1_000), ADVERSARIAL[name](8_000)

    def draw(text: str) -> object:
        return bpe.encode_with_dropout(text, random.Random(3))

    assert seconds(lambda: draw(long)) < 2.5**3 * seconds(lambda: draw(short)) + 0.01


def test_sentences_take_few_pieces(bpe: Tokeniser) -> None:
    """A trained vocabulary is used: far fewer pieces than bytes."""
    assert sum(map(len, bpe.encode_ids(SENTENCES))) < 0.6 * sum(len(line.encode()) for line in SENTENCES)
