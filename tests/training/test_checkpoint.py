import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from death import killed_at
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_training import Corpus, Tiny, digest, summed_loss, tiny, training
from torch import nn

from seq2see.errors import InputError, Seq2seeError
from seq2see.storage.atomic import clean_leftovers
from seq2see.training import checkpoint as module
from seq2see.training.averaging import Ema
from seq2see.training.checkpoint import (
    checkpoints_of,
    expected_weights,
    newest_checkpoint,
    newest_weights,
    remove_checkpoints,
    restore_average,
    restore_checkpoint,
    restore_weights,
    save_checkpoint,
    snapshots,
    weights_of,
)
from seq2see.training.optimiser import build_optimiser, optimiser_tensors
from seq2see.training.progress import Development
from seq2see.training.random_state import (
    RandomState,
    read_random_state,
    seed,
    unchanged_random_state,
    write_random_state,
)
from seq2see.training.standing import (
    Best,
    Snapshot,
    Standing,
    Tally,
    differences,
    read_snapshot,
    snapshot_json,
)

CPU = torch.device("cpu")


class Learner:
    """A model, its optimiser and its average, some updates on."""

    def __init__(self, updates: int, *, tie: bool = False) -> None:
        self.model = tiny(dropout=0.0, tie=tie)
        self.optimiser = build_optimiser(self.model, training())
        self.ema = Ema(self.model, 0.9)
        self.step = 0
        for _ in range(updates):
            self.update()

    def update(self) -> None:
        self.optimiser.zero_grad()
        summed_loss(self.model, Corpus().batch([self.step, self.step + 1])).backward()
        self.optimiser.step()
        self.ema.update(self.model)
        self.step += 1

    def save(self, run: Path) -> Path:
        checkpoints_of(run).mkdir(parents=True, exist_ok=True)
        return save_checkpoint(run, self.snapshot(), self.model, self.optimiser, self.ema)

    def snapshot(self) -> Snapshot:
        return Snapshot(Standing(step=self.step), {"config": "1"}, (read_random_state(CPU),))

    def bits(self) -> str:
        tensors = {**weights_of(self.model), **optimiser_tensors(self.optimiser, self.model), **self.ema.tensors()}
        return digest({name: tensor.detach().reshape(-1) for name, tensor in tensors.items()})


def silent(text: str) -> None:
    raise AssertionError(f"nothing was to be said: {text}")


def names(run: Path) -> set[str]:
    return {path.name for path in checkpoints_of(run).iterdir()}


@pytest.mark.parametrize("tie", [False, True])
def test_a_restored_learner_goes_on_to_the_same_bits(tmp_path: Path, tie: bool) -> None:
    learner = Learner(3, tie=tie)
    path = learner.save(tmp_path)
    other = Learner(0, tie=tie)
    assert other.bits() != learner.bits()
    restore_checkpoint(path, other.model, other.optimiser)
    restore_average(path, other.ema)
    other.step = 3
    assert other.bits() == learner.bits()
    for each in (learner, other):
        each.update()
        each.update()
    assert other.bits() == learner.bits()
    assert (other.model.output.weight is other.model.embedding.weight) == tie


def test_weights_are_named_once_and_buffers_belong_to_them() -> None:
    class WithBuffers(Tiny):
        def __init__(self) -> None:
            super().__init__(tie=True)
            self.register_buffer("lasting", torch.arange(3))
            self.register_buffer("passing", torch.arange(3), persistent=False)

    model = WithBuffers()
    assert set(weights_of(model)) == {"embedding.weight", "output.bias", "lasting"}
    restore_weights(model, {name: tensor + 1 for name, tensor in weights_of(model).items()})
    assert model.lasting.tolist() == [1, 2, 3]
    assert model.output.weight is model.embedding.weight
    assert expected_weights(model)["lasting"] == ((3,), torch.int64)


def test_the_newest_two_are_kept_and_the_pointer_names_the_newest(tmp_path: Path) -> None:
    learner = Learner(0)
    for _ in range(4):
        learner.update()
        learner.save(tmp_path)
    assert names(tmp_path) == {"step-000003", "step-000004", "latest"}
    assert (checkpoints_of(tmp_path) / "latest").read_text() == "step-000004\n"
    assert {path.name for path in (checkpoints_of(tmp_path) / "step-000004").iterdir()} == {
        "weights.safetensors",
        "optimiser.safetensors",
        "ema.safetensors",
        "state.json",
        "manifest.json",
    }
    assert [found.standing.step for found in snapshots(tmp_path)] == [4, 3]


