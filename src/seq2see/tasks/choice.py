"""What every task makes of its data before anything is trained: settings, and why they are so."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from seq2see.config.settings import Settings

AnySettings = TypeVar("AnySettings", bound=Settings)


@dataclass(frozen=True)
class Choice(Generic[AnySettings]):
    """Settings, complete, and a sentence for each value that was computed."""

    settings: AnySettings
    reasons: tuple[str, ...]
