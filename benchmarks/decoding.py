"""Decoding speed beside CTranslate2: the same weights, the same pieces, the same search; sentences per second.

    python benchmarks/decoding.py RUN --peers FOLDER --source FILE [--reference FILE] [--beam 5] [--length N]
        [--shortlist N]

RUN is a Transformer of the task translate. seq2see goes from text to text with one process a core, as `seq2see
predict` does, with each kernel; CTranslate2 from pieces to pieces, in the fastest of its settings (float32 or int8,
how threads are shared out, size of batches), found in a first round. `--length N` forces answers of N pieces, for
models that were not trained. Both stop a beam at as many endings as it is wide. `--shortlist N` (for a run that
`seq2see shortlist` has learned one for) adds seq2see's and CTranslate2's int8 with it (there: a vocabulary map).
"""

import argparse
import gzip
import json
import subprocess
import time
from contextlib import ExitStack
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import sacrebleu
import torch
from measuring import interleaved, product_rate, ratios, save
from peers import python_of

import seq2see
from seq2see.tasks.bulk import Answerers, usable_cores, windows
from seq2see.tasks.run import Asked
from seq2see.text.tokeniser import EOS, SOS, UNK


class CTranslate2:
    """A process of its own that decodes when told to."""

    def __init__(self, peers: Path, work: Path, beam: int, length: int | None) -> None:
        self.python, self.side = python_of(peers, "ctranslate2"), Path(__file__).with_name("ctranslate2_side.py")
        self.work, self.best = work, {}
        self.options: dict[str, Any] = {"beam_size": beam}
        if length:
            self.options |= {"min_decoding_length": length, "max_decoding_length": length}
        command = [self.python, self.side, "serve", work / "model", work / "sources.json"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **options: Any) -> dict[str, Any]:
        """One decoding of everything."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({**self.options, **options}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def choose(self, compute_type: str, **more: Any) -> dict[str, Any]:
        """The fastest way to use the cores with this type."""
        cores = usable_cores()
        found = []
        for (inter, intra), size in product({(cores, 1), (1, cores)}, (8, 16, 32, 64, 128)):
            options = {
                "compute_type": compute_type,
                "inter_threads": inter,
                "intra_threads": intra,
                "max_batch_size": size,
                **more,
            }
            self.ask(**options)
            found.append((self.ask(**options)["seconds"], options))
        return min(found, key=lambda each: each[0])[1]


def export(run: Any, peers: Path, work: Path, sources: list[str], shortlist: int = 0) -> None:
    """The run's weights for CTranslate2, and the sources as pieces."""
    work.mkdir(parents=True, exist_ok=True)
    weights = {name: value.numpy() for name, value in run.model.state_dict().items()}
    np.savez(work / "weights.npz", **weights)
    ids = [list(run.tokenisers.source.encode(text).ids) for text in sources]
    (work / "sources.json").write_text(json.dumps(ids))
    side = Path(__file__).with_name("ctranslate2_side.py")
    heads = str(run.settings.model.encoder.heads)
    command = [python_of(peers, "ctranslate2"), side, "convert", work / "weights.npz", heads, work / "model"]
    subprocess.run(command, check=True)
    if shortlist:  # what belongs to no source piece is for all
        known = [("", run.lexicon.shortlist((), shortlist) | {UNK, SOS, EOS})]
        known += [
            (str(piece), run.lexicon.shortlist([piece], shortlist)) for piece in range(run.tokenisers.source.size)
        ]
        rows = (f"{piece}\t{' '.join(map(str, sorted(found)))}\n" for piece, found in known)
        (work / "model" / "vmap.txt").write_text("".join(rows))


def lines(path: Path) -> list[str]:
    """The lines of a plain or gzipped file."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode().removesuffix("\n").split("\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    for name in ("--peers", "--source", "--work"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--length", type=int)
    parser.add_argument("--shortlist", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sentences", type=int)
    parser.add_argument("--name", default="decoding")
    asked = parser.parse_args()
    run, sources = seq2see.load(asked.run), lines(asked.source)[: asked.sentences]
    export(run, asked.peers, asked.work, sources, asked.shortlist)
    peer = CTranslate2(asked.peers, asked.work, asked.beam, asked.length)
    chosen = {compute_type: peer.choose(compute_type) for compute_type in ("float32", "int8")}
    if asked.shortlist:
        chosen["int8, vocabulary map"] = peer.choose("int8", use_vmap=True)
    print(*chosen.values(), sep="\n", flush=True)
    options = ["search.patience=1", "search.batch_tokens=2048"]
    if asked.length:
        options += [f"search.min_length={asked.length}", f"search.max_length={asked.length + 1}"]
    answers: dict[str, list[str]] = {}
    cores = usable_cores()

    def ours(name: str, answerers: Answerers) -> float:
        start = time.perf_counter()
        many = windows(sources, min(512, -(-len(sources) // cores)))
        answers[name] = [each.lines[0] for _, some in answerers.answers(many) for each in some]
        return len(sources) / (time.perf_counter() - start)

    def theirs(way: str) -> float:
        answer = peer.ask(**chosen[way])
        answers[way] = [run.tokenisers.target.decode(tokens) for tokens in answer["tokens"]]
        return len(sources) / answer["seconds"]

    ways = {
        "seq2see, PyTorch": ["plain"],
        "seq2see": ["auto"],
        "seq2see bfloat16": ["bfloat16"],
        "seq2see int8": ["int8"],
    }
    if asked.shortlist:
        ways[f"seq2see int8, short-list {asked.shortlist}"] = ["int8", f"search.shortlist={asked.shortlist}"]
    with ExitStack() as stack:
        pools = {}
        for name, (kernel, *more) in ways.items():
            assignments = (*options, f"search.kernel={kernel}", *more)
            wanted = Asked(search={"beam": asked.beam}, assignments=assignments)
            pools[name] = stack.enter_context(Answerers(run, wanted, cores))
        measured = interleaved(
            {
                **{name: partial(ours, name, pool) for name, pool in pools.items()},
                **{f"CTranslate2 {way}": partial(theirs, way) for way in chosen},
            },
            asked.rounds,
        )
    notes = [f"{len(sources):,} sentences, beam {asked.beam}; CTranslate2's best settings: {json.dumps(chosen)}."]
    same = sum(a == b for a, b in zip(answers["seq2see"], answers["float32"], strict=True))
    notes.append(f"Equal answers, seq2see and CTranslate2 in float32: {same:,} of {len(sources):,}.")
    if asked.reference:
        gold = [lines(asked.reference)[: asked.sentences]]
        scores = [
            f"{name} {sacrebleu.corpus_bleu(found, gold, tokenize='none', force=True).score:.2f}"
            for name, found in answers.items()
        ]
        notes.append("BLEU: " + ", ".join(scores) + ".")
    for name in ways:
        against = ratios(measured, name)
        notes.append(
            f"{name}: " + ", ".join(f"{against[f'CTranslate2 {way}']:.2f} × CTranslate2 {way}" for way in chosen) + "."
        )
    rate = product_rate(1_024, 128, 6_000, torch.float32)
    notes.append(f"One float32 product of 1,024 × 128 × 6,000 in the same run: {rate / 1e9:,.0f} GFLOP/s.")
    save(asked.name, "sentences/s", measured, ours="seq2see", notes=notes, median=median(measured["seq2see"]))


if __name__ == "__main__":
    main()
