"""What a team's machines share, each a real server on a free port: PostgreSQL, MLflow, and S3 (moto's)."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.serving import end

USER = "postgres" if os.geteuid() == 0 else None
"""PostgreSQL refuses to run as root; Debian's package brings this user."""


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    programs: Path
    home: Path
    port: int

    def url(self, database: str) -> str:
        """A database, as SQLAlchemy wants it named."""
        return f"postgresql://mmer@127.0.0.1:{self.port}/{database}"

    def control(self, *arguments: str) -> None:
        """Run `pg_ctl`."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.home}"
        command = [self.programs / "pg_ctl", "-D", self.home / "data", "-l", self.home / "log", "-w", "-o", options]
        subprocess.run([*command, *arguments], user=USER, cwd=self.home, check=True, stdout=subprocess.DEVNULL)

    def create(self, database: str) -> str:
        """A new database; its URL."""
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "mmer"]
        subprocess.run([self.programs / "createdb", *address, database], check=True)
        return self.url(database)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait(until: Callable[[], object], seconds: float = 300) -> None:
    """Wait until something is true.

    Raises:
        TimeoutError: it did not become true.
    """
    for _ in range(round(seconds / 0.05)):
        if until():
            return
        time.sleep(0.05)
    raise TimeoutError


def _programs() -> Path:
    """The folder of the newest server that is installed; Debian keeps it off the path."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = str(installed[-1]) if installed else shutil.which("initdb")
    if found is None:
        pytest.skip("no PostgreSQL is installed (apt-get install postgresql)")
    return Path(found).parent


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A server, until the context ends."""
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="mmer-", ignore_cleanup_errors=True) as name:
        home, port = Path(name), free_port()  # a short path: names of sockets are bounded
        if USER:
            shutil.chown(home, USER)
        command = [programs / "initdb", "-D", home / "data", "-U", "mmer", "-A", "trust", "--no-sync"]
        subprocess.run(command, user=USER, cwd=home, check=True, stdout=subprocess.DEVNULL)
        server = Postgres(programs, home, port)
        server.control("start")
        try:
            yield server
        finally:
            server.control("stop", "-m", "immediate")


@contextlib.contextmanager
def mlflow_server(store: str, home: Path) -> Iterator[str]:
    """MLflow's own server, as docs/team.md starts it; its address.

    Args:
        store: URL of the database of runs and of the registry.
        home: a folder to be made, for the files of the runs.
    """
    url = f"http://127.0.0.1:{free_port()}"
    command = ["-m", "mlflow", "server", "--backend-store-uri", store, "--artifacts-destination", "files"]
    with _running([*command, "--workers", "1", "--host", "127.0.0.1", "--port", url.rpartition(":")[2]], home):
        wait(lambda: _answers(f"{url}/health"))
        yield url


@contextlib.contextmanager
def s3(home: Path) -> Iterator[str]:
    """An S3 server; its address."""
    url = f"http://127.0.0.1:{free_port()}"
    with _running(["-m", "moto.server", "-H", "127.0.0.1", "-p", url.rpartition(":")[2]], home):
        wait(lambda: _answers(url))
        yield url


@contextlib.contextmanager
def _running(arguments: Sequence[str], home: Path) -> Iterator[None]:
    home.mkdir(parents=True)
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *arguments], cwd=home, stdout=log, stderr=log)
    try:
        yield
    finally:
        end(process)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False
