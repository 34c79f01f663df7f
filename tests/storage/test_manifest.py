import json
from pathlib import Path

import pytest

from seq2see.errors import InputError
from seq2see.storage.manifest import verify_manifest, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("the first file")
    (tmp_path / "b.bin").write_bytes(bytes(range(256)))
    (tmp_path / ".hidden").write_text("not listed")
    write_manifest(tmp_path, kind="run", extra={"scores": {"bleu": 41.5}})
    return tmp_path


def change(folder: Path, **fields: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_an_intact_folder_gives_its_facts_back(folder: Path) -> None:
    assert verify_manifest(folder, kind="run") == {"scores": {"bleu": 41.5}}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["files"]) == {"a.txt", "b.bin"}
    # printf 'the first file' | sha256sum
    digest = "e7939f0b60ab303a2a6e28784cf5c5811b98dfd7e5cab7ab2a0fb9c4b38e50cb"
    assert manifest["files"]["a.txt"] == {"size": 14, "sha256": digest}
    assert {"torch", "seq2see"} <= set(manifest["versions"])


@pytest.mark.parametrize("at", [0, 1, 100, 255])
def test_one_flipped_bit_is_found_and_named(folder: Path, at: int) -> None:
    content = bytearray((folder / "b.bin").read_bytes())
    content[at] ^= 0x10
    (folder / "b.bin").write_bytes(content)
    with pytest.raises(InputError, match=r"b\.bin is damaged: hash mismatch"):
        verify_manifest(folder, kind="run")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_found_and_named(folder: Path, share: float) -> None:
    (folder / "b.bin").write_bytes(bytes(range(256))[: int(256 * share)])
    with pytest.raises(InputError, match=rf"b\.bin is damaged: {int(256 * share)} bytes instead of 256"):
        verify_manifest(folder, kind="run")


def test_a_zeroed_file_is_found_and_named(folder: Path) -> None:
    (folder / "b.bin").write_bytes(bytes(256))
    with pytest.raises(InputError, match=r"b\.bin .*hash mismatch"):
        verify_manifest(folder, kind="run")


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "a.txt").unlink()
    with pytest.raises(InputError, match=r"a\.txt is missing"):
        verify_manifest(folder, kind="run")


def test_other_kinds_and_newer_formats_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="holds a run, not a checkpoint"):
        verify_manifest(folder, kind="checkpoint")
    change(folder, format=2, versions={"seq2see": "9.8.7", "torch": "3"})
    with pytest.raises(InputError, match=r"written by seq2see 9\.8\.7 in format 2"):
        verify_manifest(folder, kind="run")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\x89PNG\r\n", b"[" * 100_000, b"{}", b'{"format": true}', b"null"]
)
def test_what_is_no_manifest_is_one_clear_error(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(InputError, match=r"manifest\.json is not a manifest"):
        verify_manifest(folder, kind="run")


def test_a_folder_without_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.json is missing"):
        verify_manifest(tmp_path, kind="run")


def test_a_huge_manifest_is_not_read(folder: Path) -> None:
    with (folder / "manifest.json").open("wb") as file:
        file.truncate(1 << 40)  # a hole: no disk is used
    with pytest.raises(InputError, match="too many for a manifest"):
        verify_manifest(folder, kind="run")


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "sub/x", "..", "C:x", "a\\b", ""])
def test_names_that_leave_the_folder_are_refused(folder: Path, name: str) -> None:
    change(folder, files={name: {"size": 1, "sha256": "0"}})
    with pytest.raises(InputError, match="not the name of a file in this folder"):
        verify_manifest(folder, kind="run")
    with pytest.raises(InputError, match="no file"):
        write_manifest(folder, kind="run", extra={}, names=[name])


@pytest.mark.parametrize("files", [None, [], {"a.txt": None}, {"a.txt": {"size": 14}}])
def test_a_manifest_without_sizes_and_hashes_is_refused(folder: Path, files: object) -> None:
    change(folder, files=files)
    with pytest.raises(InputError, match="is damaged"):
        verify_manifest(folder, kind="run")


def test_only_the_named_files_are_vouched_for(folder: Path) -> None:
    write_manifest(folder, kind="run", extra={}, names=["a.txt"])
    (folder / "b.bin").write_bytes(b"changed since")
    assert verify_manifest(folder, kind="run") == {}