def test_the_old_one_goes_only_after_the_new_one_has_been_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = Learner(1)
    learner.save(tmp_path)
    learner.update()
    learner.save(tmp_path)

    def lying_disk(folder: Path, *, kind: str) -> None:
        raise InputError(f"{folder} is damaged")

    monkeypatch.setattr(module, "verify_manifest", lying_disk)
    learner.update()
    with pytest.raises(InputError, match="step-000003 is damaged"):
        learner.save(tmp_path)
    assert {"step-000001", "step-000002"} <= names(tmp_path)


def test_killed_at_any_call_a_whole_checkpoint_remains(tmp_path: Path) -> None:
    learner, bits = Learner(0), {}
    for _ in range(2):
        learner.update()
        learner.save(tmp_path / "before")
        bits[learner.step] = learner.bits()
    learner.update()
    bits[3] = learner.bits()
    outcomes = []
    for at in range(1, 500):
        run = tmp_path / str(at)
        shutil.copytree(tmp_path / "before", run)
        calls = killed_at(at, lambda run=run: learner.save(run))
        clean_leftovers(checkpoints_of(run))
        assert not any(name.startswith(".") for name in names(run))
        found = newest_checkpoint(run, silent)
        assert found is not None
        path, snapshot = found
        other = Learner(0)
        restore_checkpoint(path, other.model, other.optimiser)
        restore_average(path, other.ema)
        assert other.bits() == bits[snapshot.standing.step]
        outcomes.append(snapshot.standing.step)
        shutil.rmtree(run)
        if calls[-1] == "lived":
            assert outcomes == sorted(outcomes)  # the old one up to some call, from then on the new one
            assert set(outcomes) == {2, 3}
            assert {"write", "fsync", "replace", "rename", "mkdir", "rmdir"} <= set(calls)
            return
    raise AssertionError("the checkpoint was never finished")


