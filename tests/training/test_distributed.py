import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks import CORPUS, SETTINGS
from tiny_training import lines, run, tiny, training

from seq2see.errors import InputError
from seq2see.training import distributed
from seq2see.training.distributed import World, join

Ranks = tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    """What two processes that torchrun started have found."""
    folder = tmp_path_factory.mktemp("ranks")
    script = Path(__file__).with_name("ranks.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    ended = subprocess.run(
        [*command, str(script), str(folder)], capture_output=True, text=True, env=environment, timeout=120
    )
    assert ended.returncode == 0, ended.stderr[-3_000:]
    first, second = (json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2))
    return first, second


def test_processes_exchange_what_they_need_to_agree(ranks: Ranks) -> None:
    for rank, found in enumerate(ranks):
        assert (found["rank"], found["size"]) == (rank, 2)
        exchanged = found["primitives"]
        assert exchanged["totals"] == [3.0, 1.0]
        assert exchanged["highest"] == [1.0, 0.0]
        assert exchanged["from_main"] == [10.0]
        assert exchanged["gathered"] == ["", "ab"]
        assert exchanged["copied"] == 1.0
        assert exchanged["weight"] == 3.0
        assert exchanged["bias"] == [0.0, 1.0, 2.0]
        assert exchanged["rounded"] == pytest.approx(1.0, abs=0.01)
        assert exchanged["rounded"] == float(torch.tensor(exchanged["rounded"]).bfloat16())
    assert ranks[0]["primitives"]["order"] < ranks[1]["primitives"]["order"]


@pytest.mark.parametrize(
    ("local_rank", "local_size", "machines", "machine"), [("1", "2", 2, 1), ("3", "4", 1, 0), ("0", "2", 1, 0)]
)
def test_machines_are_those_of_torchrun(
    monkeypatch: pytest.MonkeyPatch, local_rank: str, local_size: str, machines: int, machine: int
) -> None:
    """Number 3 of four processes; in the last row its place there is none that torchrun would give it."""
    monkeypatch.setenv("LOCAL_RANK", local_rank)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", local_size)
    monkeypatch.setattr(World, "highest", lambda self, values: list(values))
    placed = distributed._placed(World(3, 4, torch.device("cpu")))
    assert (placed.machines, placed.machine) == (machines, machine)


def test_two_processes_give_the_losses_of_one_with_the_same_batches(ranks: Ranks, tmp_path: Path) -> None:
    alone = run(tmp_path, training(**SETTINGS), corpus=CORPUS, model=tiny(dropout=0.0))
    expected, found = lines(tmp_path), ranks[0]["plain"]["lines"]
    assert len(expected) == len(found) == 7 + 3
    for ours, theirs in zip(expected, found, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ("step", "epoch", "target_tokens", "padding_share", "learning_rate"):
            assert ours.get(name) == theirs.get(name)
        for name in ("loss", "gradient_norm", "dev_loss"):
            if name in ours:
                assert ours[name] == pytest.approx(theirs[name], abs=1e-5)
    assert alone.steps == 7


def test_rounded_gradients_give_nearly_the_same_losses(ranks: Ranks) -> None:
    plain, rounded = ([line for line in ranks[0][name]["lines"] if "loss" in line] for name in ("plain", "rounded"))
    apart = [abs(ours["loss"] - theirs["loss"]) for ours, theirs in zip(plain, rounded, strict=True)]
    assert 0 < max(apart) < 0.02


def test_all_processes_have_the_same_weights_at_the_end(ranks: Ranks) -> None:
    for name in ("plain", "dropout", "stopped", "nan", "memory", "rounded"):
        assert ranks[0][name]["digest"] == ranks[1][name]["digest"]
        assert ranks[0][name]["reason"] == ranks[1][name]["reason"]


def test_a_signal_in_one_process_stops_all_and_the_resumed_run_is_the_same(ranks: Ranks) -> None:
    for found in ranks:
        assert found["stopped"]["code"] == 143
        assert "stopped by SIGTERM after step " in found["stopped"]["text"]
        assert found["stopped"]["digest"] == found["dropout"]["digest"]
        assert found["stopped"]["lines"] == found["dropout"]["lines"]


def test_a_bad_loss_in_one_process_makes_all_of_them_skip(ranks: Ranks) -> None:
    warnings = [line for line in ranks[0]["nan"]["lines"] if "warning" in line]
    assert len(warnings) == 1
    assert "loss nan" in warnings[0]["warning"]
    assert ranks[0]["nan"]["digest"] != ranks[0]["dropout"]["digest"]


def test_a_process_that_runs_out_of_memory_does_not_keep_the_others_waiting(ranks: Ranks) -> None:
    plain, split = ([line for line in ranks[0][name]["lines"] if "loss" in line] for name in ("plain", "memory"))
    for ours, theirs in zip(plain, split, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-5)
    warnings = [line for line in ranks[0]["memory"]["lines"] if "warning" in line]
    assert ["computed in halves" in line["warning"] for line in warnings] == [True]


def test_one_process_is_a_world_of_its_own() -> None:
    with join(torch.device("cpu")) as world:
        assert (world.rank, world.size, world.main) == (0, 1, True)
        assert world.gather(b"x") == [b"x"]
        assert world.totals([1.0, 2.0]) == world.highest([1.0, 2.0]) == world.from_main([1.0, 2.0]) == [1.0, 2.0]
        module = torch.nn.Linear(2, 3)
        module.weight.grad = torch.ones(3, 2)
        world.sum_gradients(module.parameters())
        assert module.weight.grad.sum() == 6
        assert module.bias.grad is None
        with world.main_first():
            pass


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE", "LOCAL_RANK"])
@pytest.mark.parametrize("value", ["x", "-1", ""])
def test_an_environment_that_torchrun_does_not_make_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=rf"{name}='{value}'"), join(torch.device("cpu")):
        pass


def test_a_rank_outside_the_world_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="RANK=2 with WORLD_SIZE=2"), join(torch.device("cpu")):
        pass


def test_gradients_travel_in_pieces_of_one_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "_PIECE", 10)
    gradients = [
        torch.zeros(4),
        torch.zeros(2, 3),
        torch.zeros(1),
        torch.zeros(99),
        torch.zeros(1),
        torch.zeros(1, dtype=torch.float64),
    ]
    pieces = list(distributed._pieces(gradients))
    assert [[gradient.numel() for gradient in piece] for piece in pieces] == [[4, 6], [1], [99], [1], [1]]


def test_a_checkpoint_of_other_processes_is_used_and_said(tmp_path: Path) -> None:
    # A run of one process whose checkpoint pretends to be of two.
    from seq2see.training.loop import _set_random_state
    from seq2see.training.random_state import read_random_state
    from seq2see.training.standing import Snapshot, Standing

    state = read_random_state(torch.device("cpu"))
    said: list[str] = []
    world = World(0, 1, torch.device("cpu"))
    _set_random_state(world, 1, Snapshot(Standing(), {}, (state, state)), lambda text, warning: said.append(text))
    assert said == [
        "the checkpoint is of 2 processes, now there are 1: training goes on, but not with the same random numbers"
    ]
    assert read_random_state(torch.device("cpu")) == state
