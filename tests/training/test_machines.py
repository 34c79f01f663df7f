"""Two machines, one process each: every one reads its own rows, and they train as one would."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

STEPS = 6


def command(data: Path, out: Path) -> list[str]:
    sizes = ("text.kind=char", "model.encoder.width=8", "model.decoder.width=8", "training.batch_tokens=256")
    settings = (*sizes, "model.dropout=0", "training.precision=float32", "training.evaluate_every=100")
    train = ["-m", "seq2see", "train", str(data), "--out", str(out), "--model", "lstm-attention", "--steps", str(STEPS)]
    return [sys.executable, *train, *(part for each in settings for part in ("--set", each))]


def losses(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def test_two_machines(tmp_path: Path) -> None:
    data = tmp_path / "pairs.tsv"
    data.write_text("".join(f"{row:04d}\t{row * 7919 % 100003:05d}\n" for row in range(400)), encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command(data, tmp_path / "one"), check=True, capture_output=True, env=environment, timeout=120)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo"}
    places |= {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    both = [
        subprocess.Popen(
            command(data, tmp_path / "two"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environment, **places, "RANK": str(rank)},
        )
        for rank in range(2)
    ]
    for process in both:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said[-3_000:]
    assert len(losses(tmp_path / "two")) >= 3
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
