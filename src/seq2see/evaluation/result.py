"""What evaluating a run gives: scores with their signatures, quality against length, a comparison; as data."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from seq2see.evaluation.lengths import Bucket
from seq2see.evaluation.metrics import Score
from seq2see.evaluation.significance import Comparison
from seq2see.storage.atomic import write_atomic


@dataclass(frozen=True)
class Evaluation:
    """What a run scores on a set of examples.

    Attributes:
        signature: how the hypotheses came about.
        examples: what the figures are of, such as ``"1,014 sources"``.
        lengths: ``length_metric`` by the length of the source; empty where there is no such thing.
        comparisons: ``first`` is the run ``versus``, ``second`` this one: a positive difference is in favour of
            this one (of an error rate: against it).
        versus_lengths: the same as ``lengths`` of that other run.
        sources, hypotheses, references: the examples themselves; empty where they are no texts.
        details: further figures by name, ready for JSON.
        notes: what a person should know of the run and the data.
    """

    run: str
    data: str
    signature: str
    scores: tuple[Score, ...]
    examples: str
    lengths: tuple[Bucket, ...] = ()
    length_metric: str = "score"
    comparisons: tuple[Comparison, ...] = ()
    versus: str = ""
    versus_lengths: tuple[Bucket, ...] = ()
    sources: tuple[str, ...] = ()
    hypotheses: tuple[str, ...] = ()
    references: tuple[tuple[str, ...], ...] = ()
    details: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> float:
        """The value of a metric by its name."""
        return {score.name: score.value for score in self.scores}[name]

    def write_json(self, path: Path) -> None:
        """Every figure, and each source with its hypothesis and references."""
        write_atomic(path, json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n")
