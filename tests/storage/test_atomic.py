import errno
import os
import stat
from pathlib import Path

import pytest
from death import killed_at

from seq2see.errors import InputError, Seq2seeError
from seq2see.storage import atomic
from seq2see.storage.atomic import AtomicFolder, clean_leftovers, remove_folder, write_atomic


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_write_replaces_the_whole_content(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, "a long first content")
    write_atomic(path, "kürzer")
    assert path.read_bytes() == "kürzer".encode()
    assert names(tmp_path) == {"a.txt"}


def test_a_file_gets_the_permissions_other_files_get(tmp_path: Path) -> None:
    write_atomic(tmp_path / "ours", b"x")
    (tmp_path / "theirs").write_bytes(b"x")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "theirs").stat().st_mode)


def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write_atomic(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_plain_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomic(pipe, "through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)


def test_killed_at_any_call_a_file_is_old_or_new(tmp_path: Path) -> None:
    for at in range(1, 100):
        folder = tmp_path / str(at)
        folder.mkdir()
        path = folder / "a"
        path.write_text("the old content")
        calls = killed_at(at, lambda path=path: write_atomic(path, "the new content, longer"))
        content = path.read_text()
        assert content in {"the old content", "the new content, longer"}
        clean_leftovers(folder)
        assert names(folder) == {"a"}
        assert path.read_text() == content
        if calls[-1] == "lived":
            assert content == "the new content, longer"
            assert calls[:-1] == ["write", "fsync", "replace", "fsync"]
            return
    raise AssertionError("the write never came to its end")


@pytest.mark.parametrize("replacing", [False, True])
def test_killed_at_any_call_a_folder_is_whole_or_absent(tmp_path: Path, replacing: bool) -> None:
    def fill(final: Path) -> None:
        with AtomicFolder(final) as temporary:
            (temporary / "sub").mkdir()
            write_atomic(temporary / "one", "1new")
            write_atomic(temporary / "sub" / "two", "2new")

    outcomes = set()
    for at in range(1, 200):
        parent = tmp_path / str(at)
        parent.mkdir()
        final = parent / "final-name"
        if replacing:
            (final / "sub").mkdir(parents=True)
            (final / "one").write_text("1old")
            (final / "sub" / "two").write_text("2old")
        calls = killed_at(at, lambda final=final: fill(final))
        clean_leftovers(parent)
        if final.exists():
            ages = {(final / "one").read_text()[1:], (final / "sub" / "two").read_text()[1:]}
            assert len(ages) == 1
            outcomes |= ages
        else:
            assert not replacing
        assert names(parent) <= {"final-name"}
        if calls[-1] == "lived":
            assert final.exists()
            assert outcomes == ({"old", "new"} if replacing else {"new"})
            return
    raise AssertionError("the folder was never finished")


def test_an_error_inside_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), AtomicFolder(tmp_path / "final") as temporary:
        write_atomic(temporary / "a", "1")
        _ = 1 / 0
    assert names(tmp_path) == set()


def test_an_older_folder_survives_an_error_while_it_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final = tmp_path / "final"
    final.mkdir()
    (final / "a").write_text("old")
    rename = os.rename

    def fails_into_place(source: Path, target: Path) -> None:
        if Path(source).name.startswith(".tmp-"):
            raise OSError(errno.EIO, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fails_into_place)
    with pytest.raises(Seq2seeError, match="Input/output error"), AtomicFolder(final) as temporary:
        write_atomic(temporary / "a", "new")
    assert (final / "a").read_text() == "old"
    assert names(tmp_path) == {"final"}


def test_removing_a_folder_is_all_or_nothing(tmp_path: Path) -> None:
    for at in range(1, 50):
        parent = tmp_path / str(at)
        folder = parent / "step"
        folder.mkdir(parents=True)
        for name in ("one", "two"):
            (folder / name).write_text(name)
        calls = killed_at(at, lambda folder=folder: remove_folder(folder))
        if folder.exists():
            assert names(folder) == {"one", "two"}
        clean_leftovers(parent)
        assert names(parent) <= {"step"}
        if calls[-1] == "lived":
            assert not folder.exists()
            return
    raise AssertionError("the folder was never removed")


def test_cleaning_says_what_it_found_and_touches_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "keep").write_text("x")
    (tmp_path / ".tmp-a-00").write_text("x")
    (tmp_path / ".tmp-b-00").mkdir()
    (tmp_path / ".tmp-b-00" / "inside").write_text("x")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (tmp_path / ".tmp-link-00").symlink_to(outside)
    removed = {path.name for path in clean_leftovers(tmp_path)}
    assert removed == {".tmp-a-00", ".tmp-b-00", ".tmp-link-00"}
    assert names(tmp_path) == {"keep", "outside"}
    assert (outside / "precious").exists()
    assert clean_leftovers(tmp_path / "absent") == []


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs /dev/full")
def test_a_full_disk_is_said_and_the_old_content_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    open_file = os.open

    def on_a_full_disk(name: str | Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            os.close(open_file(name, flags, mode))
            return open_file("/dev/full", os.O_WRONLY)
        return open_file(name, flags, mode)

    monkeypatch.setattr(atomic.os, "open", on_a_full_disk)
    with pytest.raises(Seq2seeError, match=r"disk full: need 1\.5 kB, have .*B at .*/a") as caught:
        write_atomic(path, b"n" * 1_500)
    assert caught.value.exit_code == 1
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert names(tmp_path) == {"a"}


def test_a_disk_that_is_full_only_when_flushed_is_said_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def fill() -> None:
        with AtomicFolder(tmp_path / "final") as temporary:
            (temporary / "a").write_bytes(b"x" * 2_000_000)
            monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(Seq2seeError, match=r"disk full: need 2\.0 MB"):
        fill()
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.EROFS, InputError, "give a folder that can be written"),
        (errno.EACCES, InputError, "give a folder that can be written"),
        (errno.EIO, Seq2seeError, "cannot write"),
    ],
)
def test_errors_of_the_system_become_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Seq2seeError], words: str
) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic.os, "open", refuse)
    with pytest.raises(kind, match=words) as caught:
        write_atomic(tmp_path / "a", "x")
    assert str(tmp_path / "a") in str(caught.value)
    assert os.strerror(number) in str(caught.value)


def test_a_folder_that_vanished_is_named(tmp_path: Path) -> None:
    with pytest.raises(Seq2seeError, match="gone is not there"):
        write_atomic(tmp_path / "gone" / "a", "x")
    with pytest.raises(Seq2seeError, match="gone is not there"), AtomicFolder(tmp_path / "gone" / "final"):
        pass


def test_a_folder_given_for_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        write_atomic(tmp_path, "x")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EINVAL])
def test_systems_that_cannot_flush_a_folder_still_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    open_file = os.open

    def no_folders(name: str | Path, flags: int, mode: int = 0o777) -> int:
        if Path(name).is_dir():
            raise OSError(number, os.strerror(number))
        return open_file(name, flags, mode)

    monkeypatch.setattr(atomic.os, "open", no_folders)
    with AtomicFolder(tmp_path / "final") as temporary:
        write_atomic(temporary / "a", "x")
    monkeypatch.undo()
    assert (tmp_path / "final" / "a").read_text() == "x"


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_500, "1.5 kB"), (3_200_000, "3.2 MB"), (5 * 10**15, "5000.0 TB")],
)
def test_sizes_in_words(count: int, words: str) -> None:
    assert atomic._size(count) == words
