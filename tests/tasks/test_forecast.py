"""A forecaster from a file of numbers to answers on the command line: learned, scored, drawn, resumed."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch

from planted_series import TINY, months, seasonal, write_series
from seq2see.config.forecast import SamplingSettings
from seq2see.config.settings import SearchSettings
from seq2see.data.scaling import Scaling
from seq2see.errors import InputError, Stopped
from seq2see.evaluation.forecasts import BANDS, LEVELS, MEDIAN
from seq2see.models.linear_forecaster import LinearForecaster
from seq2see.tasks.catalogue import load
from seq2see.tasks.forecasting import ForecastRun
from seq2see.tasks.foretelling import Foreteller
from seq2see.tasks.reporting import Reporter, silent
from seq2see.tasks.request import TrainRequest
from seq2see.tasks.run import Asked
from seq2see.tasks.training import train, train_run
from seq2see.training.interrupt import Interrupt
from small_task import Command

LENGTH = 84


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with series and the runs of a linear and of an attentive model. Do not change it."""
    folder = tmp_path_factory.mktemp("forecast")
    write_series(folder / "exact.csv", seasonal(LENGTH))
    write_series(folder / "two.csv", seasonal(LENGTH, noise=2.0), seasonal(LENGTH, noise=2.0, slope=-0.2, seed=2))
    common = {"task": "forecast", "reporter": silent()}
    train(folder / "exact.csv", model="linear", out=folder / "linear", **common)  # type: ignore[arg-type]
    small = {"model.width": 8, "sampling.paths": 50, "training.evaluate_every": 5, "data.horizon": 4}
    train(folder / "two.csv", model="seq2seq", steps=10, settings=small, out=folder / "seq2seq", **common)  # type: ignore[arg-type]
    return folder


def test_a_pattern_without_noise_is_foretold_exactly(seq2see: Command, place: Path) -> None:
    answer = seq2see("predict", place / "linear", place / "exact.csv", "--steps", 14)
    assert answer.code == 0, answer.err
    rows = [line.split("\t") for line in answer.out.splitlines()]
    assert [row[0] for row in rows] == months(14, LENGTH)
    wanted = seasonal(LENGTH + 14)[LENGTH:]
    for row, value in zip(rows, wanted, strict=True):
        assert [float(cell) for cell in row[1:]] == pytest.approx([value] * 3, abs=0.01)  # median, low and high


def test_evaluation_says_who_wins(seq2see: Command, place: Path, tmp_path: Path) -> None:
    answer = seq2see("evaluate", place / "linear", place / "exact.csv", "--json", tmp_path / "e.json")
    assert answer.code == 0, answer.err
    said = " ".join(answer.out.split())
    assert "linear is better than every simple model here: MASE 0.0" in said
    assert "share most of their values" in said
    found = json.loads((tmp_path / "e.json").read_text())
    models = found["details"]["models"]
    # A season ago the value was 12 steps of 0.5 lower: the seasonal naive error, while training and now.
    assert models["seasonal-naive"]["mae"] == pytest.approx(6.0)
    assert models["seasonal-naive"]["mase"] == pytest.approx(1.0)
    assert models["linear"]["mase"] < 0.01 and models["linear"]["coverage_95"] <= 100
    names = [score["name"] for score in found["scores"]]
    assert names == [
        "rmse",
        "mae",
        "mase",
        "pinball",
        "coverage_80",
        "coverage_95",
        "mase[seasonal-naive]",
        "mase[naive]",
    ]
    assert found["examples"] == "9 origins × 8 steps, 2005-09 to 2006-12"
    few = seq2see("evaluate", place / "linear", place / "exact.csv", "--metrics", "mae,rmse")
    assert few.code == 0 and "coverage_80 " not in few.out.split("value")[-1]


def test_an_own_network_is_compared_with_the_simple_models(seq2see: Command, place: Path) -> None:
    answer = seq2see("evaluate", place / "seq2seq", place / "two.csv", "--versus", place / "seq2seq")
    assert answer.code == 0, answer.err
    said = " ".join(answer.out.split())
    assert "mase[linear]" in said and "mase[naive]" in said
    assert "difference +0.00" in said  # a run against itself
    assert " wins here: seq2seq has MASE " in said or "seq2seq is better than every simple model here" in said


