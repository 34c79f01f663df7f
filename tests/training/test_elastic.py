"""torchrun starts the processes again when one of them has died: the run goes on as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from _pytest.monkeypatch import MonkeyPatch

from seq2see.storage.tensors import load_tensors
from seq2see.tasks.request import TrainRequest
from seq2see.tasks.resuming import after_restart
from seq2see.training.checkpoint import snapshots

STEPS = 40


def command(data: Path, out: Path) -> list[str]:
    train = ["-m", "seq2see", "train", str(data), "--out", str(out), "--model", "lstm-attention", "--steps", str(STEPS)]
    sizes = ("text.kind=char", "model.encoder.width=8", "model.decoder.width=8", "training.batch_tokens=256")
    # Checkpoints come with evaluations; a run that is ended by force should have one behind it.
    settings = (*sizes, "training.evaluate_every=5", "evaluation.dev_sentences=4", "training.precision=float32")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "1"]
    return [sys.executable, *launcher, *train, *(part for each in settings for part in ("--set", each))]


def worker(launcher: int, rank: int) -> int:
    """The process of this rank that torchrun has started."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    (found,) = (each for each in children if f"\0RANK={rank}\0" in Path(f"/proc/{each}/environ").read_text())
    return int(found)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers in Linux's /proc")
def test_one_of_two_workers_is_killed(tmp_path: Path) -> None:
    data = tmp_path / "pairs.tsv"
    data.write_text("".join(f"{row:04d}\t{row:04d}\n" for row in range(400)), encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(data, whole), check=True, capture_output=True, env=environment, timeout=120)
    process = subprocess.Popen(
        command(data, broken), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    deadline = time.monotonic() + 60
    while not snapshots(broken) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(worker(process.pid, 1), signal.SIGKILL)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said[-30_000:]
    assert "resumed from the checkpoint of step" in said, said
    # The other one was either waiting for the one that died, or had time to be told.
    assert "another process of this training has ended" in said or "stopped by SIGTERM" in said
    expected = load_tensors(whole / "weights.safetensors", None)
    found = load_tensors(broken / "weights.safetensors", None)
    assert expected.keys() == found.keys()
    assert all(expected[name].equal(found[name]) for name in expected)


def test_a_restart_goes_on_with_the_newest_run(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    request = TrainRequest(data="pairs.tsv")
    for name in ("pairs", "pairs-2"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.toml").write_text("")
    assert after_restart(request, "pairs") is request
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    restarted = after_restart(request, "pairs")
    assert restarted.resume and restarted.out == Path("runs/pairs-2")
    fresh = TrainRequest(data="pairs.tsv", out=Path("elsewhere"))
    assert after_restart(fresh, "pairs") is fresh
