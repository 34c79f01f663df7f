"""B1, B2, B3, B6: files that were made to do harm or by mistake; nothing in them runs, each is one clear error."""

import json
import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from commands import Commands, Fault
from safetensors.torch import load_file, save_file
from tiny_runs import Trap, journal, train, vouched

from seq2see.storage.manifest import write_manifest
from small_task import Command


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A finished run to spoil."""
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="module")
def killed(commands: Commands, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed after its checkpoint of step 6. Do not change it."""
    out = tmp_path_factory.mktemp("killed") / "run"
    commands(*train(data, out), fault=Fault("SIGKILL", "seq2see.training.loop:_update", 8))
    return out


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("name", ["weights.safetensors", "tokenizer.json", "config.toml"])
def test_b1_a_pickle_in_a_run_does_not_run(
    seq2see: Command, run: Path, tmp_path: Path, name: str, protocol: int
) -> None:
    """Its manifest vouches for it, as a forger would write it."""
    (run / name).write_bytes(pickle.dumps(Trap(tmp_path / "marker"), protocol))
    for command in ("predict", "see", "evaluate"):
        answer = seq2see(command, vouched(run), "one two")
        assert answer.code == 2
        assert name in answer.err
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", ["weights.safetensors", "optimiser.safetensors", "state.json"])
def test_b1_a_pickle_in_a_checkpoint_does_not_run(seq2see: Command, killed: Path, tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(killed, run)
    for folder in (run / "checkpoints").glob("step-*"):
        torch.save({"state": Trap(tmp_path / "marker")}, folder / name)
        extra = json.loads((folder / "manifest.json").read_text())["extra"]
        write_manifest(folder, kind="checkpoint", extra=extra)
    answer = seq2see("train", "--resume", "--out", run)
    assert answer.code == 2, answer.out
    assert not (tmp_path / "marker").exists()


def test_b1_a_pickle_as_data_or_journal(seq2see: Command, killed: Path, data: Path, tmp_path: Path) -> None:
    """A journal that is none costs its lines, not the run."""
    trap = pickle.dumps(Trap(tmp_path / "marker"))
    (tmp_path / "data.tsv").write_bytes(trap)
    answer = seq2see("train", tmp_path / "data.tsv", "--out", tmp_path / "none")
    assert answer.code == 2
    assert "data.tsv" in answer.err
    run = tmp_path / "run"
    shutil.copytree(killed, run)
    (run / "metrics.jsonl").write_bytes(trap)
    answer = seq2see("train", "--resume", "--out", run)
    assert answer.code == 0, answer.err
    assert journal(run)[0]["step"] > 1
    assert not (tmp_path / "marker").exists()


HOSTILE = {
    "trust_remote_code = true\n": "trust_remote_code",
    '[model]\nclass = "os.system"\n': "class",
    '[model]\nname = "lstm"\n[model.encoder]\nkind = "os.system"\n': "encoder",
    '[model]\nname = "lstm"\n[model.encoder]\nkind = "recurrent"\ncell = "/tmp/evil.so"\n': "cell",
    'task = "https://evil.example/task.py"\n': "task",
    '[text]\nkind = "builtins.exec"\n': "text.kind",
    "[training]\nsteps = 3\nschedule = \"__import__('os').system('true')\"\n": "schedule",
    "model = 3\n": "model",
    "training = []\n": "training",
    "[data]\npairs = 7\n": "pairs",
    '[data]\npairs = "https://evil.example/pairs.tsv"\n': "evil.example",
    '[model]\nname = "https://evil.example/model"\n': "evil.example",
}


@pytest.mark.parametrize("text", HOSTILE)
def test_b2_a_configuration_that_names_code_or_addresses(
    seq2see: Command, data: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Refused wherever it is given; nothing is fetched or imported."""

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("somebody wants the network")

    monkeypatch.setattr("socket.socket", refuse)
    monkeypatch.setattr("os.system", refuse)
    (tmp_path / "hostile.toml").write_text(text)
    what = () if "pairs" in text else (data,)
    answer = seq2see("train", *what, "--config", tmp_path / "hostile.toml", "--out", tmp_path / "new")
    assert answer.code == 2, answer.err
    assert HOSTILE[text] in answer.err
    assert "fault in seq2see" not in answer.err
    (run / "config.toml").write_text(text)
    for arguments in (("predict", vouched(run), "one"), ("train", "--resume", "--force", "--out", run)):
        answer = seq2see(*arguments)
        assert answer.code == 2, answer.err
        assert "fault in seq2see" not in answer.err
    assert not (tmp_path / "new").exists()


def _header(table: dict[str, object], data: bytes = b"", length: int | None = None) -> bytes:
    content = json.dumps(table).encode()
    return (len(content) if length is None else length).to_bytes(8, "little") + content + data


def _f32(start: int, stop: int, *shape: int) -> dict[str, object]:
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [start, stop]}


CRAFTED: dict[str, Callable[[], bytes]] = {
    "a header of 2^60 bytes": lambda: _header({}, b"", 1 << 60),
    "a header of 150 MB": lambda: _header({"a" * 150_000_000: _f32(0, 0, 0)}),
    "overlapping": lambda: _header({"a": _f32(0, 8, 2), "b": _f32(4, 12, 2)}, bytes(12)),
    "a gap": lambda: _header({"a": _f32(0, 4, 1), "b": _f32(8, 12, 1)}, bytes(12)),
    "behind the end": lambda: _header({"a": _f32(0, 1 << 40, 1 << 38)}, bytes(4)),
    "other tensors": lambda: _header({"evil": _f32(0, 4, 1)}, bytes(4)),
    "nesting": lambda: (200_000).to_bytes(8, "little") + b"[" * 200_000,
}


@pytest.mark.parametrize("what", CRAFTED)
def test_b3_crafted_weights_are_refused_in_a_moment(seq2see: Command, run: Path, what: str) -> None:
    (run / "weights.safetensors").write_bytes(CRAFTED[what]())
    vouched(run)
    start = time.monotonic()
    answer = seq2see("predict", run, "one two")
    assert time.monotonic() - start < 3  # most of it are the hash and the reading of 150 MB, on a busy machine
    assert answer.code == 2
    assert "weights.safetensors" in answer.err
    assert answer.err.count("\n") == 1


def _rewrite(run: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(run / "weights.safetensors")
    change(tensors)
    save_file(tensors, run / "weights.safetensors")
    vouched(run)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_b3_weights_that_are_no_numbers_are_refused(seq2see: Command, run: Path, value: float) -> None:
    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        next(iter(tensors.values())).view(-1)[3] = value

    _rewrite(run, spoil)
    answer = seq2see("predict", run, "one two")
    assert answer.code == 2
    assert "NaN or infinite" in answer.err


def test_b3_f15_other_names_shapes_and_types_are_refused(seq2see: Command, run: Path, whole: Path) -> None:
    def lose(tensors: dict[str, torch.Tensor]) -> None:
        del tensors[min(tensors)]

    def transpose(tensors: dict[str, torch.Tensor]) -> None:
        name = max(tensors, key=lambda name: tensors[name].numel())
        tensors[name] = tensors[name].t().contiguous()

    def halve(tensors: dict[str, torch.Tensor]) -> None:
        name = min(tensors)
        tensors[name] = tensors[name].half()

    for change, words in ((lose, "missing"), (transpose, "expected"), (halve, "float16")):
        shutil.copy(whole / "weights.safetensors", run / "weights.safetensors")
        _rewrite(run, change)
        answer = seq2see("predict", run, "one two")
        assert answer.code == 2
        assert words in answer.err
        assert "weights.safetensors" in answer.err


HOSTILE_TOKENISERS = {
    "a list": b"[]",
    "nesting": b"[" * 200_000,
    "not JSON": b'{"source": ',
    "wrong types": b'{"version": "1", "joint": 3, "source": [], "target": 5}',
    "numbers for pieces": None,
    "huge": b'{"a": "' + b"a" * 300_000_000 + b'"}',
}


@pytest.mark.parametrize("what", HOSTILE_TOKENISERS)
def test_b3_a_hostile_tokeniser_is_refused(seq2see: Command, run: Path, what: str) -> None:
    content = HOSTILE_TOKENISERS[what]
    path = run / "tokenizer.json"
    if content is None:
        content = path.read_bytes().replace(b'"eight"', b"8")
    path.write_bytes(content)
    answer = seq2see("predict", vouched(run), "one two")
    assert answer.code == 2, answer.err[:500]
    assert "tokenizer.json" in answer.err
    assert answer.err.count("\n") == 1
    assert len(answer.err) < 1_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[training]\nlearning_rat = 0.1\n", ["my.toml:2", "learning_rat", "did you mean learning_rate"]),
        ('[training]\nlearning_rate = "1e-3"\n', ["my.toml:2", "training.learning_rate", "1e-3"]),
        ("[training]\nsteps = 3\nsteps = 4\n", ["my.toml", "line 3"]),
        ("[data]\npairs = no\n", ["my.toml", "line 2"]),
        ("[data]\nsource = !!python/object/apply:os.system\n", ["my.toml", "line 2"]),
        ("[training]\nsteps = 3.5\n", ["my.toml:2", "training.steps"]),
        ("[training]\nlearning_rate = nan\n", ["my.toml", "training.learning_rate"]),
        ("[trainin]\nsteps = 3\n", ["my.toml", "trainin", "did you mean training"]),
        ("[training]\nsteps = 3\nminutes = 1.0\n", ["exactly one of"]),
        ("[search]\nbeam = 2\nnbest = 3\n[training]\nsteps = 3\n", ["nbest = 3", "beam = 2"]),
    ],
)
def test_b6_a_mistake_in_the_configuration_is_named_with_its_line(
    seq2see: Command, data: Path, tmp_path: Path, text: str, words: list[str]
) -> None:
    (tmp_path / "my.toml").write_text(text)
    answer = seq2see("train", data, "--config", tmp_path / "my.toml", "--out", tmp_path / "run")
    assert answer.code == 2
    for word in words:
        assert word in answer.err
    assert not (tmp_path / "run").exists()


def test_b6_numbers_are_typed_as_written(seq2see: Command, data: Path, tmp_path: Path) -> None:
    """``1e-3`` is a number, as it is not in YAML 1.1."""
    (tmp_path / "my.toml").write_text("[training]\nlearning_rate = 1e-3\n")
    answer = seq2see(*train(data, tmp_path / "run", "--config", tmp_path / "my.toml"))
    assert answer.code == 0, answer.err
    assert "learning_rate = 0.01" in (tmp_path / "run" / "config.toml").read_text()  # --set stands above the file
    assert seq2see("train", data, "--config", tmp_path / "my.toml", "--steps", 1, "--out", tmp_path / "two").code == 0
    assert "learning_rate = 0.001" in (tmp_path / "two" / "config.toml").read_text()
