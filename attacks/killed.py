"""A worker is killed under load: who notices, and how long until all is well again?"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx

from benchmarks.serving.common import PLENTY, ROOT, Service, serve, some_clips


def load(service: Service, path: Path, stop: threading.Event, outcomes: list[tuple[float, str]]) -> None:
    """Files, one after the other, and what became of each."""
    data = path.read_bytes()
    while not stop.is_set():
        start = time.monotonic()
        try:
            answer = httpx.post(f"{service.url}/predict?steps=false", files={"file": data}, timeout=60)
            why = "" if answer.is_success else f" {answer.json()['error']}"
            outcomes.append((start, f"{answer.status_code}{why}"))
        except httpx.HTTPError as error:
            outcomes.append((start, type(error).__name__))
            time.sleep(0.1)


def main() -> None:
    """Kill each kind of worker once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--model", type=Path, default=ROOT / "release")
    args = parser.parse_args()
    print("killed    ready again after s  answers before, and after it was ready again; in between")
    with tempfile.TemporaryDirectory() as name, serve(args.model, **PLENTY) as service:
        _, paths = some_clips(Path(name))
        for kind in ("network", "requests"):
            stop, outcomes = threading.Event(), list[tuple[float, str]]()
            threads = [
                threading.Thread(target=load, args=(service, paths[0], stop, outcomes)) for _ in range(args.clients)
            ]
            for thread in threads:
                thread.start()
            time.sleep(5)
            victim, killed = service.workers()[kind], time.monotonic()
            os.kill(victim, signal.SIGKILL)
            while len(service.workers()) < 2 or service.workers()[kind] == victim:
                time.sleep(0.2)
            service.wait()
            back = time.monotonic()
            time.sleep(5)
            stop.set()
            for thread in threads:
                thread.join()
            times = (("before", -1e9, killed - 2), ("after", back, 1e12), ("in between", killed - 2, back))
            told = {name: dict(Counter(what for at, what in outcomes if a <= at < b)) for name, a, b in times}
            print(
                f"{kind:9} {back - killed:19.1f}  {told['before']}, {told['after']}; {told['in between']}", flush=True
            )


if __name__ == "__main__":
    main()