DAMAGES = {
    "truncated": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "zeroed": lambda content: bytes(len(content)),
    "one bit": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "picture": lambda content: b"\x89PNG\r\n\x1a\n" + content,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("name", ["weights.safetensors", "optimiser.safetensors", "state.json", "manifest.json"])
def test_after_a_loss_of_power_the_one_before_is_used_and_said(tmp_path: Path, damage: object, name: str) -> None:
    learner = Learner(1)
    learner.save(tmp_path)
    bits = learner.bits()
    learner.update()
    path = learner.save(tmp_path) / name
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    said: list[str] = []
    found = newest_checkpoint(tmp_path, said.append)
    assert found is not None
    assert found[1].standing.step == 1
    assert len(said) == 1
    assert f"step-000002/{name}" in said[0]
    assert "checkpoint of step 2 cannot be used, going back to the one before" in said[0]
    other = Learner(0)
    restore_checkpoint(found[0], other.model, other.optimiser)
    restore_average(found[0], other.ema)
    assert other.bits() == bits
    # Going on from there, the damaged one does not come back as the newest, nor push a good one out.
    learner.step = 1
    learner.save(tmp_path)
    assert "step-000002" not in names(tmp_path)


def test_when_none_can_be_used_nothing_is_begun_anew_in_silence(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path, silent) is None
    path = Learner(1).save(tmp_path)
    (path / "weights.safetensors").write_bytes(b"")
    said: list[str] = []
    with pytest.raises(InputError, match="none of the 1 checkpoints can be used"):
        newest_checkpoint(tmp_path, said.append)
    assert len(said) == 1


def test_weights_that_are_no_numbers_are_never_saved(tmp_path: Path) -> None:
    learner = Learner(1)
    learner.save(tmp_path)
    with torch.no_grad():
        learner.model.output.weight[2, 3] = math.nan
    learner.step = 2
    with pytest.raises(Seq2seeError, match=r"not saved: output\.weight holds 1 values"):
        learner.save(tmp_path)
    assert names(tmp_path) == {"step-000001", "latest"}


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    path = Learner(1).save(tmp_path)
    model = nn.Linear(2, 3)
    with pytest.raises(InputError, match="not the tensors of this model"):
        restore_checkpoint(path, model, build_optimiser(model, training()))


def test_the_weights_of_an_unfinished_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has not come to its first checkpoint"):
        newest_weights(tmp_path, {})
    learner = Learner(2)
    learner.save(tmp_path)
    weights, step = newest_weights(tmp_path, expected_weights(learner.model))
    assert step == 2
    assert digest(weights) == digest(weights_of(learner.model))
    remove_checkpoints(tmp_path)
    assert not checkpoints_of(tmp_path).exists()
    remove_checkpoints(tmp_path)


numbers = st.floats() | st.just(math.nan)
counts = st.integers(0, 1 << 62)
texts = st.text(st.characters(codec="utf-8"), max_size=5)
developments = st.builds(
    Development,
    loss=numbers,
    scores=st.dictionaries(texts, numbers, max_size=2),
    key=numbers,
    samples=st.lists(st.dictionaries(texts, texts, max_size=2), max_size=2),
)
standings = st.builds(
    Standing,
    step=counts,
    epoch=counts,
    seconds=st.floats(0, 1e9),
    evaluations=st.lists(counts, max_size=3).map(tuple),
    best=st.none() | st.builds(Best, step=counts, development=developments),
    tally=st.builds(Tally, loss=st.floats(-1e300, 1e300), tokens=counts),
    precision=st.sampled_from(["", "float32", "bfloat16"]),
)


@settings(deadline=None, max_examples=60)
@example(Standing(best=Best(1, Development(math.inf, {"a": math.nan}, -math.inf, []))), {"\n": "é"})
@given(standing=standings, fingerprint=st.dictionaries(texts, texts, max_size=3))
def test_a_state_comes_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, standing: Standing, fingerprint: dict[str, str]
) -> None:
    snapshot = Snapshot(standing, fingerprint, (RandomState((0, 255), ()), RandomState((1,), (2, 3))))
    path = tmp_path_factory.mktemp("state") / "state.json"
    path.write_bytes(snapshot_json(snapshot))
    assert repr(read_snapshot(path)) == repr(snapshot)  # repr: NaN equals NaN, and floats are told exactly


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state["standing"].update(step="3"), r"standing\.step: "),
        (lambda state: state["standing"].update(code="x"), r"standing\.code: "),
        (lambda state: state.update(code="x"), "code: "),
        (lambda state: state.pop("random_states"), "random_states: "),
        (lambda state: state.update(fingerprint=[1]), "fingerprint: "),
    ],
)
def test_what_is_no_state_is_refused_by_name(tmp_path: Path, change: object, words: str) -> None:
    state = json.loads(snapshot_json(Learner(0).snapshot()))
    change(state)  # type: ignore[operator]
    path = tmp_path / "state.json"
    path.write_text(json.dumps(state))
    with pytest.raises(InputError, match=rf"state\.json is not the state of a training run: {words}"):
        read_snapshot(path)


def test_differences_are_listed_with_both_values() -> None:
    assert differences({"a": "1", "b": "2"}, {"a": "1", "b": "2"}) == []
    assert differences({"a": "1", "b": "2"}, {"a": "x", "c": "y" * 100}) == [
        'a: was "1", now "x"',
        'b: was "2", now not there',
        f'c: was not there, now "{"y" * 77}…"',
    ]


def test_random_numbers_go_on_where_they_were() -> None:
    seed(3, 0)
    torch.rand(5)
    state = read_random_state(CPU)
    expected = torch.rand(7)
    write_random_state(state, CPU)
    with unchanged_random_state(CPU):
        torch.rand(100)
    assert torch.equal(torch.rand(7), expected)


def test_a_state_from_a_gpu_is_of_use_on_a_cpu() -> None:
    state = read_random_state(CPU)
    torch.rand(3)
    write_random_state(replace(state, device=(1, 2, 3)), CPU)
    assert read_random_state(CPU) == state


def test_each_process_draws_numbers_of_its_own() -> None:
    drawn = []
    for number, rank in [(1, 0), (1, 1), (2, 0)]:
        seed(number, rank)
        drawn.append(torch.rand(4).tolist())
    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]


@pytest.mark.parametrize("cpu", [(), (1, 2, 3), (256,), (0,) * 5056])
def test_numbers_that_are_no_random_state_are_refused(cpu: tuple[int, ...]) -> None:
    state = read_random_state(CPU)
    with pytest.raises(InputError, match="random state cannot be used"):
        write_random_state(replace(state, cpu=cpu), CPU)
    assert read_random_state(CPU) == state
