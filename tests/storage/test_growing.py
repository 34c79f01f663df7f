"""A file that grows: whatever was appended survives, whatever was cut off does not count."""

from pathlib import Path

import pytest

from seq2see.errors import InputError
from seq2see.storage.growing import GrowingFile


def grown(path: Path, *parts: str, what: str = "answers") -> GrowingFile:
    with GrowingFile(path, what) as file:
        for part in parts:
            file.append(part)
    return file


def test_goes_on_behind_its_last_whole_part(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    grown(path, "one\n", "zwei ä\n")
    assert not path.exists()
    with GrowingFile(path, "answers") as file:
        assert file.parts == 2 and not file.complete
        file.append("three\n")
        file.finish()
    assert path.read_text(encoding="utf-8") == "one\nzwei ä\nthree\n"
    assert [each.name for each in tmp_path.iterdir()] == ["out.txt"]


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_kill_at_any_byte_loses_only_the_part_being_written(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "out.txt"
    parts = ["first\n", "second\n", "third\n"]
    file = grown(path, *parts)
    index = file.index.read_bytes()
    kept = index[: max(0, len(index) - cut)]
    file.index.write_bytes(kept)
    with file.text.open("a", encoding="utf-8") as text:
        text.write("half a li")  # the text is ahead of its index when the process is killed between the two
    whole = max(0, kept.count(b"\n") - 1)
    with GrowingFile(path, "answers") as again:
        assert again.parts == whole
        for part in parts[whole:]:
            again.append(part)
        again.finish()
    assert path.read_text(encoding="utf-8") == "".join(parts)


def test_refuses_the_beginning_of_something_else(tmp_path: Path) -> None:
    grown(tmp_path / "out.txt", "one\n")
    with pytest.raises(InputError, match=r"out\.txt\.part holds the beginning of other answers.*remove it"):
        grown(tmp_path / "out.txt", what="other answers")


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with GrowingFile(tmp_path / "out.txt", "answers") as file:
        file.append("one\n")
        with pytest.raises(InputError, match=r"out\.txt\.part is in use by process \d+"):
            grown(tmp_path / "out.txt", "two\n")
    assert grown(tmp_path / "out.txt").parts == 1


def test_refuses_a_text_that_lost_its_end(tmp_path: Path) -> None:
    file = grown(tmp_path / "out.txt", "one\n", "two\n")
    file.text.write_bytes(b"one\n")
    with pytest.raises(InputError, match="shorter than"):
        grown(tmp_path / "out.txt")


def test_a_complete_one_can_be_read_part_by_part(tmp_path: Path) -> None:
    with GrowingFile(tmp_path / "out.txt", "answers") as file:
        for part in ("a\n", "", "b\nc\n"):
            file.append(part)
        file.close()
    assert file.complete and list(file.read()) == [b"a\n", b"", b"b\nc\n"]
    assert grown(tmp_path / "out.txt").parts == 3  # asked again, it is all there
