"""Real clusters on this machine, for tests and benchmarks: Dask's and Ray's, and a corpus extracted on them."""

import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from tests.serving import ROOT, end
from tests.team import free_port, wait

Cluster = tuple[dict[str, str], Callable[[], list[int]]]
"""The variables that say where it is, and what tells the processes that do the work."""
EXTRACT = """
import sys
from pathlib import Path
from mmer.data.extract import extract_corpus
from mmer.params import load_params

name, raw, out, backend = sys.argv[1:]
rules = {"prepare.backend": backend, "prepare.workers": 1}
extract_corpus(name, Path(raw), Path(out), load_params("params.yaml", rules))
"""


def extract(
    name: str, raw: Path, out: Path, backend: str, meanwhile: Callable[[int], object] = lambda _: None, **where: str
) -> str:
    """Extract a corpus in a process of its own, whose id `meanwhile` is given; what it said."""
    command = [sys.executable, "-c", EXTRACT, name, str(raw), str(out), backend]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | where
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log)
        try:
            meanwhile(process.pid)
            process.wait(600)
        finally:
            process.kill()
        log.seek(0)
        told = log.read()
    assert process.returncode == 0, told[-3000:]
    return told


@contextlib.contextmanager
def running(*commands: list[str], **variables: str) -> Iterator[list[int]]:
    """Programs of this environment, as they are started by hand; their process ids."""
    folder = Path(sys.executable).parent
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"} | variables
    with tempfile.TemporaryFile() as log, contextlib.ExitStack() as stack:
        pids = []
        for name, *arguments in commands:
            command = [str(folder / name), *arguments]
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
            stack.callback(end, process)
            pids.append(process.pid)
        yield pids


@contextlib.contextmanager
def dask(count: int) -> Iterator[Cluster]:
    """A scheduler and some workers."""
    address = f"tcp://127.0.0.1:{free_port()}"
    worker = ["dask", "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    scheduler = ["dask", "scheduler", "--host", address, "--no-dashboard"]
    with running(scheduler, *[worker] * count) as (_, *workers):
        yield {"DASK_SCHEDULER_ADDRESS": address}, lambda: workers


@contextlib.contextmanager
def ray(count: int) -> Iterator[Cluster]:
    """A head node that runs some workers, for those who know its token."""
    port, cores = str(free_port()), str(count)
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    nice = {"RAY_worker_niceness": "0"}  # as Dask's; Ray's are 15, which starves them on a machine that has other work
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        head = [
            "ray",
            "start",
            "--head",
            "--block",
            "--port",
            port,
            "--num-cpus",
            cores,
            "--include-dashboard",
            "false",
        ]
        with running([*head, "--node-ip-address", "127.0.0.1", "--temp-dir", folder], **token, **nice) as (pid,):

            def workers() -> list[int]:
                below = psutil.Process(pid).children(recursive=True)
                return [child.pid for child in below if "ray::" in " ".join(child.cmdline())]

            wait(lambda: _listens(int(port)))
            yield {"RAY_ADDRESS": f"127.0.0.1:{port}", **token}, workers


def _listens(port: int) -> bool:
    return any(c.laddr.port == port and c.status == "LISTEN" for c in psutil.net_connections("tcp"))
