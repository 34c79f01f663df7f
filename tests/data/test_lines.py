import tracemalloc
from itertools import repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2see.data.lines import decoded, lines
from seq2see.data.streams import input_file
from seq2see.errors import InputError

ODD = "ab가\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\r\0\ufeff😀"
CONTENT = st.text(alphabet=ODD + "\n\t", max_size=60)


def read(content: bytes, block: int = 1 << 20, most: int = 1_000_000) -> list[tuple[int, str | None]]:
    blocks = (content[i : i + block] for i in range(0, len(content), block))
    return list(decoded(blocks, "the file", most))


def obvious(content: bytes) -> list[str]:
    """The twin: cut at every newline, take one carriage return from the end of what a newline ended."""
    *ended, last = content.split(b"\n")
    found = [part.removesuffix(b"\r").decode() for part in ended] + ([last.decode()] if last else [])
    return [found[0].removeprefix("\ufeff"), *found[1:]] if found else []


@settings(deadline=None, max_examples=200)
@given(CONTENT, st.integers(1, 9))
def test_lines_are_cut_at_newlines_only_whatever_the_blocks(text: str, block: int) -> None:
    content = text.encode()
    found = read(content, block)
    assert [line for _, line in found] == obvious(content)
    assert [number for number, _ in found] == list(range(1, len(found) + 1))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(alphabet=ODD, max_size=12), max_size=12), st.integers(1, 9), st.integers(0, 15))
def test_a_line_over_the_limit_is_none_and_the_others_are_whole(texts: list[str], block: int, most: int) -> None:
    content = "".join(text + "\n" for text in texts).encode()
    expected = [part.removesuffix(b"\r") for part in content.split(b"\n")][: len(texts)]
    sizes = [len(part) for part in content.split(b"\n")][: len(texts)]
    for (_, line), part, size in zip(read(content, block, most), expected, sizes, strict=True):
        if size > most:
            assert line is None
        else:
            assert line is not None
            assert line.encode() in (part, part.removeprefix(b"\xef\xbb\xbf"))


def test_a_gigabyte_without_a_newline_costs_no_memory() -> None:
    megabyte = b"x" * (1 << 20)

    def content():  # type: ignore[no-untyped-def]
        yield b"first\n"
        yield from repeat(megabyte, 1_000)
        yield b"\nlast\n"

    tracemalloc.start()
    found = list(decoded(content(), "the file", 1_000_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [(1, "first"), (2, None), (3, "last")]
    assert peak < 8 << 20


def test_check_is_called_while_reading_and_what_it_raises_ends_it() -> None:
    def check() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(decoded(iter([b"a\n"]), "the file", 10, check))


def test_a_byte_that_is_not_utf8_is_named_with_line_and_place() -> None:
    with pytest.raises(InputError) as error:
        read("eins\nzwei ß\n".encode() + b"dr\xffi\n")
    # "eins\n" is 5 bytes, "zwei ß\n" 8: the bad byte is the third of its line, the 16th of all.
    assert str(error.value).startswith("the file, line 3, byte 3 of the line (byte 16 of the text): 0xFF")


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_place_of_a_bad_byte_does_not_depend_on_blocks(block: int) -> None:
    with pytest.raises(InputError, match=r"line 3, byte 2 of the line \(byte 9 of the text\): 0xE9"):
        read(b"abc\nde\nx\xe9y\n", block)


@pytest.mark.parametrize(
    ("encoding", "text", "guess"),
    [
        ("cp949", "안녕하세요\t오늘 날씨가 좋네요\n", "CP949"),
        ("cp949", "Hello there\t안녕\n", "CP949"),
        ("latin-1", "Grüße aus Köln\tdéjà vu\n", "ISO-8859-1"),
        ("latin-1", "naïve\tNaïve\n", "ISO-8859-1"),
    ],
)
def test_likely_encodings_are_named(encoding: str, text: str, guess: str) -> None:
    with pytest.raises(InputError, match=f"looks like {guess}: iconv -f {guess} -t UTF-8"):
        read(text.encode(encoding))


def test_no_encoding_is_named_without_reason() -> None:
    with pytest.raises(InputError) as error:
        read(b"\x80\x81\xfe \xff\xfe\xfd\n")
    assert "looks like" not in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_said_as_such(encoding: str) -> None:
    with pytest.raises(InputError, match="is UTF-16, not UTF-8"):
        read("one sentence\tanother sentence\n".encode(encoding))


@pytest.mark.parametrize(
    "content", [b"a\0\n", b"a\0b\tc\n", b"\0\0\0\n\0\0", b"\0a\0b\0c", b"N\0L\n" * 100, b"a\0\0b\0\0" * 10]
)
def test_nul_in_a_sentence_is_no_utf16(content: bytes) -> None:
    assert "".join(line or "" for _, line in read(content)) == content.decode().replace("\n", "")


def test_only_the_first_byte_order_mark_is_left_out(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "bom.txt"
    path.write_bytes("\ufeff\ufeffa\n\ufeffb".encode())
    assert list(lines(input_file(path), 100)) == [(1, "\ufeffa"), (2, "\ufeffb")]
