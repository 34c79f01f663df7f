"""A trained tagger in Python: predict, stream, see, evaluate.

S tokens · C labels · D width
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Unpack, cast

import torch

from seq2see.config.tag import TagSettings
from seq2see.data.tag_labels import Labels
from seq2see.data.tally import Tally
from seq2see.data.treebank import open_treebank, read_sentences
from seq2see.errors import InputError
from seq2see.evaluation.result import Evaluation
from seq2see.models.tagger import Tagger
from seq2see.tasks.labelling import (
    Labeller,
    Tagged,
    TaggedToken,
    label,
    log_probs,
    require_streaming,
    side_by_side,
    stream,
)
from seq2see.tasks.run import Answer, Asked, Held, Look, Run, Shown, View
from seq2see.tasks.tag_scoring import Other, evaluate_sentences
from seq2see.text.spelling import Spelling
from seq2see.viewing.record import Record, Rows, RunnerUp, Side, Weights
from seq2see.viewing.traces import trace_lines

_RUNNERS_UP = 5
_MOST_SHOWN = 400  # tokens of a record


@dataclass(frozen=True)
class TagView(View):
    """A tagger's record: of a Transformer, the picture is what each token looked at.

    Of a recurrent network, text with a ``layer`` shows the gates and states of that layer.
    """

    def _drawn(self, **look: Unpack[Look]) -> str:
        drawn, layer = super()._drawn(**look), look["layer"]
        if layer is None or not self.record.traces:
            return drawn
        within = f"layer {layer} "
        named = ((name, rows) for name, rows in self.record.traces.items() if name.startswith(within))
        traces = {name.removeprefix(within): rows for name, rows in named}
        if not traces:
            raise InputError(f"layer {layer} was asked for; the model has fewer")
        # The states stand below the tokens that they are of.
        shown = replace(self.record, target=self.record.source, traces=traces)
        return "\n".join([drawn, "", *trace_lines(shown, width=look["width"], unicode=look["unicode"])])

    def _figure(self, path: Path, **shown: Unpack[Shown]) -> tuple[str, ...]:
        from seq2see.viewing.figure import draw_heat_map  # brings matplotlib along

        return draw_heat_map(self.record, path, kind="encoder", **shown)


@dataclass(frozen=True)
class TagRun(Run):
    """A trained tagger in its folder."""

    settings: TagSettings
    model: Tagger
    spelling: Spelling
    labels: Labels

    @cached_property
    def labeller(self) -> Labeller:
        """The model with what it knows of words and labels."""
        return Labeller(self.model, self.spelling, self.labels)

    def answers(
        self, inputs: Iterable[str], asked: Asked, *, window: int = 1_024, check: Callable[[], None] = lambda: None
    ) -> Iterator[Answer]:
        """See :meth:`Run.answers`. An input is a sentence, its tokens separated by blanks; with ``stream``, a token."""
        asked.refuse("tag", "stream")
        if asked.stream:
            require_streaming(self.model)
            return self._streamed(inputs, check)
        return self._answered(inputs, window, check)

    def _answered(self, inputs: Iterable[str], window: int, check: Callable[[], None]) -> Iterator[Answer]:
        remaining = iter(inputs)
        while lines := list(islice(remaining, window)):
            found = label(self.labeller, [line.split() for line in lines], check)
            for line, each in zip(lines, found, strict=True):
                facts = {"tokens": each.tokens, "labels": each.labels, "probabilities": each.probabilities}
                yield Answer((str(each) if each.tokens else line,), {"source": line, **facts})

    def _streamed(self, tokens: Iterable[str], check: Callable[[], None]) -> Iterator[Answer]:
        for each in stream(self.labeller, (token.strip() for token in tokens)):
            check()
            if each is None:
                yield Answer(("",), {"token": "", "label": ""})
            else:
                facts = {"token": each.token, "label": each.label, "probability": each.probability}
                yield Answer((each.label,), facts)

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
        """See :meth:`Run.score`. All scores there are come at once."""
        asked.refuse("tag")
        if metrics or tokenize:
            raise InputError("--metrics and --tokenize: a tagger has all its scores computed at once; leave them out")
        if held.data is None or held.source is not None or held.target is not None:
            raise InputError(
                "a tagger is evaluated on one file of labelled sentences; name it: seq2see evaluate RUN DATA"
            )
        return self.evaluate(held.data, columns=held.columns, versus=self.rival(versus), check=check)

    def view(self, text: str, *, target: str | None = None, asked: Asked | None = None) -> View:
        """See :meth:`Run.view`. A target has as many labels, separated by blanks, as the text has tokens."""
        (asked or Asked()).refuse("tag")
        return self.see(text, labels=None if target is None else target.split())

    def predict(self, sentence: str | Sequence[str]) -> Tagged:
        """A label for each token of one sentence; a text is cut at white space. For many, :meth:`label` is faster."""
        return self.label([_tokens(sentence)])[0]

    def label(self, sentences: Sequence[Sequence[str]], check: Callable[[], None] = lambda: None) -> list[Tagged]:
        """A label for each token of each sentence."""
        return label(self.labeller, sentences, check)

    def stream(self, tokens: Iterable[str]) -> Iterator[TaggedToken | None]:
        """A label for each token as soon as it comes; a blank one ends a sentence. For a model of one direction."""
        return stream(self.labeller, tokens)

    def evaluate(
        self,
        data: str | Path,
        *,
        columns: tuple[str, str] | None = None,
        versus: "TagRun | None" = None,
        check: Callable[[], None] = lambda: None,
    ) -> Evaluation:
        """Scores with signatures and 95 % intervals on labelled sentences the model has not seen.

        Args:
            columns: of tokens and labels, instead of those the run was trained with.
            versus: another tagger; is the difference significant?
        """
        rules, tally = self.settings.data, Tally()
        file = open_treebank(data, columns or rules.columns, max_line_bytes=rules.max_line_bytes, check=check)
        sentences = list(read_sentences(file, tally, check))
        said = (
            self.note,
            versus.note if versus else "",
            *file.notes,
            *(f"{file.name}: {t}" for t in tally.sentences()),
        )
        return evaluate_sentences(
            self.labeller,
            sentences,
            run=str(self.folder),
            data=file.name,
            metric=self.settings.evaluation.metric,
            versus=Other(str(versus.folder), versus.labeller) if versus else None,
            notes=[note for note in said if note],
            check=check,
        )

    def see(self, sentence: str | Sequence[str], *, labels: Sequence[str] | None = None) -> View:
        """The label of each token, how sure the model was, what came next, and what it looked at or remembered.

        Raises:
            InputError: no token or too many; ``labels`` that are too few, too many, or unknown.
        """
        tokens = _tokens(sentence)
        if not 1 <= len(tokens) <= _MOST_SHOWN:
            raise InputError(f"the sentence has {len(tokens):,} tokens; from 1 to {_MOST_SHOWN} can be seen")
        if labels is not None:
            self._check(tokens, labels)
        return TagView(self._record(tokens, labels))

    def _check(self, tokens: Sequence[str], labels: Sequence[str]) -> None:
        if len(labels) != len(tokens):
            raise InputError(f"{len(labels)} labels for {len(tokens)} tokens; give one for each, with blanks between")
        if unknown := self.labels.unknown(labels):
            known = ", ".join(self.labels.names[:20])
            raise InputError(f"the model has no label {unknown[0]!r}; it has {known}")

    def _record(self, tokens: Sequence[str], labels: Sequence[str] | None) -> Record:
        labeller = self.labeller
        ((_, log_probs_SC),) = log_probs(labeller, [tokens])
        said = labeller.tagged(tokens, log_probs_SC).labels if labels is None else tuple(labels)
        chosen = [float(row_C[self.labels.numbers[name]]) for row_C, name in zip(log_probs_SC, said, strict=True)]
        attention, traces = self._looked(tokens)
        return Record(
            task="tag",
            model=self.settings.model.name,
            source=_side(tokens),
            target=_side(said),
            attention=attention,
            log_probs=tuple(chosen),
            runners_up=tuple(self._best(row_C) for row_C in log_probs_SC),
            signature=labeller.signature,
            given=labels is not None,
            traces=traces,
        )

    def _best(self, log_probs_C: torch.Tensor) -> tuple[RunnerUp, ...]:
        values, numbers = log_probs_C.topk(min(_RUNNERS_UP, len(self.labels)))
        return tuple((self.labels.names[n], v) for n, v in zip(numbers.tolist(), values.tolist(), strict=True))

    @torch.inference_mode()
    def _looked(self, tokens: Sequence[str]) -> tuple[dict[str, Weights], dict[str, Rows]]:
        """A Transformer's attention; the gates and states of a recurrent network."""
        words, index_BS, valid_BS = side_by_side(self.spelling, [tokens], self.labeller.device)
        weights = self.model.read(words, index_BS, valid_BS, want_weights=True).weights
        attention = {kind: cast(Weights, each[0].float().cpu().tolist()) for kind, each in weights.items()}
        traces: dict[str, Rows] = {}
        for layer, directions in enumerate(self.model.trace(words, index_BS, valid_BS), start=1):
            for trace, direction in zip(directions, ("forwards", "backwards"), strict=False):
                states = {**trace.gates, "hidden": trace.hidden_NTD}
                if trace.cell_NTD is not None:
                    states["cell"] = trace.cell_NTD
                for name, values_NTD in states.items():
                    traces[f"layer {layer} {direction} {name}"] = cast(Rows, values_NTD[0].float().cpu().tolist())
        return attention, traces


def _tokens(sentence: str | Sequence[str]) -> list[str]:
    return sentence.split() if isinstance(sentence, str) else list(sentence)


def _side(pieces: Sequence[str]) -> Side:
    """Tokens, or labels, as a side of a record: one word each, a blank between them."""
    spans, start = [], 0
    for piece in pieces:
        spans.append((start, start + len(piece)))
        start += len(piece) + 1
    return Side(" ".join(pieces), tuple(pieces), tuple(spans), tuple(spans), (False,) * len(pieces))
