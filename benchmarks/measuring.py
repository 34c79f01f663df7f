"""What every measurement shares: which machine, interleaved runs, medians of ratios, one JSON file for each result."""

import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """What the figures were measured on, and with."""
    root = Path(__file__).parent
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True).stdout
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = re.search(r"model name\s*: (.*)", cpu)
    flags = re.search(r"flags\s*: (.*)", cpu)
    known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
    return {
        "date": date.today().isoformat(),
        "commit": commit.strip(),
        "processor": name[1] if name else platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instructions": [flag for flag in known if flags and flag in flags[1].split()],
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def interleaved(systems: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """A B A B …: each system once a round, one at a time; the first round warms up and does not count."""
    measured: dict[str, list[float]] = {name: [] for name in systems}
    for number in range(rounds + 1):
        for name, once in systems.items():
            value = once()
            if number:
                measured[name].append(value)
        if number:
            line = "  ".join(f"{name} {written(values[-1])}" for name, values in measured.items())
            print(f"round {number}: {line}", flush=True)
    return measured


def ratios(measured: Mapping[str, list[float]], ours: str) -> dict[str, float]:
    """For each other system the median over the rounds of ours / theirs."""
    return {
        name: median(own / other for own, other in zip(measured[ours], values, strict=True))
        for name, values in measured.items()
        if name != ours
    }


def product_rate(rows: int, inner: int, columns: int, dtype: torch.dtype, seconds: float = 1.0) -> float:
    """FLOP/s of one matrix product of these sizes: the ceiling."""
    first, second = torch.randn(rows, inner).to(dtype), torch.randn(inner, columns).to(dtype)
    first @ second
    times: list[float] = []
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds or len(times) < 5:
        start = time.perf_counter()
        first @ second
        times.append(time.perf_counter() - start)
    return 2 * rows * inner * columns / median(times)


def save(name: str, unit: str, measured: Mapping[str, list[float]], **facts: Any) -> None:
    """Write a result, and print its table."""
    RESULTS.mkdir(exist_ok=True)
    result = {"name": name, "unit": unit, "machine": machine(), "measured": dict(measured), **facts}
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


def written(value: float) -> str:
    """Four digits, and never a power of ten."""
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.4g}"


def table(result: Mapping[str, Any]) -> str:
    """A result in Markdown: medians, and what ours is a multiple of."""
    ours, lines = result.get("ours"), []
    found = ratios(result["measured"], ours) if ours else {}
    lines += [f"| {result['name']} | {result['unit']}, median (lowest to highest) | seq2see is |", "|---|---|---|"]
    for name, values in result["measured"].items():
        times = f"{found[name]:.2f} ×" if name in found else ""
        lines.append(
            f"| {name} | {written(median(values))} ({written(min(values))} to {written(max(values))}) | {times} |"
        )
    at = result["machine"]
    lines.append("")
    lines += [f"{note}" for note in result.get("notes", ())]
    lines.append(
        f"{len(next(iter(result['measured'].values())))} interleaved rounds; {at['processor']}, {at['cores']} cores "
        f"({', '.join(at['instructions'])}), Python {at['python']}, torch {at['torch']}, commit {at['commit']}, "
        f"{at['date']}."
    )
    return "\n".join(lines)
