"""What is computed from the series, and that everything set by hand wins."""

import pytest
import torch

from planted_series import months, seasonal
from seq2see.config.forecast import ForecastSettings, GptModel, LinearModel, RecurrentModel
from seq2see.data.axis import find_axis
from seq2see.data.rolling import stretches
from seq2see.data.series import Series
from seq2see.data.times import read_times
from seq2see.errors import InputError
from seq2see.tasks.choice import Choice
from seq2see.tasks.forecast_choices import NAMES, choose
from seq2see.tasks.forecast_store import known_of, read_known


def series(*columns: list[float]) -> Series:
    axis, _ = find_axis(read_times(list(enumerate(months(len(columns[0])), 1)), "file"))
    values_CT = torch.tensor(columns, dtype=torch.float64)
    names = tuple(f"s{at}" for at in range(len(columns)))
    return Series("file", axis, names, ("month", *names), values_CT, torch.zeros_like(values_CT, dtype=torch.bool), ())


def chosen(*columns: list[float], asked: str | None = None, **given: object) -> Choice[ForecastSettings]:
    return choose(series(*columns), given, model=asked)


def test_a_seasonal_series_with_a_trend() -> None:
    found = chosen(seasonal(144, noise=1.0))
    settings, said = found.settings, " ".join(found.reasons)
    data = settings.data
    assert (data.season, data.horizon, data.dev_steps, data.test_steps, data.stride) == (12, 12, 24, 24, 1)
    assert settings.scaling.seasonal_difference and settings.scaling.differences == 0 and not settings.scaling.log
    assert isinstance(settings.model, LinearModel) and settings.training.steps == 1
    assert "season: 12 steps (the calendar suggests it, and the autocorrelation confirms it)" in said
    assert "model: linear (96 values to train on, few for a network)" in said
    assert "trained on 2000-01 to 2007-12 (96 steps); dev: 2008-01 to 2009-12 (24 steps, 13 origins); test:" in said


def test_growth_in_shares_takes_logarithms() -> None:
    growing = [value**3 for value in seasonal(144, noise=0.5, slope=0.3)]
    assert chosen(growing).settings.scaling.log
    assert not chosen(growing, scaling={"log": False}).settings.scaling.log


def test_noise_is_standardised_and_no_more() -> None:
    values = torch.randn(300, generator=torch.Generator().manual_seed(2)).tolist()
    found = chosen(values)
    scaling, data = found.settings.scaling, found.settings.data
    assert (scaling.log, scaling.seasonal_difference, scaling.differences) == (False, False, 0)
    assert (data.season, data.horizon, data.test_steps) == (1, 10, 30)
    walk = torch.tensor(values).cumsum(0).tolist()
    assert chosen(walk).settings.scaling.differences == 1


def test_many_values_get_a_network_and_few_origins_enough() -> None:
    values = torch.randn(900, generator=torch.Generator().manual_seed(2)).tolist()
    found = chosen(values)
    assert isinstance(found.settings.model, RecurrentModel) and found.settings.model.name == "gru"
    assert found.settings.data.stride == 2  # 81 origins would lie in 90 steps
    assert "enough for a small network" in " ".join(found.reasons)


def test_sizes_follow_the_values() -> None:
    widths = [chosen(seasonal(n, noise=1.0), asked="gpt").settings.model.width for n in (100, 400, 3_000)]  # type: ignore[union-attr]
    assert widths == [8, 16, 32]
    model = chosen(seasonal(100, noise=1.0), asked="gpt").settings.model
    assert isinstance(model, GptModel) and model.feed_forward == 16 and model.seasonal_input


def test_everything_by_hand_wins() -> None:
    given = {
        "data": {"season": 6, "horizon": 3, "dev_steps": 5, "test_steps": 7, "stride": 2, "context": 9},
        "scaling": {"seasonal_difference": False, "differences": 2},
        "model": {"name": "lstm", "width": 5, "seasonal_input": False},
        "training": {"epochs": 2.0, "learning_rate": 0.5},
    }
    found = chosen(seasonal(120, noise=1.0), **given)
    settings = found.settings.model_dump()
    for section, values in given.items():
        assert {key: settings[section][key] for key in values} == values
    assert settings["training"]["steps"] is None
    assert not [reason for reason in found.reasons if reason.startswith(("season:", "horizon:", "width:", "order:"))]


def test_every_model_can_be_asked_for() -> None:
    assert set(NAMES) == {"naive", "seasonal-naive", "linear", "rnn", "lstm", "gru", "seq2seq", "gpt"}
    for name in NAMES:
        assert chosen(seasonal(120, noise=1.0), asked=name).settings.model.name == name
    naive = chosen(seasonal(120, noise=1.0), asked="seasonal-naive").settings.scaling
    assert not naive.seasonal_difference and not naive.differences  # the last values as they are


def test_a_season_is_that_of_most_series() -> None:
    wave, noise = seasonal(144, noise=1.0), torch.randn(144, generator=torch.Generator().manual_seed(2)).tolist()
    assert chosen(wave, wave[::-1], noise).settings.data.season == 12
    assert chosen(wave, noise, noise[::-1]).settings.data.season == 1


def test_the_test_stretch_is_not_looked_at() -> None:
    values = seasonal(144, noise=1.0)
    other = chosen([*values[:120], *(-1e5 * value for value in values[120:])])
    assert other == chosen(values)


@pytest.mark.parametrize(
    ("values", "given", "told"),
    [
        (seasonal(5), {}, "to train on"),
        (seasonal(60), {"data": {"context": 40}, "model": {"name": "gru"}}, "gru needs"),
        (seasonal(60), {"scaling": 3}, "this is a section"),
        (seasonal(60), {"model": {"name": 3}}, 'no model "3"'),
        (seasonal(60), {"data": {"horizon": "x"}}, "data.horizon"),
    ],
)
def test_what_cannot_be_is_said(values: list[float], given: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        chosen(values, **given)


def test_what_is_known_survives_the_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    whole = series(seasonal(120, noise=1.0), seasonal(120, noise=2.0, seed=5))
    settings = choose(whole, {}, model="gru").settings
    known = known_of(whole, stretches(120, settings.data.dev_steps, settings.data.test_steps), settings)
    (tmp_path / "series.json").write_text(known.to_json())
    assert read_known(tmp_path) == known
    assert [each.name for each in known.forecasters()] == ["linear", "seasonal-naive", "naive"]
    for forged, told in (
        (known.model_copy(update={"version": 2}), "newer"),
        (known.model_copy(update={"units": (1.0,)}), "not those of 2 series"),
        (known.model_copy(update={"names": ()}), "not those of 0 series"),
    ):
        (tmp_path / "series.json").write_text(forged.to_json())
        with pytest.raises(InputError, match=told):
            read_known(tmp_path)
    (tmp_path / "series.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="not what a run keeps"):
        read_known(tmp_path)
