import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_samples import texts
from tokenizers import pre_tokenizers

from seq2see.text.alphabet import (
    BYTE_CHARACTERS,
    BYTE_NAMES,
    SPECIAL_NAMES,
    bytes_of,
    escaped,
    in_alphabet,
    legible,
    owners,
    spans_of,
    unescaped,
)

some_bytes = st.binary(max_size=20) | st.lists(
    st.sampled_from([b"a", "é".encode(), b"\xe2", b"\x82", b"\xac", b"\xed\xa0\x80", b"\xff", "\ufffd".encode()])
).map(b"".join)


def test_the_alphabet_is_that_of_the_package() -> None:
    assert set(BYTE_CHARACTERS) == set(pre_tokenizers.ByteLevel.alphabet())
    assert len(set(BYTE_CHARACTERS)) == 256
    written = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str("aé 😀\x00")
    assert "".join(piece for piece, _ in written) == in_alphabet("aé 😀\x00")


def test_no_special_name_can_be_written_in_bytes_or_is_a_character_or_a_word() -> None:
    for name in SPECIAL_NAMES:
        assert not set(name) <= set(BYTE_CHARACTERS)
        assert len(name) > 1 and name not in BYTE_NAMES
        assert len(name.split()) > 1


@settings(deadline=None)
@given(texts())
def test_the_alphabet_writes_bytes(text: str) -> None:
    assert bytes_of(in_alphabet(text)) == text.encode()


@settings(deadline=None)
@given(some_bytes)
def test_each_wrong_byte_is_one_replacement_and_one_label(data: bytes) -> None:
    """The twin reads the longest valid characters one by one."""
    text, shown, at = "", "", 0
    while at < len(data):
        for size in (1, 2, 3, 4):
            try:
                char = data[at : at + size].decode()
            except UnicodeDecodeError:
                continue
            break
        else:
            char, size = "", 1
        text += char or "\ufffd"
        shown += char or f"‹{data[at]:02X}›"
        at += size
    assert unescaped(escaped(data)) == text
    assert legible(data) == shown


@settings(deadline=None)
@given(some_bytes)
def test_owners_name_the_character_of_each_byte(data: bytes) -> None:
    text = escaped(data)
    expected = [at for at, char in enumerate(text) for _ in char.encode("utf-8", "surrogateescape")]
    assert owners(text) == expected


@pytest.mark.parametrize(
    "lengths, expected",
    [
        ([1, 2, 3, 1], [(0, 1), (1, 2), (2, 3), (3, 4)]),  # a é € b
        ([2, 1, 1, 2, 1], [(0, 2), (1, 2), (2, 3), (2, 3), (3, 4)]),  # borders inside é and €
        ([0, 7, 0], [(0, 0), (0, 4), (4, 4)]),
        ([1, 0, 6], [(0, 1), (1, 1), (1, 4)]),
    ],
)
def test_spans_cover_each_character_a_piece_has_a_part_of(lengths: list[int], expected: list[tuple[int, int]]) -> None:
    assert list(spans_of(lengths, owners("aé€b"), 4)) == expected
