"""From a forecaster and its series to records of what it did: the input of every view.

N = 1 past · S steps of the past that are shown · T steps ahead · L layers · H heads · Q levels
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack, cast

import torch
from torch import Tensor

from seq2see.data.series import Series
from seq2see.evaluation.forecasts import LEVELS, MEDIAN
from seq2see.models.linear_forecaster import LinearForecaster, coefficients
from seq2see.storage.atomic import write_atomic
from seq2see.tasks.foretelling import Forecast, Foreteller
from seq2see.tasks.run import Look, Shown, View
from seq2see.text.visible import visible
from seq2see.viewing.forecast import ACTUAL, BESIDE, COEFFICIENTS, FORECAST, LEVEL, PAST
from seq2see.viewing.forecast_page import forecast_notebook, write_forecast_page
from seq2see.viewing.forecast_terminal import forecast_text
from seq2see.viewing.record import Record, Rows, Side, Span, Weights

_MOST_SHOWN = 400  # steps of the past


@dataclass(frozen=True)
class ForecastView(View):
    """Records of a forecast, one a series, that draw themselves; ``record`` is the first."""

    more: tuple[Record, ...] = ()

    @property
    def records(self) -> tuple[Record, ...]:
        """All of them."""
        return (self.record, *self.more)

    def html(self, path: str | Path) -> Path:
        """Write one page that makes no request."""
        write_forecast_page(Path(path), self.records)
        return Path(path)

    def json(self, path: str | Path) -> Path:
        """Write the records, one a line."""
        write_atomic(Path(path), "".join(record.to_json() for record in self.records))
        return Path(path)

    def _repr_html_(self) -> str:
        return forecast_notebook(self.records)

    def _drawn(self, **look: Unpack[Look]) -> str:
        """Plots, with the attention below where there is any."""
        return "\n\n".join(
            forecast_text(
                record,
                width=look["width"],
                colour=look["colour"],
                unicode=look["unicode"],
                layer=look["layer"],
                head=look["head"],
            )
            for record in self.records
        )

    def _figure(self, path: Path, **shown: Unpack[Shown]) -> tuple[str, ...]:
        from seq2see.viewing.forecast_figure import draw_forecasts  # brings matplotlib along

        return draw_forecasts(self.records, path, layer=shown["layer"], head=shown["head"])


def see_series(
    series: Series,
    forecasts: Sequence[Forecast],
    foreteller: Foreteller,
    simple: Foreteller | None,
    came: Series | None,
    *,
    model: str,
) -> ForecastView:
    """What was foretold of each series, from which values, and where the model looked."""
    records = [
        _record(series, number, forecast, foreteller, simple, came, model) for number, forecast in enumerate(forecasts)
    ]
    return ForecastView(records[0], tuple(records[1:]))


def _record(
    series: Series,
    number: int,
    forecast: Forecast,
    foreteller: Foreteller,
    simple: Foreteller | None,
    came: Series | None,
    model: str,
) -> Record:
    past_S = series.values_CT[number]
    past_S = past_S[~past_S.isnan()]
    end = int((~series.values_CT[number].isnan()).nonzero()[-1]) + 1
    shown = min(len(past_S), _MOST_SHOWN, max(foreteller.needs, 3 * len(forecast.times), 36))
    steps = len(forecast.times)
    columns = zip(*forecast.quantiles.values(), strict=True)
    traces: dict[str, Rows] = {
        PAST: tuple((value,) for value in past_S[-shown:].tolist()),
        FORECAST: tuple(tuple(row) for row in columns),
        LEVEL: (LEVELS,),
    }
    if simple is not None and len(past_S) >= simple.needs:
        medians = simple.quantiles([past_S], [number], steps)[0, :, MEDIAN].tolist()
        traces[f"{BESIDE}{simple.name}"] = tuple((value,) for value in medians)
    traces |= _came(came, series, number, end, steps)
    if isinstance(foreteller.model, LinearForecaster):
        traces[COEFFICIENTS] = (tuple(coefficients(foreteller.model, number)),)
    times = [series.axis.text(at) for at in range(end - shown, end)]
    return Record(
        task="forecast",
        model=model,
        source=_side(forecast.series, times),
        target=_side(forecast.series, forecast.times),
        attention=_attention(foreteller, past_S, number, steps, shown),
        log_probs=(0.0,) * steps,
        signature=foreteller.signature,
        notes=("a forecast is made of numbers: traces hold them, and log_probs say nothing",),
        traces=traces,
    )


def _came(came: Series | None, series: Series, number: int, end: int, steps: int) -> dict[str, Rows]:
    """The actual values after the end of the past, as far as they are known without a gap."""
    if came is None:
        return {}
    first = came.axis.index(series.axis.position(end))
    values = came.values_CT[number, max(0, first) : max(0, first + steps)].tolist() if first >= 0 else []
    known = [value for value in values if value == value]
    return {ACTUAL: tuple((value,) for value in known)} if known and len(known) == len(values) else {}


def _side(name: str, times: Sequence[str]) -> Side:
    """Times as pieces of a text that begins with the name of the series."""
    text, spans = f"{visible(name)}:", list[Span]()
    for time in times:
        spans.append((len(text) + 1, len(text) + 1 + len(time)))
        text += f" {time}"
    return Side(text, tuple(times), tuple(spans), tuple(spans), (False,) * len(times))


def _attention(foreteller: Foreteller, past_S: Tensor, number: int, steps: int, shown: int) -> dict[str, Weights]:
    """The weights on the values that are shown; those before the model's look back have none."""
    weights_LHTS = foreteller.attention(past_S, number, steps)
    if weights_LHTS is None:
        return {}
    # Zeros in front, or, where more was looked at than is shown, nothing of that.
    shown_LHTS = torch.nn.functional.pad(weights_LHTS, (shown - weights_LHTS.shape[3], 0))
    return {"cross": cast(Weights, shown_LHTS.tolist())}
