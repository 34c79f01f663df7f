"""A trained translator in Python: predict, see, evaluate."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from seq2see.config.settings import SearchSettings, TranslateSettings
from seq2see.data.reading import open_pairs, read
from seq2see.data.tally import Tally
from seq2see.errors import InputError
from seq2see.evaluation.result import Evaluation
from seq2see.models.seq2seq import Seq2Seq
from seq2see.tasks import seeing
from seq2see.tasks.prediction import Prediction, Translator, forbidden
from seq2see.tasks.prediction import predict as predict_texts
from seq2see.tasks.run import View, search_settings
from seq2see.tasks.scoring import evaluate_pairs, search_signature
from seq2see.tasks.writer_run import WriterRun, evaluation_settings
from seq2see.text.lexicon import Lexicon, load_lexicon
from seq2see.text.tokeniser import TokeniserPair


@dataclass(frozen=True)
class TranslationRun(WriterRun):
    """A trained translator in its folder."""

    settings: TranslateSettings
    model: Seq2Seq
    tokenisers: TokeniserPair

    @cached_property
    def lexicon(self) -> Lexicon:
        """What `seq2see shortlist` has learned; read when it is asked for.

        Raises:
            InputError: nothing was learned, or the file is damaged.
        """
        found = load_lexicon(self.folder, self.tokenisers.source.size, self.tokenisers.target.size)
        if found is None:
            raise InputError(f"{self.folder}: this run has no short-list; `seq2see shortlist {self.folder}` learns one")
        return found

    def translator(self, search: SearchSettings | None = None) -> Translator:
        """The model with all that it needs to be asked by ``search``.

        Raises:
            InputError: a short-list is wanted, and there is none.
        """
        lexicon = self.lexicon if search is not None and search.shortlist else None
        return Translator(self.model, self.tokenisers, self.settings.data.max_pieces, lexicon)

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
        search = search or self.settings.search
        return predict_texts(
            self.translator(search),
            texts,
            search,
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
        if target is not None:  # which is looked at as it is: nothing is searched
            search = search.model_copy(update={"shortlist": 0})
        record = seeing.see(
            self.translator(search),
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
        own = search_settings(search or settings.search, beam=beam)
        theirs = None if versus is None else search_settings(search or versus.settings.search, beam=beam)
        result = evaluate_pairs(
            self.translator(own),
            [(pair.source, pair.target) for pair in read(pair_source, tally, check)],
            run=str(self.folder),
            data=pair_source.name,
            metrics=chosen.metrics,
            tokenize=chosen.tokenize,
            search=own,
            versus=(str(versus.folder), versus.translator(theirs), theirs) if versus and theirs else None,
            check=check,
        )
        return self.noted(result, versus, *pair_source.notes, *tally.sentences())
