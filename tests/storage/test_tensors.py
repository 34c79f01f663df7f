import json
import os
import pickle
import struct
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from seq2see.errors import InputError, Seq2seeError
from seq2see.storage.tensors import load_tensors, save_tensors

DTYPES = [
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
]


def made(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(content) if length is None else length) + content + data


def entry(start: int, stop: int, shape: list[int] | None = None, dtype: str = "F32") -> dict[str, object]:
    return {
        "dtype": dtype,
        "shape": [(stop - start) // 4] if shape is None else shape,
        "data_offsets": [start, stop],
    }


def same(left: torch.Tensor, right: torch.Tensor) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and torch.equal(left, right)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shapes=st.lists(st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 5), max_size=3)), max_size=6),
    names=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=6, max_size=6, unique=True),
)
def test_any_tensors_come_back_and_the_library_agrees(
    tmp_path: Path, shapes: list[tuple[torch.dtype, list[int]]], names: list[str]
) -> None:
    tensors = {name: (torch.randn(shape) * 3).to(dtype) for name, (dtype, shape) in zip(names, shapes, strict=False)}
    tensors.pop("__metadata__", None)
    path = tmp_path / "t.safetensors"
    save_tensors(path, tensors, {"made by": "a test"})
    ours, theirs = load_tensors(path, None), load_file(path)
    assert ours.keys() == theirs.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert same(ours[name], tensor)
        assert same(theirs[name], tensor)


def test_files_of_the_library_are_read(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 5), "b": torch.arange(7), "c": torch.tensor(True)}
    save_file(tensors, tmp_path / "t.safetensors", metadata={"format": "pt"})
    loaded = load_tensors(tmp_path / "t.safetensors", None)
    assert all(same(loaded[name], tensor) for name, tensor in tensors.items())


def test_strided_shared_and_training_tensors_are_saved_by_value(tmp_path: Path) -> None:
    matrix = torch.randn(3, 5, requires_grad=True)
    tensors = {"transposed": matrix.t(), "tied": matrix, "part": matrix[:, 1::2]}
    save_tensors(tmp_path / "t", tensors, {})
    loaded = load_tensors(tmp_path / "t", None)
    assert all(same(loaded[name], tensor.detach()) for name, tensor in tensors.items())
    assert not loaded["tied"].requires_grad


def test_loaded_tensors_do_not_depend_on_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t"
    save_tensors(path, {"a": torch.arange(1_000)}, {})
    loaded = load_tensors(path, None)
    path.write_bytes(bytes(path.stat().st_size))
    assert torch.equal(loaded["a"], torch.arange(1_000))


def test_exactly_what_is_expected(tmp_path: Path) -> None:
    path = tmp_path / "t"
    save_tensors(path, {"a": torch.zeros(3, 5), "b": torch.zeros(2)}, {})
    right = {"a": ((3, 5), torch.float32), "b": ((2,), torch.float32)}
    assert load_tensors(path, right).keys() == {"a", "b"}
    for wrong, words in [
        ({"a": right["a"]}, "missing nothing; not expected b"),
        ({**right, "c": right["a"]}, "missing c; not expected nothing"),
        ({**right, "b": ((3,), torch.float32)}, r"b is float32 \[2\], expected float32 \[3\]"),
        ({**right, "b": ((2,), torch.float16)}, r"b is float32 \[2\], expected float16 \[2\]"),
    ]:
        with pytest.raises(InputError, match=words):
            load_tensors(path, wrong)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_no_numbers_are_neither_saved_nor_loaded(tmp_path: Path, value: float) -> None:
    bad = torch.zeros(4, 5)
    bad[2, 3] = value
    with pytest.raises(Seq2seeError, match=r"not saved: layer\.weight holds 1 values that are NaN or infinite"):
        save_tensors(tmp_path / "ours", {"layer.weight": bad}, {})
    assert not (tmp_path / "ours").exists()
    save_file({"layer.weight": bad}, tmp_path / "theirs")
    with pytest.raises(InputError, match=r"theirs: layer\.weight holds 1 values that are NaN or infinite"):
        load_tensors(tmp_path / "theirs", None)


