"""A trained translator in Python: predict, see, evaluate."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seq2see.config.settings import EvaluationSettings, SearchSettings, TranslateSettings
from seq2see.config.toml import merged, parse
from seq2see.data.reading import open_pairs, read
from seq2see.data.tally import Tally
from seq2see.errors import InputError
from seq2see.evaluation.result import Evaluation
from seq2see.models.seq2seq import Seq2Seq
from seq2see.search.rules import ForbidWords, Rule
from seq2see.tasks import seeing
from seq2see.tasks.prediction import Prediction, Translator, single_line
from seq2see.tasks.prediction import predict as predict_texts
from seq2see.tasks.run import Answer, Asked, Held, Run, View, search_settings
from seq2see.tasks.scoring import evaluate_pairs, search_signature
from seq2see.text.tokeniser import UNK, TokeniserPair


@dataclass(frozen=True)
class TranslationRun(Run):
    """A trained translator in its folder."""

    settings: TranslateSettings
    model: Seq2Seq
    tokenisers: TokeniserPair

    @property
    def translator(self) -> Translator:
        """The model and its tokenisers."""
        return Translator(self.model, self.tokenisers, self.settings.data.max_pieces)

    def answers(
        self, inputs: Iterable[str], asked: Asked, *, window: int = 1_024, check: Callable[[], None] = lambda: None
    ) -> Iterator[Answer]:
        """See :meth:`Run.answers`. Each input has as many lines as the n-best list is long."""
        asked.refuse("translate", *asked.search, "assignments", "prefix", "forbid")
        search = asked.settings(self.settings.search)
        for each in self.stream(
            inputs, prefix=asked.prefix, forbid=asked.forbid, search=search, window=window, check=check
        ):
            texts = [single_line(one.text) for one in (each, *each.alternatives)]
            # A blank text has one answer only; nobody could tell whose the lines are if there were fewer.
            lines = texts + [""] * (search.nbest - len(texts))
            yield Answer(tuple(lines), {"source": each.source, **_facts(each)})

    def score(
        self,
        held: Held,
        *,
        asked: Asked,
        metrics: Sequence[str] | None = None,
        tokenize: str | None = None,
        versus: Run | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Evaluation:
        """See :meth:`Run.score`."""
        if versus is not None and not isinstance(versus, TranslationRun):
            raise InputError(f"{versus.folder} is a run of the task {versus.settings.task}, this one of translate")
        return self.evaluate(
            held.data,
            source=held.source,
            target=held.target,
            columns=held.columns,
            search=asked.settings(self.settings.search) if asked.search or asked.assignments else None,
            metrics=metrics,
            tokenize=tokenize,
            versus=versus,
            check=check,
        )

    def view(self, text: str, *, target: str | None = None, asked: Asked | None = None) -> View:
        """See :meth:`Run.view`."""
        asked = asked or Asked()
        return self.see(text, target=target, search=asked.settings(self.settings.search))

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
        window: int = 1_024,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[Prediction]:
        """Answers one by one, in order, in constant memory."""
        return predict_texts(
            self.translator,
            texts,
            search or self.settings.search,
            rules=self._rules(forbid),
            prefix=prefix,
            window=window,
            check=check,
        )

    def _rules(self, forbid: Sequence[str]) -> list[Rule]:
        target = self.tokenisers.target
        # A word is another piece at the start of a sentence than after a blank.
        spellings = {target.encode(form).ids for word in forbid if word.strip() for form in (word, " " + word)}
        # What the model has no piece for, it cannot write.
        known = sorted(ids for ids in spellings if UNK not in ids)
        return [ForbidWords(tuple(known))] if known else []

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
        chosen = parse(
            EvaluationSettings,
            merged(settings.evaluation.model_dump(mode="json"), _evaluation(metrics, tokenize)),
        )
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
        said = (self.note, versus.note if versus else "", *pair_source.notes, *tally.sentences())
        return replace(result, notes=tuple(note for note in said if note))


def _evaluation(metrics: Sequence[str] | None, tokenize: str | None) -> dict[str, object]:
    given = {"metrics": list(metrics) if metrics else None, "tokenize": tokenize}
    return {name: value for name, value in given.items() if value is not None}


def _facts(prediction: Prediction) -> dict[str, object]:
    facts: dict[str, object] = {
        "text": prediction.text,
        "score": prediction.score,
        "finished": prediction.finished,
        "pieces": prediction.pieces,
        "log_probs": prediction.log_probs,
    }
    if prediction.alternatives:
        facts["alternatives"] = [_facts(each) for each in prediction.alternatives]
    return facts
