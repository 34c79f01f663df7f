"""A folder's manifest: size and SHA-256 of each of its files, so that damage is found before it is used."""

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from seq2see.errors import InputError
from seq2see.storage.atomic import disk_errors, write_atomic

MANIFEST = "manifest.json"
FORMAT = 1  # of the folders this version writes; older ones are read, newer ones refused

_MOST_BYTES = 1 << 24  # of a manifest


def write_manifest(folder: Path, *, kind: str, extra: dict[str, Any], names: Sequence[str] | None = None) -> None:
    """Write ``manifest.json`` into ``folder``: its kind, its files, and ``extra`` facts (JSON values).

    ``names`` are the files it vouches for; None: every file in the folder whose name starts with no dot.

    Raises:
        InputError: one of ``names`` is not in the folder.
    """
    chosen = sorted(names) if names is not None else _plain_files(folder)
    for name in chosen:
        if not _is_plain_name(name) or not (folder / name).is_file():
            raise InputError(f"{folder}: there is no file {name!r} to put into its manifest")
    manifest = {
        "format": FORMAT,
        "kind": kind,
        "versions": {"seq2see": _version("seq2see"), "torch": _version("torch")},
        "files": {name: _facts(folder / name) for name in chosen},
        "extra": extra,
    }
    write_atomic(folder / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def verify_manifest(folder: Path, *, kind: str) -> dict[str, Any]:
    """Check every file that the manifest of ``folder`` names, and return the manifest's ``extra`` facts.

    Raises:
        InputError: no manifest, not a folder of this ``kind``, written in a newer format, or a file is
            missing, too short, too long or altered; the message names it.
    """
    manifest = _read(folder / MANIFEST)
    _check_head(manifest, folder, kind)
    for name, facts in manifest["files"].items():
        _check_file(folder / name, facts)
    extra: dict[str, Any] = manifest["extra"]
    return extra


def _read(path: Path) -> dict[str, Any]:
    remedy = "the folder is incomplete or damaged; use a copy or an older checkpoint"
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise InputError(f"{path}: {size:,} bytes are too many for a manifest; {remedy}")
        manifest = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path} is missing: {remedy}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a manifest ({error}): {remedy}") from error
    if not isinstance(manifest, dict):
        raise InputError(f"{path} is not a manifest: {remedy}")
    return manifest


def _check_head(manifest: dict[str, Any], folder: Path, kind: str) -> None:
    path, found = folder / MANIFEST, manifest.get("format")
    versions = manifest.get("versions")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1 or not isinstance(versions, dict):
        raise InputError(f"{path} is not a manifest: it lacks a format number or versions")
    if found > FORMAT:
        raise InputError(
            f"{folder} was written by seq2see {versions.get('seq2see')!s:.20} in format {found}; this is "
            f"seq2see {_version('seq2see')}, which reads formats up to {FORMAT}: install the newer version"
        )
    if manifest.get("kind") != kind:
        raise InputError(f"{folder} holds a {manifest.get('kind')!s:.40}, not a {kind}")
    files, extra = manifest.get("files"), manifest.get("extra")
    if not isinstance(files, dict) or not isinstance(extra, dict):
        raise InputError(f"{path} is damaged: it lists no files")
    for name in files:
        if not _is_plain_name(name):
            raise InputError(f"{path} names {name!r:.80}, which is not the name of a file in this folder")


def _check_file(path: Path, facts: Any) -> None:
    remedy = "use a copy or an older checkpoint"
    if not isinstance(facts, dict) or not {"size", "sha256"} <= facts.keys():
        raise InputError(f"{path.parent / MANIFEST} is damaged: no size and hash for {path.name}")
    if not path.is_file():
        raise InputError(f"{path} is missing although the manifest names it; {remedy}")
    size = path.stat().st_size
    if size != facts["size"]:
        raise InputError(f"{path} is damaged: {size:,} bytes instead of {facts['size']:,}; {remedy}")
    if _sha256(path) != facts["sha256"]:
        raise InputError(f"{path} is damaged: hash mismatch (its bytes are not those that were written); {remedy}")


def _facts(path: Path) -> dict[str, Any]:
    return {"size": path.stat().st_size, "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    with disk_errors(path, 0), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain_files(folder: Path) -> list[str]:
    return sorted(
        path.name
        for path in folder.iterdir()
        if path.is_file() and path.name != MANIFEST and not path.name.startswith(".")
    )


def _is_plain_name(name: str) -> bool:
    return bool(name) and name not in {".", ".."} and not any(mark in name for mark in "/\\:\0")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