class Bomb:
    """Unpickling it creates the marker file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.open, (str(self.marker), os.O_CREAT | os.O_WRONLY)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ["weights.safetensors", "model.pt"])
def test_a_pickle_is_refused_and_does_not_run(tmp_path: Path, protocol: int, name: str) -> None:
    marker, path = tmp_path / "marker", tmp_path / name
    path.write_bytes(pickle.dumps(Bomb(marker), protocol))
    with pytest.raises(InputError, match=name):
        load_tensors(path, None)
    assert not marker.exists()
    os.close(pickle.loads(path.read_bytes()))  # the bomb is live
    assert marker.exists()


def test_a_torch_archive_is_refused_and_does_not_run(tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "weights.safetensors"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb(marker)))
    with pytest.raises(InputError, match="this is a pickle"):
        load_tensors(path, None)
    assert not marker.exists()


MISLEADING = {
    "header of 2^60 bytes": made(b"{}", length=1 << 60),
    "header of 2^64 - 1 bytes": made(b"{}", length=(1 << 64) - 1),
    "header longer than the file": made(b"{}", length=3),
    "overlap": made({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)),
    "the same bytes twice": made({"a": entry(0, 8), "b": entry(0, 8)}, bytes(8)),
    "gap": made({"a": entry(0, 4), "b": entry(8, 12)}, bytes(12)),
    "does not begin at 0": made({"a": entry(4, 8)}, bytes(8)),
    "data missing": made({"a": entry(0, 8)}, bytes(4)),
    "data left over": made({"a": entry(0, 8)}, bytes(9)),
    "stop before start": made({"a": entry(8, 0, [2])}, bytes(8)),
    "negative shape": made({"a": entry(0, 8, [-1, -2])}, bytes(8)),
    "shape too large": made({"a": entry(0, 8, [1 << 31, 1 << 31])}, bytes(8)),
    "shape of true": made({"a": entry(0, 4, [True])}, bytes(4)),  # type: ignore[list-item]
    "shape of fractions": made({"a": {**entry(0, 8), "shape": [2.0]}}, bytes(8)),
    "a hundred dimensions": made({"a": entry(0, 4, [1] * 100)}, bytes(4)),
    "three offsets": made({"a": {**entry(0, 8), "data_offsets": [0, 4, 8]}}, bytes(8)),
    "huge offsets": made({"a": entry(0, 1 << 70, [1 << 68])}, bytes(8)),
    "unknown type": made({"a": entry(0, 8, dtype="PICKLE")}, bytes(8)),
    "type is a list": made({"a": {**entry(0, 8), "dtype": []}}, bytes(8)),
    "field missing": made({"a": {"dtype": "F32", "shape": [2]}}, bytes(8)),
    "field too many": made({"a": {**entry(0, 8), "code": "x"}}, bytes(8)),
    "entry is a list": made({"a": []}, b""),
    "one name twice": made(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        bytes(8),
    ),
    "header is a list": made(b"[]"),
    "header is no JSON": made(b"{'a'}"),
    "header is no UTF-8": made(b'{"\xff":1}'),
    "header nested deeply": made(b"[" * 200_000),
    "empty": b"",
    "seven bytes": b"1234567",
    "zeros": bytes(1_000),
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
}


@pytest.mark.parametrize("content", MISLEADING.values(), ids=MISLEADING.keys())
def test_misleading_files_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    started = time.monotonic()
    with pytest.raises(InputError, match=r"weights\.safetensors: ") as caught:
        load_tensors(path, None)
    assert time.monotonic() - started < 1
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(path))


def test_a_header_of_150_megabytes_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 150_000_000))
        file.truncate(150_000_008)  # a hole: no disk is used
    tracemalloc.start()
    started = time.monotonic()
    try:
        with pytest.raises(InputError, match="no safetensors header"):
            load_tensors(path, None)
        assert time.monotonic() - started < 1
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, share: float) -> None:
    path = tmp_path / "weights.safetensors"
    save_tensors(path, {"a": torch.randn(50, 50), "b": torch.arange(1_000)}, {})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"weights\.safetensors: "):
        load_tensors(path, None)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_changed_header_never_does_worse_than_an_input_error(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "t"
    save_tensors(path, {"a": torch.zeros(2, 3), "b": torch.arange(4)}, {})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        loaded = load_tensors(path, None)
    except InputError:
        return
    assert sum(tensor.nbytes for tensor in loaded.values()) == 2 * 3 * 4 + 4 * 8


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_tensors(tmp_path / "absent", None)
    with pytest.raises(InputError, match="cannot be read"):
        load_tensors(tmp_path, None)


def test_the_format_is_written_as_documented(tmp_path: Path) -> None:
    save_tensors(tmp_path / "t", {"x": torch.tensor([1, 256], dtype=torch.int16)}, {"k": "v"})
    content = (tmp_path / "t").read_bytes()
    length = int.from_bytes(content[:8], "little")
    assert json.loads(content[8 : 8 + length]) == {
        "__metadata__": {"format": "pt", "k": "v"},
        "x": {"dtype": "I16", "shape": [2], "data_offsets": [0, 4]},
    }
    assert content[8 + length :] == bytes([1, 0, 0, 1]) if sys.byteorder == "little" else True
    assert (8 + length) % 8 == 0