def test_forecasts_of_several_series(seq2see: Command, place: Path) -> None:
    answer = seq2see("predict", place / "seq2seq", place / "two.csv", place / "two.csv", "--format", "jsonl")
    assert answer.code == 0, answer.err
    first, second = (json.loads(line) for line in answer.out.splitlines())
    assert first == second  # what else is asked for does not matter
    assert [each["series"] for each in first["forecasts"]] == ["sales", "visits"]
    for each in first["forecasts"]:
        assert each["after"] == "2006-12" and [step["time"] for step in each["steps"]] == months(4, LENGTH)
        rows = list(zip(*each["quantiles"].values(), strict=True))
        assert all(list(row) == sorted(row) for row in rows) and all(row[0] < row[-1] for row in rows)
        assert [step["low"] for step in each["steps"]] == each["quantiles"]["0.1"]
    lines = seq2see("predict", place / "seq2seq", place / "two.csv", "--steps", 2).out.splitlines()
    assert [line.split("\t")[:2] for line in lines] == [[n, t] for n in ("sales", "visits") for t in months(2, LENGTH)]
    other = seq2see("predict", place / "seq2seq", place / "two.csv", "--steps", 2, "--seed", 5).out.splitlines()
    assert (
        other != lines
        and other
        == seq2see("predict", place / "seq2seq", place / "two.csv", "--steps", 2, "--seed", 5).out.splitlines()
    )


def test_each_series_is_foretold_from_its_own_end(seq2see: Command, place: Path, tmp_path: Path) -> None:
    lines = (place / "two.csv").read_text().splitlines()
    shorter = [*lines[:-2], *(line.rpartition(",")[0] + "," for line in lines[-2:])]
    (tmp_path / "shorter.csv").write_text("\n".join(shorter) + "\n")
    (answer,) = seq2see("predict", place / "seq2seq", tmp_path / "shorter.csv", "--format", "jsonl").out.splitlines()
    sales, visits = json.loads(answer)["forecasts"]
    assert sales["after"] == "2006-12" and visits["after"] == "2006-10"
    assert [step["time"] for step in visits["steps"]] == months(4, LENGTH - 2)


def test_a_view_shows_past_bands_and_attention(seq2see: Command, place: Path, tmp_path: Path) -> None:
    lines = (place / "two.csv").read_text().splitlines(keepends=True)
    (tmp_path / "past.csv").write_text("".join(lines[:-4]))
    files = [part for kind in ("html", "png", "svg", "json") for part in (f"--{kind}", tmp_path / f"v.{kind}")]
    answer = seq2see("see", place / "seq2seq", tmp_path / "past.csv", "--target", place / "two.csv", *files)
    assert answer.code == 0, answer.err
    assert answer.out.count("where each step looked") == 2 and "came" in answer.out
    for kind in ("html", "png", "svg", "json"):
        assert (tmp_path / f"v.{kind}").stat().st_size > 1_000
    records = [json.loads(line) for line in (tmp_path / "v.json").read_text().splitlines()]
    assert [each["source"]["text"].partition(":")[0] for each in records] == ["sales", "visits"]
    came = [value for (value,) in records[0]["traces"]["actual"]]
    assert came == pytest.approx(seasonal(LENGTH, noise=2.0)[-4:], rel=1e-4)
    for head in records[0]["attention"]["cross"][0]:
        assert all(sum(row) == pytest.approx(1, abs=1e-3) for row in head)
    linear = seq2see("see", place / "linear", place / "exact.csv")
    assert linear.code == 0 and "each value is (scaled):" in linear.out
    assert "no attention" in seq2see("see", place / "linear", place / "exact.csv", "--layer", 1).err


