"""How long processes take to sum numbers: what the gradients of an update cost beside the computation.

    python benchmarks/exchange.py [--processes 2]

One all-reduce of torch (gloo, over this machine's loopback) for each size, the median of many; from these a time for
each exchange and bytes a second, by least squares. docs/scaling.md uses both.
"""

import argparse
import os
import socket
import time
from statistics import median

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from measuring import save

SIZES = (1 << 10, 1 << 14, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26)  # bytes


def worker(rank: int, processes: int, port: int, found: "mp.Queue[dict[int, float]]") -> None:
    """One of the processes; the first tells the seconds for each size."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=processes)
    seconds = {}
    for size in SIZES:
        numbers = torch.randn(size // 4)
        times = []
        for _ in range(max(10, min(200, (1 << 28) // size))):
            dist.barrier()
            start = time.perf_counter()
            dist.all_reduce(numbers)
            times.append(time.perf_counter() - start)
        seconds[size] = median(times)
    if rank == 0:
        found.put(seconds)
    dist.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = mp.get_context("spawn")
    found: mp.Queue[dict[int, float]] = context.Queue()
    processes = [
        context.Process(target=worker, args=(rank, asked.processes, port, found)) for rank in range(asked.processes)
    ]
    for each in processes:
        each.start()
    seconds = found.get()
    for each in processes:
        each.join()
    # Relative errors: otherwise the largest size alone would decide.
    sizes, times = np.array(list(seconds), float), np.array(list(seconds.values()))
    start, each_byte = np.linalg.lstsq(np.stack([1 / times, sizes / times], 1), np.ones(len(times)), rcond=None)[0]
    notes = [
        f"{1e6 * start:,.0f} µs for each exchange and {1 / each_byte / 1e9:.2f} GB/s; {asked.processes} processes."
    ]
    save("exchange", "ms", {f"{size:,} bytes": [1e3 * value] for size, value in seconds.items()}, notes=notes)


if __name__ == "__main__":
    main()
