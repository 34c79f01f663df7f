"""A trained translator in Python: predict, see, evaluate."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from seq2see.config.settings import SearchSettings, TranslateSettings
from seq2see.data.reading import open_pairs, read
from seq2see.data.tally import Tally
from seq2see.evaluation.result import Evaluation
from seq2see.models.seq2seq import Seq2Seq
from seq2see.tasks import seeing
from seq2see.tasks.prediction import Prediction, Translator, forbidden
from seq2see.tasks.prediction import predict as predict_texts
from seq2see.tasks.run import View, search_settings
from seq2see.tasks.scoring import evaluate_pairs, search_signature
from seq2see.tasks.writer_run import WriterRun, evaluation_settings
from seq2see.text.lexicon import Lexicon
from seq2see.text.tokeniser import TokeniserPair


@dataclass(frozen=True)
class TranslationRun(WriterRun):
    """A trained translator in its folder."""

    settings: TranslateSettings
    model: Seq2Seq
    tokenisers: TokeniserPair
    lexicon: Lexicon | None = None

    @property
    def translator(self) -> Translator:
        """The model and its tokenisers."""
        return Translator(self.model, self.tokenisers, self.settings.data.max_pieces, self.lexicon)

    def predict(
        self,
        text: str,
        *,
        prefix: str = "",
        forbid: Sequence[str] = (),
        search: SearchSettings | None = None,
    ) -> Prediction:
        """The model's answer to one text; for many, :meth:`stream` is faster.

        Args:
            text: what to answer; a blank one comes back unchanged.
            prefix: what every answer has to begin with.
            forbid: words no answer may contain.
            search: how to search; :func:`search_settings` lays choices over the run's own.
        """
        return next(self.stream([text], prefix=prefix, forbid=forbid, search=search))

    def stream(
        self,
        texts: Iterable[str],
        *,
        prefix: str = "",
        forbid: Sequence[str] = (),
        search: SearchSettings | None = None,
        first: int = 0,
        window: int = 1_024,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[Prediction]:
        """Answers one by one, in order, in constant memory; ``first`` is the number of the first text."""
        return predict_texts(
            self.translator,
            texts,
            search or self.settings.search,
            rules=forbidden(self.tokenisers.target, forbid),
            prefix=prefix,
            first=first,
            window=window,
            check=check,
        )

    def see(
        self, text: str, *, target: str | None = None, beam: int | None = None, search: SearchSettings | None = None
    ) -> View:
        """What the model looks at while it answers ``text``, or while it is given ``target`` to score."""
        search = search_settings(search or self.settings.search, beam=beam)
        record = seeing.see(
            self.translator,
            text,
            target=target,
            settings=search,
            model_name=self.settings.model.name,
            signature=search_signature(search),
        )
        return View(record)

    def evaluate(
        self,
        data: str | Path | None = None,
        *,
        source: Path | None = None,
        target: Path | None = None,
        columns: tuple[str, str] | None = None,
        beam: int | None = None,
        search: SearchSettings | None = None,
        metrics: Sequence[str] | None = None,
        tokenize: str | None = None,
        versus: "TranslationRun | None" = None,
        check: Callable[[], None] = lambda: None,
    ) -> Evaluation:
        """Scores with signatures and 95 % intervals on pairs the model has not seen.

        Args:
            data: a file of pairs, or ``source`` and ``target``, two line-parallel files.
            search: how to search, instead of each run's own way.
            metrics: instead of those the run was trained with.
            tokenize: BLEU's, instead of the run's own.
            versus: another run; is the difference significant?
        """
        settings, tally = self.settings, Tally()
        asked = columns or (None, None)
        pair_source = open_pairs(data, source, target, source_column=asked[0], target_column=asked[1], check=check)
        chosen = evaluation_settings(settings.evaluation, metrics, tokenize)
        result = evaluate_pairs(
            self.translator,
            [(pair.source, pair.target) for pair in read(pair_source, tally, check)],
            run=str(self.folder),
            data=pair_source.name,
            metrics=chosen.metrics,
            tokenize=chosen.tokenize,
            search=search_settings(search or settings.search, beam=beam),
            versus=(
                str(versus.folder),
                versus.translator,
                search_settings(search or versus.settings.search, beam=beam),
            )
            if versus
            else None,
            check=check,
        )
        return self.noted(result, versus, *pair_source.notes, *tally.sentences())
