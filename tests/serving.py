"""The real service on a free port, for the tests that talk HTTP."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
UPLOAD_LIMIT_MB = 1
"""Of the service under test: far less than it usually is, so that going over it costs little."""


@dataclass(frozen=True)
class Served:
    """A running service."""

    url: str
    model: Path
    pid: int
    log: Path
    temporary: Path
    """Its folder for temporary files."""

    def processes(self) -> list[int]:
        """Its process and all below it (Linux)."""
        found, waiting = [], [self.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                waiting += [int(child) for child in task.read_text().split()]
        return found


@contextlib.contextmanager
def serve(
    model: Path,
    home: Path,
    *,
    what: str = "service:svc",
    where: Path = ROOT,
    port: int = 0,
    command: Sequence[str] = (),
    **variables: str,
) -> Iterator[Served]:
    """`bentoml serve service:svc` with a model, until the context ends.

    Args:
        model: the model's folder.
        home: an empty folder for BentoML's home and the log.
        what: to serve; a bento's name, or its folder.
        where: the folder to be in.
        port: to listen on; 0 is a free one.
        command: instead of BentoML's, up to the address.
        variables: of its environment.

    Raises:
        RuntimeError: it did not become ready; the message holds its log.
    """
    held = socket.socket()  # to the end, so that nobody else is given the port before the service listens
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", port))
    port = held.getsockname()[1]
    home.mkdir(parents=True, exist_ok=True)
    log, temporary = home / "log", Path(tempfile.mkdtemp(prefix="mmer-"))  # a short path: sockets' names are bounded
    settings = {
        "MMER_MODEL": str(model),
        "MMER_MAX_UPLOAD_MB": str(UPLOAD_LIMIT_MB),
        "BENTOML_HOME": str(home / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "TMPDIR": str(temporary),
        "OMP_NUM_THREADS": "1",
        **variables,
    }
    command = command or (sys.executable, "-m", "bentoml", "serve", what)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=where,
            env={**os.environ, **settings},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    served = Served(f"http://127.0.0.1:{port}", model, process.pid, log, temporary)
    try:
        _wait(served, process)
        yield served
    finally:
        end(process)
        held.close()
        shutil.rmtree(temporary, ignore_errors=True)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process to end, and make it end where it has not in 20 seconds."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait(served: Served, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(1200):
        if process.poll() is not None:
            break
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{served.url}/readyz", timeout=5).is_success:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the service did not become ready:\n{served.log.read_text(errors='replace')}")
