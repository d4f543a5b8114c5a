"""Passes through POST /infer by several clients: what batches bring, with BentoML's own metric of them."""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from safetensors.numpy import save

from benchmarks.serving.common import PLENTY, ROOT, quantiles, serve
from mmer.runtime.graph import GRAPH, Graph
from mmer.runtime.grid import SAMPLE_RATE


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16], metavar="N")
    parser.add_argument("--calls", type=int, default=600, help="in each run (default: %(default)s)")
    parser.add_argument("--model", type=Path, default=ROOT / "release")
    args = parser.parse_args()
    given, rng = Graph(args.model / GRAPH).info.input, np.random.default_rng(0)
    shape = (1, 1, given.face_size, given.face_size, 3)
    tensors = {
        "faces": rng.integers(0, 256, shape, np.uint8),
        "scenes": rng.integers(0, 256, (1, 1, given.scene_size, given.scene_size, 3), np.uint8),
        "voice": rng.normal(0, 0.1, (1, 1, round(given.voice_window_s * SAMPLE_RATE))).astype(np.float32),
        "present": np.ones((1, 1, 3), np.float32),
    }
    body = save(tensors)
    print(
        "batching  clients  calls a second  ms: median p95 p99 max   calls in a batch  CPU ms a call: requests network"
    )
    for batching in ("on", "off"):
        with serve(args.model, **PLENTY, MMER_BATCHING=batching) as service:
            for clients in args.clients:
                ask(service.url, body, 100, clients)  # warm: the dispatcher learns what a call costs
                before, used, start = service.batches(), service.cpu(), time.perf_counter()
                late = ask(service.url, body, args.calls, clients)
                rate = args.calls / (time.perf_counter() - start)
                calls, batches = (a - b for a, b in zip(service.batches(), before, strict=True))
                cpu = {name: 1000 * (now - used[name]) / args.calls for name, now in service.cpu().items()}
                print(
                    f"{batching:8} {clients:8} {rate:15.1f} {quantiles(late)}"
                    f" {calls / batches if batches else 1:16.2f} {cpu['requests']:21.1f} {cpu['network']:8.1f}",
                    flush=True,
                )


def ask(url: str, body: bytes, calls: int, clients: int) -> list[float]:
    """Make calls, so many at once; how long each took."""

    def some(count: int) -> list[float]:
        found = []
        with httpx.Client(timeout=60) as client:
            for _ in range(count):
                start = time.perf_counter()
                client.post(f"{url}/infer", content=body).raise_for_status()
                found.append(time.perf_counter() - start)
        return found

    with ThreadPoolExecutor(clients) as pool:
        return [late for found in pool.map(some, [calls // clients] * clients) for late in found]


if __name__ == "__main__":
    main()
