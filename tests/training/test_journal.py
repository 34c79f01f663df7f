import errno
import json
import math
import os
from pathlib import Path

import pytest

from seq2see.errors import Seq2seeError
from seq2see.training import journal as journal_module
from seq2see.training.journal import Journal, evaluation_line, interval, training_line, warning_line
from seq2see.training.progress import Development, Progress

PROGRESS = Progress(
    step=3,
    epoch=0.5,
    fraction=0.25,
    seconds=2.0,
    eta_seconds=6.0,
    learning_rate=0.1,
    target_tokens=70,
    loss=1.5,
    target_tokens_per_second=35.0,
    padding_share=0.125,
    gradient_norm=0.75,
)


def filled(path: Path, steps: int) -> None:
    with Journal(path) as journal:
        for step in range(1, steps + 1):
            journal.write({"step": step, "loss": step / 7})


def steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_each_object_is_a_line_that_others_can_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with Journal(path) as journal:
        journal.write({"step": 1, "text": "한국어\u2028\n"})
        assert path.read_text() == '{"step": 1, "text": "한국어\u2028\\n"}\n'
        journal.write({"step": 2})
        journal.sync()
        assert journal.lines == 2
        assert path.read_bytes().count(b"\n") == 2


def test_lines_say_what_the_guide_says() -> None:
    assert training_line(PROGRESS) == {
        "step": 3,
        "epoch": 0.5,
        "seconds": 2.0,
        "loss": 1.5,
        "learning_rate": 0.1,
        "target_tokens": 70,
        "target_tokens_per_second": 35.0,
        "padding_share": 0.125,
        "gradient_norm": 0.75,
    }
    development = Development(2.5, {"bleu": 41.0, "loss": 9.0, "key": 9.0}, 41.0, [{"source": "a"}])
    assert evaluation_line(PROGRESS, development, averaged=5) == {
        "step": 3,
        "epoch": 0.5,
        "seconds": 2.0,
        "averaged": 5,
        "dev_bleu": 41.0,
        "dev_loss": 2.5,
        "dev_key": 41.0,
        "samples": [{"source": "a"}],
    }
    assert "averaged" not in evaluation_line(PROGRESS, development)
    assert warning_line(PROGRESS, "careful") == {"step": 3, "epoch": 0.5, "seconds": 2.0, "warning": "careful"}


def test_what_is_no_number_is_null(tmp_path: Path) -> None:
    with Journal(tmp_path / "m") as journal:
        journal.write({"step": 1, "a": math.nan, "b": [math.inf, {"c": -math.inf}], "d": 0.1})
    content = (tmp_path / "m").read_text()
    assert json.loads(content) == {"step": 1, "a": None, "b": [None, {"c": None}], "d": 0.1}
    assert "NaN" not in content


def test_a_new_run_begins_an_empty_journal_and_a_resumed_one_keeps_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "m"
    filled(path, 9)
    with Journal(path, lines=4, step=4) as journal:
        assert journal.lines == 4
        journal.write({"step": 5})
    assert steps(path) == [1, 2, 3, 4, 5]
    with Journal(path):
        assert path.read_bytes() == b""


def test_lines_of_later_steps_are_cut_even_if_they_were_counted(tmp_path: Path) -> None:
    path = tmp_path / "m"
    filled(path, 9)
    with Journal(path, lines=8, step=4) as journal:
        assert journal.lines == 4
    assert steps(path) == [1, 2, 3, 4]


@pytest.mark.parametrize("torn", ['{"step": 3, "lo', "\x00\x00\x00", '{"step": 3}', "[]\n", "\xff\n", "[[[[\n"])
def test_a_torn_last_line_is_no_line(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "m"
    filled(path, 2)
    with path.open("ab") as file:
        file.write(torn.encode("latin-1"))
    with Journal(path, lines=3, step=3) as journal:
        assert journal.lines == 2
        journal.write({"step": 3})
    assert steps(path) == [1, 2, 3]


def test_a_lost_journal_does_not_stop_a_resume(tmp_path: Path) -> None:
    with Journal(tmp_path / "m", lines=100, step=100) as journal:
        journal.write({"step": 101})
    assert steps(tmp_path / "m") == [101]


def test_other_processes_write_nothing(tmp_path: Path) -> None:
    with Journal(None, lines=3, step=3) as journal:
        journal.write({"step": 1})
        journal.sync()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Journal(tmp_path / "m") as journal:
        journal.write({"step": 1})
        monkeypatch.setattr(journal_module.os, "fsync", full)
        with pytest.raises(Seq2seeError, match=r"disk full: need .*/m"):
            journal.sync()
        monkeypatch.undo()


def test_lines_come_at_steps_that_depend_on_nothing_else() -> None:
    written = [step for step in range(1, 12_001) if step % interval(step) == 0]
    assert written[:1_000] == list(range(1, 1_001))
    assert written[1_000:1_003] == [1_010, 1_020, 1_030]
    assert written[-3:] == [11_800, 11_900, 12_000]
    assert len(written) == 1_000 + 900 + 20
