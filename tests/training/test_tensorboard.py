import sys
from pathlib import Path

import pytest

from seq2see.errors import InputError
from seq2see.training.progress import Development, Evaluated, Progress, Said
from seq2see.training.tensorboard import TensorBoard, open_tensorboard


class Writer:
    """What TensorBoard would have been told."""

    def __init__(self) -> None:
        self.figures: list[tuple[str, float, int]] = []
        self.closed = False

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.figures.append((name, value, step))

    def close(self) -> None:
        self.closed = True


def test_updates_and_evaluations_are_written_and_sentences_are_not() -> None:
    writer = Writer()
    board = TensorBoard(writer)
    board(Progress(3, 0.1, 0.2, 4.0, None, 0.5, 70, loss=1.5))
    board(Progress(3, 0.1, 0.2, 4.0, None, 0.5, 70, loss=1.5, events=(Said("a sentence"),)))
    development = Development(2.5, {"bleu": 41.0}, 41.0, [])
    board(Progress(4, 0.1, 0.2, 4.0, None, 0.5, 70, events=(Evaluated(4, development, True),)))
    board.close()
    assert writer.figures == [
        ("train/loss", 1.5, 3),
        ("train/learning_rate", 0.5, 3),
        ("dev/loss", 2.5, 4),
        ("dev/bleu", 41.0, 4),
    ]
    assert writer.closed


def test_a_missing_package_is_said_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"pip install seq2see\[tensorboard\]"):
        open_tensorboard(tmp_path)
