"""TensorBoard as an option: the same figures as in the journal, for those who watch them there."""

from pathlib import Path
from typing import Any

from seq2see.errors import InputError
from seq2see.training.progress import Evaluated, Progress


class TensorBoard:
    """Writes figures of each update and evaluation; call it with each :class:`Progress`, close it at the end.

    ``writer`` is a ``torch.utils.tensorboard.SummaryWriter``, as :func:`open_tensorboard` makes it.
    """

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def __call__(self, progress: Progress) -> None:
        figures = {
            "train/loss": progress.loss,
            "train/gradient_norm": progress.gradient_norm,
            "train/learning_rate": progress.learning_rate,
            "train/target_tokens_per_second": progress.target_tokens_per_second,
        }
        if not progress.events:
            self._add(figures, progress.step)
        for event in progress.events:
            if isinstance(event, Evaluated):
                scores = {f"dev/{name}": value for name, value in event.development.scores.items()}
                self._add({"dev/loss": event.development.loss, **scores}, event.step)

    def close(self) -> None:
        """Flush and end."""
        self._writer.close()

    def _add(self, figures: dict[str, float | None], step: int) -> None:
        for name, value in figures.items():
            if value is not None:
                self._writer.add_scalar(name, value, step)


def open_tensorboard(folder: Path) -> TensorBoard:
    """A TensorBoard log in ``folder``.

    Raises:
        InputError: TensorBoard is not installed.
    """
    require_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    return TensorBoard(SummaryWriter(str(folder)))


def require_tensorboard() -> None:
    """Raise InputError if TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: F401
    except ImportError as error:
        raise InputError("TensorBoard is not installed; `pip install seq2see[tensorboard]` adds it") from error
