"""Archives from strangers: what is in them is read, nothing leaves its folder, and nothing is without end."""

import gzip
import io
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from seq2see.data import archives
from seq2see.data.archives import Archive, archive_kind, read_member, safe_name
from seq2see.data.streams import InputFile
from seq2see.errors import InputError

FILES = {"a/1.png": b"one", "a/2.png": b"two" * 400, "b/3.png": b""}


def tar_of(entries: list[tuple[tarfile.TarInfo, bytes]], *, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for entry, data in entries:
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def entry(
    name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, **others: object
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type = len(data), kind
    for key, value in others.items():
        setattr(info, key, value)
    return info, data


def zip_of(files: dict[str, bytes], **attributes: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = attributes.get("external_attr", 0)
            packed.writestr(info, data)
    return buffer.getvalue()


def stored(path: Path, content: bytes, most: int = 10_000_000) -> Archive:
    path.write_bytes(content)
    kind = archive_kind(path)
    assert kind is not None
    return Archive(InputFile(path, path.name), kind, most)


def folder(path: Path) -> Archive:
    for name, data in FILES.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return Archive(InputFile(path, path.name), "folder", 10_000_000)


ALL = [entry("a", kind=tarfile.DIRTYPE), *(entry(name, data) for name, data in FILES.items())]


@pytest.mark.parametrize("kind", ["folder", "tar", "tar.gz", "gnu tar", "zip"])
def test_files_are_read_where_they_lie(tmp_path: Path, kind: str) -> None:
    archive = {
        "folder": lambda: folder(tmp_path / "f"),
        "tar": lambda: stored(tmp_path / "t", tar_of(ALL)),
        "tar.gz": lambda: stored(tmp_path / "g", gzip.compress(tar_of(ALL))),
        "gnu tar": lambda: stored(tmp_path / "gnu", tar_of(ALL, form=tarfile.GNU_FORMAT)),
        "zip": lambda: stored(tmp_path / "z", zip_of({"a/": b"", **FILES})),
    }[kind]()
    before = sorted(tmp_path.rglob("*"))
    assert {member.name: member.data for member in archive.members()} == FILES
    assert [member.name for member in archive.members(lambda name: name.startswith("a"))] == ["a/1.png", "a/2.png"]
    assert read_member(archive, "a/2.png") == FILES["a/2.png"]
    assert read_member(archive, "c") is None
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_no_archive(tmp_path: Path) -> None:
    for content in (b"", b"text", gzip.compress(b"text"), b"\x1f\x8bnonsense", b"\x89PNG"):
        (tmp_path / "x").write_bytes(content)
        assert archive_kind(tmp_path / "x") is None


UNSAFE = ["../x.png", "/etc/x.png", "a/../../x.png", "a\\..\\x.png", "C:/x.png", "", "."]


@pytest.mark.parametrize("name", UNSAFE)
def test_names_that_lead_outside_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="outside its folder"):
        safe_name(name, "x")
    if not name:
        return
    for number, content in enumerate((tar_of([entry(name, b"x")]), zip_of({name: b"x"}))):
        with pytest.raises(InputError, match="outside its folder"):
            list(stored(tmp_path / str(number), content).members(lambda name: False))
    assert not (tmp_path.parent / "x.png").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    content = tar_of([entry("a.png", b"x"), entry("b.png", kind=kind, linkname="../../etc/passwd")])
    with pytest.raises(InputError, match=r"b\.png.*link, a device"):
        list(stored(tmp_path / "t", content).members())
    with pytest.raises(InputError, match="link, a device"):
        list(stored(tmp_path / "z", zip_of({"b.png": b"/etc/passwd"}, external_attr=0o120777 << 16)).members())


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    content = tar_of([entry("a.png", b"1"), entry("./a.png", b"2")])
    with pytest.raises(InputError, match=r"two files named 'a\.png'"):
        list(stored(tmp_path / "t", content).members())


def refused(archive: Archive) -> tuple[str, int]:
    """What is said of an archive that is refused, and the most bytes that were held meanwhile."""
    tracemalloc.start()
    try:
        list(archive.members(lambda name: False))
    except InputError as error:
        return str(error), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return "", 0


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_does(tmp_path: Path) -> None:
    bomb = {"a.png": bytes(12_000_000), "b.png": bytes(12_000_000)}
    packed = gzip.compress(tar_of([entry(name, data) for name, data in bomb.items()]), compresslevel=1)
    for number, content in enumerate((zip_of(bomb), packed)):
        said, held = refused(stored(tmp_path / str(number), content, most=16_000_000))
        assert "unpacks to more than 16,000,000 bytes" in said
        assert held < 8_000_000


def test_one_file_may_not_be_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBER_BYTES", 1_000_000)
    for number, content in enumerate((zip_of({"a": bytes(2_000_000)}), tar_of([entry("a", bytes(2_000_000))]))):
        with pytest.raises(InputError, match="at most 1,000,000 are read"):
            list(stored(tmp_path / str(number), content).members())


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    files = {f"{number}.png": b"" for number in range(4)}
    places = [
        stored(tmp_path / "z", zip_of(files)),
        stored(tmp_path / "t", tar_of([entry(name) for name in files])),
        folder(tmp_path / "f"),
    ]
    (tmp_path / "f" / "4.png").touch()
    for archive in places:
        with pytest.raises(InputError, match="more than 3 files"):
            list(archive.members())


def test_a_header_that_states_more_than_there_is(tmp_path: Path) -> None:
    """A pax header of four gigabytes would be read into memory by the standard library; and a size below zero."""
    block = bytearray(tar_of([entry("x", b"", kind=tarfile.XHDTYPE)])[:512])
    for size in (b"\x80" + (4 << 30).to_bytes(11, "big"), b"\xff" * 12):
        block[124:136] = size
        block[148:156] = b" " * 8
        block[148:156] = f"{sum(block):06o}\0 ".encode()
        said, held = refused(stored(tmp_path / "t", bytes(block) + bytes(20_000)))
        assert "cannot be read as a tar file" in said
        assert held < 1_000_000


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_whatever_is_cut_off_is_refused(tmp_path: Path, kind: str) -> None:
    """At every length: also between two files of a tar, where nothing but its end mark is missing."""
    plain = tar_of(ALL)
    whole = {"tar": plain[: 512 * 9 + 1024], "tar.gz": gzip.compress(plain), "zip": zip_of(FILES)}[kind]
    known = {**FILES}
    lengths = range(0, len(whole), 512) if kind == "tar" else range(40, len(whole), max(1, len(whole) // 25))
    for length in lengths:
        (tmp_path / "x").write_bytes(whole[:length])
        found = archive_kind(tmp_path / "x")
        if found is None:
            continue
        archive = Archive(InputFile(tmp_path / "x", "x"), found, 10_000_000)
        try:
            members = {member.name: member.data for member in archive.members()}
        except InputError as error:
            assert "cut off" in str(error)
        else:
            assert members == known, f"cut to {length} of {len(whole)} bytes without a word"


def test_damage_in_a_zip_is_found(tmp_path: Path) -> None:
    content = bytearray(zip_of({"a.png": bytes(range(256)) * 20}))
    content[60] ^= 0xFF
    with pytest.raises(InputError, match="damaged or cut off"):
        list(stored(tmp_path / "z", bytes(content)).members())


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    content = bytearray(zip_of({"a.png": b"x"}))
    at = content.rfind(b"PK\x01\x02")
    content[at + 8] |= 1
    with pytest.raises(InputError, match="encrypted"):
        list(stored(tmp_path / "z", bytes(content)).members())


def test_a_table_of_contents_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_MOST_DIRECTORY", 1_000)
    files = {f"{number}.png": b"" for number in range(50)}
    with pytest.raises(InputError, match="table of contents of"):
        list(stored(tmp_path / "z", zip_of(files)).members())


def test_a_folder_is_read_in_the_order_of_its_names_without_following_links(tmp_path: Path) -> None:
    archive = folder(tmp_path / "f")
    (tmp_path / "f" / "loop").symlink_to(tmp_path / "f")
    assert [member.name for member in archive.members()] == ["a/1.png", "a/2.png", "b/3.png"]


def test_a_signal_ends_the_reading(tmp_path: Path) -> None:
    class Signal(Exception):
        pass

    def check() -> None:
        raise Signal

    for archive in (stored(tmp_path / "t", tar_of(ALL)), stored(tmp_path / "z", zip_of(FILES)), folder(tmp_path / "f")):
        with pytest.raises(Signal):
            list(archive.members(check=check))
