"""Peak memory of answering files of many lines, and whether a kill in the middle changes anything.

    python benchmarks/lines.py RUN SOURCE-FILE [--lines 10000 1000000] [--set search.KEY=VALUE …]

The lines of the source file are repeated, with their number in front of every second one, until there are enough. The
largest file is answered twice: without a stop, and killed at about a third (SIGKILL to all processes) and begun again;
both outputs have to be equal. Memory is that of all processes together, shared pages counted once, looked at twice a
second.
"""

import argparse
import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path


def proportional(group: int) -> int:
    """Bytes of the processes of a group (Linux)."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) != group:
                continue
            rows = (folder / "smaps_rollup").read_text().split("\n")
            total += sum(1024 * int(row.split()[1]) for row in rows if row.startswith("Pss:"))
        except (OSError, ValueError):
            continue
    return total


def answered(command: Sequence[str], part: Path, stop_at: int | None = None) -> tuple[int, float]:
    """Peak bytes and seconds; killed once ``part`` has ``stop_at`` bytes."""
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    start, peak = time.monotonic(), 0
    while process.poll() is None:
        peak = max(peak, proportional(process.pid))
        if stop_at is not None and part.exists() and part.stat().st_size >= stop_at:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            break
        time.sleep(0.5)
    if process.returncode != (0 if stop_at is None else -signal.SIGKILL):
        raise SystemExit(f"{' '.join(command)}: {process.returncode}")
    return peak, time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("--lines", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--set", action="append", default=[])
    asked = parser.parse_args()
    data = asked.source.read_bytes()
    known = (gzip.decompress(data) if asked.source.suffix == ".gz" else data).decode().removesuffix("\n").split("\n")
    with tempfile.TemporaryDirectory() as folder:
        source, output, again = (Path(folder) / name for name in ("source.txt", "answers.txt", "again.txt"))
        settings = [part for setting in asked.set for part in ("--set", setting)]
        begin = [sys.executable, "-m", "seq2see", "predict", str(asked.run), "--input", str(source), *settings]
        for count in asked.lines:
            texts = (f"{n} {text}" if n % 2 else text for n, text in enumerate(islice(cycle(known), count)))
            source.write_text("".join(f"{text}\n" for text in texts))
            output.unlink(missing_ok=True)
            peak, seconds = answered([*begin, "--output", str(output)], output)
            found = sum(1 for _ in output.open())
            facts = {"lines": count, "answers": found, "peak_mib": peak / 2**20, "seconds": seconds}
            print(json.dumps({**facts, "lines_per_second": count / seconds}), flush=True)
        part = again.with_name(again.name + ".part")
        answered([*begin, "--output", str(again)], part, stop_at=output.stat().st_size // 3)
        kept = part.stat().st_size / output.stat().st_size
        _, seconds = answered([*begin, "--output", str(again)], part)
        same = output.read_bytes() == again.read_bytes()
        print(json.dumps({"killed_at": kept, "seconds_after": seconds, "the_same": same}))


if __name__ == "__main__":
    main()
