"""How training on many machines would go, from what was measured on one: the tables of docs/scaling.md.

    python benchmarks/scale_model.py

Reads what benchmarks/exchange.py and benchmarks/training.py have written. An update of p processes with n target tokens
each takes

    n · f / R  +  2 (p − 1) · a  +  2 (p − 1) / p · g / B

seconds: f FLOP for a target token and R FLOP/s of a process as measured; a ring of p exchanges g bytes of gradients in
2 (p − 1) steps, each of which costs a seconds, over links of B bytes a second.
"""

import json
import re
from dataclasses import dataclass

from measuring import RESULTS

TOKENS = 4_096  # of a process and an update
WORKERS = (1, 2, 8, 64, 256, 1_024)
LINKS = {"10 Gbit/s": 1.25e9, "100 Gbit/s": 12.5e9}
STEP = 50e-6  # seconds for a message between machines, assumed


@dataclass(frozen=True)
class Model:
    """Parameters, and FLOP for a target token, forwards and backwards, its share of the source included."""

    name: str
    parameters: float
    flop: float


MODELS = (
    Model("transformer-tiny", 2.1e6, 15.5e6),  # measured
    Model("transformer-base", 60e6, 6 * 60e6),
    Model("transformer-big", 210e6, 6 * 210e6),
)


def update(model: Model, workers: int, rate: float, step: float, link: float) -> tuple[float, float]:
    """Seconds of an update: computing, exchanging."""
    exchange = 2 * (workers - 1) * step + 2 * (workers - 1) / workers * 4 * model.parameters / link
    return TOKENS * model.flop / rate, exchange


def rows(rate: float, step: float, links: dict[str, float]) -> list[str]:
    """The table: what share of its time a process computes."""
    lines = [
        f"| model | bytes exchanged, each process and update | link | {' | '.join(f'{each:,}' for each in WORKERS)} |",
        "|" + "---|" * (3 + len(WORKERS)),
    ]
    for model in MODELS:
        for name, link in links.items():
            shares = []
            for workers in WORKERS:
                compute, exchange = update(model, workers, rate, step, link)
                shares.append(f"{100 * compute / (compute + exchange):.0f} %")
            lines.append(f"| {model.name} | {8 * model.parameters / 1e6:,.0f} MB | {name} | {' | '.join(shares)} |")
    return lines


def main() -> None:
    exchange = json.loads((RESULTS / "exchange.json").read_text())
    found = re.search(r"([\d,]+) µs for each exchange and ([\d.]+) GB/s", exchange["notes"][0])
    training = json.loads((RESULTS / "training-transformer-tiny.json").read_text())
    useful = re.search(r"about ([\d,]+) GFLOP/s", training["notes"][0])
    if found is None or useful is None:
        raise SystemExit("the results have another form; measure them anew")
    rate = 1e9 * float(useful[1].replace(",", ""))
    measured = {"this machine, measured": 1e9 * float(found[2])}
    print(f"{rate / 1e9:.0f} GFLOP/s a process, {found[1]} µs and {found[2]} GB/s between two processes\n")
    print("\n".join(rows(rate, 1e-6 * float(found[1].replace(",", "")), measured)), "\n")
    print("\n".join(rows(rate, STEP, LINKS)))


if __name__ == "__main__":
    main()
