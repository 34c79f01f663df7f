"""How long one sentence takes: from a warm process, beside CTranslate2, and from a cold start.

    python benchmarks/latency.py RUN --peers FOLDER --source FILE --work FOLDER

Warm: greedy, one sentence at a time, from text to text here and from pieces to pieces there; the median over the
sentences, in milliseconds, in interleaved rounds. Cold: the whole process of `seq2see predict RUN TEXT`, and beside it
of `python -c "import torch"`, in seconds.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch
from decoding import CTranslate2, export, lines
from measuring import interleaved, save

import seq2see


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    for name in ("--peers", "--source", "--work"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=100)
    asked = parser.parse_args()
    run, sources = seq2see.load(asked.run), lines(asked.source)[: asked.sentences]
    export(run, asked.peers, asked.work, sources)
    peer = CTranslate2(asked.peers, asked.work, 1, None)

    def ours(kernel: str) -> float:
        torch.set_num_threads(1)
        greedy = run.settings.search.model_copy(update={"method": "greedy", "beam": 1, "kernel": kernel})
        times = []
        for source in sources:
            start = time.perf_counter()
            run.predict(source, search=greedy)
            times.append(time.perf_counter() - start)
        return 1_000 * median(times)

    def theirs(compute_type: str, threads: int) -> float:
        asked_for = {"compute_type": compute_type, "inter_threads": 1, "intra_threads": threads, "max_batch_size": 1}
        return 1_000 * median(peer.ask(**asked_for, one_by_one=len(sources))["times"])

    warm = interleaved(
        {
            "seq2see, one thread": lambda: ours("auto"),
            "seq2see bfloat16, one thread": lambda: ours("bfloat16"),
            "seq2see int8, one thread": lambda: ours("int8"),
            "CTranslate2 float32, one thread": lambda: theirs("float32", 1),
            "CTranslate2 float32, two threads": lambda: theirs("float32", 2),
            "CTranslate2 int8, one thread": lambda: theirs("int8", 1),
        },
        asked.rounds,
    )
    save("latency", "milliseconds a sentence", warm, ours="seq2see, one thread", notes=["Below 1 is faster."])

    def process(*command: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        return time.perf_counter() - start

    cold = interleaved(
        {
            "seq2see predict": lambda: process("-m", "seq2see", "predict", str(asked.run), sources[0]),
            "import torch": lambda: process("-c", "import torch"),
            "seq2see --help": lambda: process("-m", "seq2see", "--help"),
        },
        asked.rounds,
    )
    save("cold-start", "seconds", cold)


if __name__ == "__main__":
    main()
