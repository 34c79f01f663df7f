"""How good a forecaster is while it is trained, and at the end: on the stretch that chooses.

B windows · H steps ahead · S steps of a past · P parameters of a distribution
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from seq2see.config.forecast import ForecastSettings
from seq2see.data.rolling import Stretches
from seq2see.data.series import Series
from seq2see.evaluation.forecasts import MEDIAN
from seq2see.evaluation.result import Evaluation
from seq2see.models.forecaster import Forecaster
from seq2see.tasks.forecast_choices import CLOSED
from seq2see.tasks.forecast_scoring import Trial, counted, evaluate_forecasts, figure, trial
from seq2see.tasks.forecast_store import Known
from seq2see.tasks.foretelling import Foreteller
from seq2see.training.progress import Development

_PATHS, _ORIGINS = 100, 30  # while training goes on
_CHOSEN = "the weights were chosen on this stretch, which flatters them; seq2see evaluate tests on what comes after it"


@dataclass(frozen=True)
class Judge:
    """How good a model is on the dev stretch; the test stretch is for ``seq2see evaluate``."""

    settings: ForecastSettings
    series: Series
    cut: Stretches
    known: Known
    run: str
    note: Callable[[str], None]
    check: Callable[[], None]

    def foreteller(self, model: nn.Module) -> Foreteller:
        forecaster = cast(Forecaster[Any], model)
        return Foreteller(self.settings.model.name, forecaster, self.known.scaling.scaling(), self.settings.sampling)

    def trial(self, model: nn.Module) -> Trial:
        data = self.settings.data
        needs = max(each.needs for each in (self.foreteller(model), *self.known.forecasters()))
        return trial(
            self.series,
            self.cut.dev,
            self.cut.test,
            horizon=data.horizon,
            stride=data.stride,
            season=data.season,
            units=self.known.errors,
            needs=needs,
        )

    def evaluate(self, model: nn.Module) -> Evaluation | None:
        """All scores on the dev stretch, beside the simple models; nothing where there is no dev stretch."""
        if not self.settings.data.dev_steps:
            return None
        axis = self.series.axis
        found = evaluate_forecasts(
            self.foreteller(model),
            self.known.forecasters(),
            self.trial(model),
            run=self.run,
            data=f"dev: {self.series.name}, {axis.text(self.cut.dev)} to {axis.text(self.cut.test - 1)}",
            check=self.check,
        )
        chosen = () if self.settings.model.name in CLOSED else (_CHOSEN,)
        for sentence in (f"dev, {found.examples}:", *found.notes, *chosen):
            self.note(sentence)
        return found

    def develop(self, model: nn.Module) -> Development:
        """While training goes on: the loss by teacher forcing, and the scores of some paths."""
        foreteller, chosen = self.foreteller(model), self.trial(model).thinned(_ORIGINS)
        counts: dict[str, float] = {
            c.name: c.value() for c in counted(foreteller, chosen, paths=_PATHS, check=self.check)[0]
        }
        main = counts.get("pinball", counts["mae"])
        scores: dict[str, float] = {name: counts[name] for name in ("mase", "pinball", "coverage_80") if name in counts}
        return Development(self.loss(model, chosen), scores, -main, self.samples(foreteller, chosen))

    def loss(self, model: nn.Module, chosen: Trial) -> float:
        """The mean loss of the values after each origin, the ones before them given."""
        foreteller, rows = self.foreteller(model), []
        for start in chosen.starts:
            for number in range(len(self.series.names)):
                window_S = self.series.values_CT[number, max(0, start - foreteller.needs) : start + chosen.horizon]
                if len(window_S) == foreteller.needs + chosen.horizon and not bool(window_S.isnan().any()):
                    rows.append((number, window_S))
        if not rows:  # every origin has a series that ends or begins too near
            return math.nan
        series_B = torch.tensor([number for number, _ in rows])
        scaled_BT = foreteller.scaling.scaled(torch.stack([window_S for _, window_S in rows]), series_B).float()
        moved_BT, moved_B = scaled_BT.to(foreteller.device), series_B.to(foreteller.device)
        raw_BHP = foreteller.model(moved_BT, moved_B)[:, -chosen.horizon :]
        return float(foreteller.model.output.loss(raw_BHP, moved_BT[:, -chosen.horizon :]).mean())

    def samples(self, foreteller: Foreteller, chosen: Trial) -> list[dict[str, str]]:
        """The first steps after the first origin of up to four series: what was foretold and what came."""
        start, names, axis = chosen.starts[0], self.series.names, self.series.axis
        shown = []
        for number in range(min(4, len(names))):
            past_S = self.series.values_CT[number, max(0, start - foreteller.needs) : start]
            actual = self.series.values_CT[number, start : start + min(6, chosen.horizon)]
            if len(past_S) < foreteller.needs or bool(past_S.isnan().any()) or bool(actual.isnan().any()):
                continue
            median = foreteller.quantiles([past_S], [number], len(actual), paths=_PATHS)[0, :, MEDIAN]
            shown.append(
                {
                    "source": f"{names[number]} from {axis.text(start)}",
                    "reference": "  ".join(map(figure, actual.tolist())),
                    "prediction": "  ".join(map(figure, median.tolist())),
                }
            )
        return shown
