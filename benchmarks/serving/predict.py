"""Files through POST /predict against the same files in a plain loop in one process, with batching and without."""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from benchmarks.serving.common import PLENTY, ROOT, serve, some_clips
from mmer.runtime.recognizer import Recognizer


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 2, 4, 8], metavar="N")
    parser.add_argument("--clips", type=int, default=60, help="in each run (default: %(default)s)")
    parser.add_argument("--model", type=Path, default=ROOT / "release")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        what, paths = some_clips(Path(name))
        chosen = [paths[k % len(paths)] for k in range(args.clips)]
        recognizer = Recognizer.load(args.model)
        recognizer.predict(paths[0])
        start = time.perf_counter()
        for path in chosen:
            recognizer.predict(path)
        alone = args.clips / (time.perf_counter() - start)
        print(f"{what}, {args.clips} in each run")
        print(f"one process, no service: {alone:.2f} clips a second")
        print("batching  clients  clips a second   ratio  calls in a batch")
        for batching in ("on", "off"):
            with serve(args.model, **PLENTY, MMER_BATCHING=batching) as service:
                for clients in args.clients:
                    ask(service.url, chosen[:8], clients)  # warm
                    before, start = service.batches(), time.perf_counter()
                    ask(service.url, chosen, clients)
                    rate = args.clips / (time.perf_counter() - start)
                    calls, batches = (a - b for a, b in zip(service.batches(), before, strict=True))
                    mean = f"{calls / batches:.2f}" if batches else "–"
                    print(f"{batching:8} {clients:8} {rate:15.2f} {rate / alone:7.2f}  {mean:>16}", flush=True)


def ask(url: str, paths: list[Path], clients: int) -> None:
    """Send files, so many at once."""

    def one(path: Path) -> None:
        httpx.post(f"{url}/predict", files={"file": path.open("rb")}, timeout=120).raise_for_status()

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one, paths))


if __name__ == "__main__":
    main()