def test_steps_ahead_are_for_forecasts() -> None:
    with pytest.raises(InputError, match="only a forecast goes steps ahead"):
        Asked(steps=3).settings(SearchSettings())
    with pytest.raises(InputError, match="steps: a run of the task tag has no use"):
        Asked(steps=3).refuse("tag")


def test_python_does_the_same(place: Path) -> None:
    run = load(place / "seq2seq")
    assert isinstance(run, ForecastRun)
    sales, visits = run.predict(place / "two.csv")
    assert (sales.series, visits.series, sales.interval) == ("sales", "visits", 80)
    assert sales.median == sales.quantiles[0.5] and sales.low == sales.quantiles[0.1]
    assert run.evaluate(place / "two.csv")["mase"] > 0
    assert "iframe" in run.see(place / "two.csv")._repr_html_()


def test_nothing_is_learned_from_the_test_stretch(seq2see: Command, place: Path, tmp_path: Path) -> None:
    """The weights, the scaling and every choice are the same if the last stretch is another one."""
    lines = (place / "two.csv").read_text().splitlines()
    changed = [line.partition(",")[0] + ",7.5,1e6" for line in lines[-16:]]
    (tmp_path / "two.csv").write_text("\n".join(lines[:-16] + changed) + "\n")
    for name, data in (("a", place / "two.csv"), ("b", tmp_path / "two.csv")):
        out = tmp_path / name
        steps = ("--set", "data.horizon=4", "--set", "data.test_steps=16", "--set", "data.dev_steps=8")
        answer = seq2see(
            "train", data, "--task", "forecast", "--model", "gru", "--out", out, "--steps", 5, *TINY, *steps
        )
        assert answer.code == 0, answer.err
    for file in ("weights.safetensors", "series.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    settings = [(tmp_path / name / "config.toml").read_text().replace(str(tmp_path), str(place)) for name in "ab"]
    assert settings[0] == settings[1]


def test_a_stopped_training_goes_on_bit_for_bit(place: Path, tmp_path: Path) -> None:
    settings = {"model.width": 8, "sampling.paths": 50, "training.evaluate_every": 3, "training.checkpoint_every": 2}

    def run(out: Path, *, stop: int = 0, resume: bool = False) -> bytes:
        interrupt = Interrupt()

        def progress(event: object) -> None:
            if stop and event.step >= stop:  # type: ignore[attr-defined]
                interrupt.signal_number = 15

        request = TrainRequest(
            data=None if resume else place / "two.csv",
            task=None if resume else "forecast",
            model=None if resume else "lstm",
            settings={} if resume else settings,
            steps=None if resume else 9,
            out=out,
            resume=resume,
        )
        train_run(request, reporter=Reporter(lambda text: None, progress), interrupt=interrupt)
        return (out / "weights.safetensors").read_bytes()

    with pytest.raises(Stopped, match="--resume"):
        run(tmp_path / "stopped", stop=5)
    assert run(tmp_path / "stopped", resume=True) == run(tmp_path / "whole")


def test_training_on_everything(seq2see: Command, place: Path, tmp_path: Path) -> None:
    """Without stretches that are kept, the last weights are taken and nothing is scored."""
    none = ("--set", "data.test_steps=0", "--set", "data.dev_steps=0")
    out = tmp_path / "run"
    answer = seq2see(
        "train", place / "two.csv", "--task", "forecast", "--model", "gru", "--out", out, "--steps", 3, *TINY, *none
    )
    assert answer.code == 0, answer.err
    assert "trained on 2000-01 to 2006-12" in answer.out and "dev: nothing; test: nothing" in answer.out
    assert len(seq2see("predict", out, place / "two.csv").out.splitlines()) > 1
    late = seq2see("evaluate", out, place / "two.csv")
    assert late.code == 2 and "0 steps that no forecast has seen" in late.err


def test_later_data_are_forecast_from_their_end(seq2see: Command, place: Path, tmp_path: Path) -> None:
    """Another file with the run's columns, in another order, that begins later and goes on further."""
    values = seasonal(LENGTH + 9)
    rows = zip(months(LENGTH + 9)[30:], values[30:], strict=True)
    (tmp_path / "later.csv").write_text("sales;month\n" + "".join(f"{v!r};{m}\n" for m, v in rows))
    (line,) = seq2see("predict", place / "linear", tmp_path / "later.csv", "--steps", 1).out.splitlines()
    assert line.split("\t")[0] == months(1, LENGTH + 9)[0]
    assert float(line.split("\t")[1]) == pytest.approx(seasonal(LENGTH + 10)[-1], abs=0.01)
    found = load(place / "linear").evaluate(tmp_path / "later.csv")  # type: ignore[attr-defined]
    assert found["mase"] < 0.01


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (["train", "--task", "forecast"], ["give a file of series"]),
        (["train", "none.csv", "--task", "forecast"], ["There is no file none.csv"]),
        (["train", "short.csv", "--task", "forecast"], ["to train on", "needs"]),
        (["train", "exact.csv", "--task", "forecast", "--model", "gruu"], ['did you mean "gru"']),
        (["train", "exact.csv", "--task", "forecast", "--dev", "two.csv"], ["--dev", "data.dev_steps"]),
        (["train", "exact.csv", "--task", "forecast", "--columns", "month,x"], ['no column "x"', '"sales"']),
        (["train", "exact.csv", "--task", "forecast", "--set", "data.hrizon=3"], ["did you mean horizon"]),
        (
            ["train", "exact.csv", "--task", "forecast", "--model", "gru", "--set", "model.widht=3"],
            ["model.widht", "did you mean width"],
        ),
        (["train", "exact.csv", "--task", "forecast", "--set", "scaling.log=7"], ["scaling.log", "boolean"]),
        (["train", "exact.csv", "--task", "forecast", "--set", "data.dev_steps=2"], ["less than data.horizon"]),
        (["train", "exact.csv", "--task", "forecast", "--set", "data.test_steps=90"], ["leave nothing to train on"]),
        (["train", "flat.csv", "--task", "forecast", "--model", "seasonal-naive"], ['use "naive"']),
        (["train", "zero.csv", "--task", "forecast", "--set", "scaling.log=true"], ["no logarithm"]),
        (["predict", "linear", "none.csv"], ["There is no file none.csv"]),
        (["predict", "linear", "two.csv", "--beam", "3"], ["beam", "forecast"]),
        (["predict", "linear", "exact.csv", "--steps", "20000"], ["from 1 to 10,000"]),
        (["predict", "linear", "quarters.csv"], ["quarterly", "monthly"]),
        (["predict", "linear", "short.csv"], ["looks back on"]),
        (["predict", "linear", "names.csv"], ['no column "sales"']),
        (["evaluate", "linear", "short.csv"], ["no forecast has seen"]),
        (["evaluate", "linear", "exact.csv", "--metrics", "bleu"], ["rmse, mae"]),
        (["evaluate", "linear", "exact.csv", "--tokenize", "char"], ["--tokenize"]),
        (["evaluate", "linear"], ["give the file of the series"]),
    ],
)
def test_mistakes(
    seq2see: Command, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: list[str], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("exact.csv", "two.csv"):
        shutil.copy(place / name, tmp_path)
    (tmp_path / "linear").symlink_to(place / "linear")
    write_series(tmp_path / "short.csv", seasonal(7))
    write_series(tmp_path / "flat.csv", [1.0] * 60)
    write_series(tmp_path / "zero.csv", [max(0.0, value - 55) for value in seasonal(60)])
    (tmp_path / "quarters.csv").write_text(
        "month,sales\n" + "".join(f"20{y}Q1,{y}\n20{y}Q2,3\n20{y}Q3,1\n20{y}Q4,2\n" for y in range(10, 40))
    )
    write_series(tmp_path / "names.csv", seasonal(60), names=("others",))
    answer = seq2see(*call)
    assert answer.code == 2, answer.out + answer.err
    for word in words:
        assert word in answer.err
    assert "Traceback" not in answer.err and not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_run_is_refused(seq2see: Command, place: Path, tmp_path: Path, harm: str) -> None:
    shutil.copytree(place / "linear", tmp_path / "run")
    path = tmp_path / "run" / "series.json"
    content = path.read_bytes()
    if harm == "flip":
        path.write_bytes(content.replace(b"2", b"3", 1))
    elif harm == "cut":
        path.write_bytes(content[:100])
    else:
        path.unlink()
    answer = seq2see("predict", tmp_path / "run", place / "exact.csv")
    assert answer.code == 2 and "series.json" in answer.err


# ── what lies below ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scaling", [(False, 0, 0), (False, 0, 1), (False, 3, 0), (True, 3, 1)])
def test_bands_in_closed_form_are_those_of_many_paths(scaling: tuple[bool, int, int]) -> None:
    """The same linear model, its future drawn step by step in plain loops."""
    log, season, differences = scaling
    scale = Scaling(log, season, differences, (0.02,), (0.1,))
    model = LinearForecaster(1, 2).double()
    with torch.no_grad():
        model.weights_CM.copy_(torch.tensor([[-0.2, 0.6]]))
        model.bias_C.fill_(0.1)
        model.deviation_C.fill_(0.5)
    past = torch.tensor([1.0, 1.3, 1.1, 0.9, 1.2, 1.4, 1.15, 1.05], dtype=torch.float64)
    exact = Foreteller("linear", model, scale).quantiles([past], [0], 5)[0]
    generator = torch.Generator().manual_seed(3)
    seen = scale.scaled(past[None], torch.tensor([0])).repeat(20_000, 1)
    for _ in range(5):
        shock = torch.randn(20_000, generator=generator, dtype=torch.float64) * 0.5
        seen = torch.cat([seen, (0.1 + 0.6 * seen[:, -1] - 0.2 * seen[:, -2] + shock)[:, None]], dim=1)
    paths = scale.restored(seen[:, -5:], past[None].repeat(20_000, 1), torch.zeros(20_000, dtype=torch.long))
    drawn = paths.quantile(torch.tensor(LEVELS, dtype=torch.float64), dim=0).T
    spread = exact[:, -1:] - exact[:, :1]
    assert float(((exact - drawn) / spread).abs().max()) < 0.02


def test_a_past_is_foretold_alone_as_among_others(place: Path) -> None:
    run = load(place / "seq2seq")
    assert isinstance(run, ForecastRun)
    foreteller, values_CT = run.foreteller(), run.read(place / "two.csv").values_CT
    pasts, numbers = [values_CT[0], values_CT[1], values_CT[0][:-5]], [0, 1, 0]
    together = foreteller.quantiles(pasts, numbers, 4)
    for at in range(3):
        assert torch.allclose(foreteller.quantiles([pasts[at]], [numbers[at]], 4)[0], together[at], rtol=1e-6)
    assert torch.equal(foreteller.quantiles(pasts, numbers, 9)[:, :4], together)  # more steps change none before


def test_bands_hold_what_they_say(place: Path) -> None:
    """The bands of a linear model that is right hold their share of the futures it describes."""
    model = LinearForecaster(1, 1)
    with torch.no_grad():
        model.weights_CM.fill_(0.7)
        model.deviation_C.fill_(1.0)
    foreteller = Foreteller("linear", model, Scaling(False, 0, 0, (0.0,), (1.0,)), SamplingSettings())
    generator = torch.Generator().manual_seed(11)
    series = [0.0]
    for shock in torch.randn(2_000, generator=generator).tolist():
        series.append(0.7 * series[-1] + shock)
    values = torch.tensor(series, dtype=torch.float64)
    starts = range(10, 1_990, 3)
    found = foreteller.quantiles([values[:start] for start in starts], [0] * len(starts), 3)
    actual = torch.stack([values[start : start + 3] for start in starts])
    for share, (low, high) in BANDS.items():
        inside = ((found[..., low] <= actual) & (actual <= found[..., high])).double().mean()
        assert float(inside) == pytest.approx(share / 100, abs=0.025)
    assert math.isclose(float(found[0, 0, MEDIAN]), 0.7 * series[9], rel_tol=1e-6)
