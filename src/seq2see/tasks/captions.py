"""A trained writer of captions in Python: predict, see, evaluate."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from seq2see.config.images import CaptionSettings
from seq2see.config.settings import SearchSettings
from seq2see.data.images import open_pictures
from seq2see.data.picture_files import picture_files
from seq2see.data.pictures import Raw, fitted
from seq2see.evaluation.result import Evaluation
from seq2see.models.captioner import Captioner
from seq2see.search.rules import Rule
from seq2see.tasks.caption_scoring import evaluate_captions, untrained
from seq2see.tasks.caption_seeing import see_captioned
from seq2see.tasks.captioning import Describer, captions_of, described
from seq2see.tasks.gallery import AT_ONCE, exhibited
from seq2see.tasks.neighbours import Neighbours
from seq2see.tasks.picture_views import PictureView
from seq2see.tasks.prediction import Prediction, forbidden, forced_ids, worded
from seq2see.tasks.run import search_settings
from seq2see.tasks.writer_run import WriterRun, evaluation_settings
from seq2see.text.tokeniser import Tokeniser


@dataclass(frozen=True)
class CaptionRun(WriterRun):
    """A trained writer of captions in its folder. An input is the path of a picture."""

    settings: CaptionSettings
    model: Captioner
    tokeniser: Tokeniser

    @property
    def describer(self) -> Describer:
        """The model and its tokeniser."""
        return Describer(self.model, self.tokeniser)

    def predict(self, path: str | Path, *, search: SearchSettings | None = None) -> Prediction:
        """A caption for the picture at ``path``; for many, :meth:`stream` is faster."""
        return next(self.stream([str(path)], search=search))

    def stream(
        self,
        paths: Iterable[str],
        *,
        prefix: str = "",
        forbid: Sequence[str] = (),
        search: SearchSettings | None = None,
        first: int = 0,
        window: int = 1_024,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[Prediction]:
        """Captions one by one, in order, in constant memory; a blank path has a blank answer.

        Raises:
            InputError: there is no picture at a path, or it cannot be decoded; or ``prefix`` holds no word of the
                model's.
        """
        settings, forced = search or self.settings.search, forced_ids(self.tokeniser, prefix)
        remaining, key = iter(paths), first
        while some := list(islice(remaining, window)):
            asked = [path for path in some if path.strip()]
            raws = picture_files(asked, self.settings.data.max_unpacked_bytes, check)
            found = self._captions(raws, settings, forbidden(self.tokeniser, forbid), forced, key, check)
            for path in some:
                yield next(found) if path.strip() else Prediction(path, "", 0.0, "copied")
            key += len(some)

    def _captions(
        self,
        raws: Sequence[Raw],
        settings: SearchSettings,
        rules: Sequence[Rule],
        prefix: Sequence[int],
        first_key: int,
        check: Callable[[], None],
    ) -> Iterator[Prediction]:
        for start in range(0, len(raws), AT_ONCE):
            some = raws[start : start + AT_ONCE]
            pictures_BCHW = torch.stack([self._fitted(raw) for raw in some])
            several = described(
                self.describer,
                pictures_BCHW,
                settings,
                rules=rules,
                prefix=prefix,
                first_key=first_key + start,
                check=check,
            )
            for raw, hypotheses in zip(some, several, strict=True):
                first, *others = [worded(self.tokeniser, raw.name, each) for each in hypotheses]
                yield replace(first, alternatives=tuple(others))

    def _fitted(self, raw: Raw) -> Tensor:
        return fitted(raw, self.settings.model.picture, self.settings.data.max_picture_pixels)

    def see(
        self,
        path: str | Path,
        *,
        target: str | None = None,
        beam: int | None = None,
        search: SearchSettings | None = None,
    ) -> PictureView:
        """Where the model looks while it writes a caption, or while it is given ``target`` to score."""
        (raw,) = picture_files([str(path)], self.settings.data.max_unpacked_bytes)
        settings = search_settings(search or self.settings.search, beam=beam)
        return PictureView(see_captioned(self.describer, raw, self.settings, settings, target=target))

    def evaluate(
        self,
        data: str | Path | None = None,
        *,
        source: str | Path | None = None,
        target: str | Path | None = None,
        columns: tuple[str, str] | None = None,
        search: SearchSettings | None = None,
        metrics: Sequence[str] | None = None,
        tokenize: str | None = None,
        versus: "CaptionRun | None" = None,
        check: Callable[[], None] = lambda: None,
    ) -> Evaluation:
        """Scores with signatures and 95 % intervals on pictures the model has not seen, and two baselines' beside them.

        The baselines are the model before its training, and the caption of the training picture that looks most
        alike; without ``versus`` the comparison is with the latter.

        Args:
            data: a folder, tar or zip with captions in it, or ``source`` with the pictures and ``target`` with theirs.
            search: how to search, instead of each run's own way.
            metrics: instead of those the run was trained with.
            tokenize: BLEU's, instead of the run's own.
            versus: another run; is the difference significant?
        """
        rules, settings = self.settings.data, search or self.settings.search
        pictures = open_pictures(
            data, source, target, columns=columns, most_bytes=rules.max_unpacked_bytes, check=check
        )
        chosen = evaluation_settings(self.settings.evaluation, metrics, tokenize)
        others: tuple[str, list[str]] | None = None
        if versus is not None:
            with exhibited(pictures, versus.settings.model.picture, rules, check) as (gallery, _):
                answers = captions_of(versus.describer, gallery, search or versus.settings.search, check)
                others = str(versus.folder), answers
        with exhibited(pictures, self.settings.model.picture, rules, check) as (gallery, said):
            result = evaluate_captions(
                self.describer,
                gallery,
                run=str(self.folder),
                data=pictures.name,
                evaluation=chosen,
                search=settings,
                baselines={
                    "untrained": captions_of(untrained(self.settings, self.describer), gallery, settings, check),
                    "nearest neighbour": [
                        answer
                        for neighbours in [Neighbours.load(self.folder)]
                        for _, pictures_BCHW in gallery.batches()
                        for answer in neighbours.answers(pictures_BCHW)
                    ],
                },
                versus=others,
                check=check,
            )
        return self.noted(result, versus, *said)
