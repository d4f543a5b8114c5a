"""Claims about preparing on a cluster: of three real workers one is killed, and the bytes are those of one alone; and
one sees how far it is.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mmer.data.clips import read_manifest
from tests.conftest import ROOT
from tests.serving import end
from tests.team import free_port, wait

CLIPS = 24
EXTRACT = """
import sys
from pathlib import Path
from mmer.data.extract import extract_corpus
from mmer.params import load_params

raw, out, backend = sys.argv[1:]
rules = {"prepare.backend": backend, "prepare.workers": 1}
extract_corpus("ravdess", Path(raw), Path(out), load_params("params.yaml", rules))
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many trials, each a link to the same film of two seconds: a reader sees names."""
    folder = tmp_path_factory.mktemp("raw")
    film = tmp_path_factory.mktemp("film") / "film.mp4"
    picture = ("-f", "lavfi", "-i", "testsrc=s=320x240:r=25:d=2")
    sound = ("-f", "lavfi", "-i", "sine=300:d=2")
    subprocess.run(["ffmpeg", "-v", "error", *picture, *sound, film], check=True)
    for actor in range(1, CLIPS + 1):
        (folder / f"01-01-03-01-01-01-{actor:02}.mp4").symlink_to(film)
    return folder


@pytest.fixture(scope="module")
def alone(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process of this machine makes of them."""
    out = tmp_path_factory.mktemp("alone") / "interim"
    extract(raw, out, "loky")
    return contents(out)


def extract(raw: Path, out: Path, backend: str, meanwhile: Callable[[], object] = lambda: None, **where: str) -> str:
    """Extract the corpus in a process of its own; what it said."""
    command = [sys.executable, "-c", EXTRACT, str(raw), str(out), backend]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | where
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        meanwhile()
        told = process.communicate(timeout=600)[1]
    finally:
        process.kill()
    assert process.returncode == 0, told[-3000:]
    return told


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"}


@contextlib.contextmanager
def running(*commands: list[str]) -> Iterator[list[int]]:
    """Programs of this environment, as they are started by hand; their process ids."""
    folder = Path(sys.executable).parent
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    with tempfile.TemporaryFile() as log, contextlib.ExitStack() as stack:
        pids = []
        for name, *arguments in commands:
            command = [str(folder / name), *arguments]
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
            stack.callback(end, process)
            pids.append(process.pid)
        yield pids


@contextlib.contextmanager
def dask() -> Iterator[tuple[dict[str, str], Callable[[], list[int]]]]:
    """A scheduler and three workers: where it is, and the processes that do the work."""
    address = f"tcp://127.0.0.1:{free_port()}"
    worker = ["dask", "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    scheduler = ["dask", "scheduler", "--host", address, "--no-dashboard"]
    with running(scheduler, worker, worker, worker) as (_, *workers):
        yield {"DASK_SCHEDULER_ADDRESS": address}, lambda: workers


@contextlib.contextmanager
def ray() -> Iterator[tuple[dict[str, str], Callable[[], list[int]]]]:
    """A head node that runs three workers."""
    port = str(free_port())
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        head = ["ray", "start", "--head", "--block", "--port", port, "--num-cpus", "3", "--include-dashboard", "false"]
        with running([*head, "--node-ip-address", "127.0.0.1", "--temp-dir", folder]) as (pid,):

            def workers() -> list[int]:
                below = psutil.Process(pid).children(recursive=True)
                return [child.pid for child in below if "ray::" in " ".join(child.cmdline())]

            wait(lambda: _listens(int(port)))
            yield {"RAY_ADDRESS": f"127.0.0.1:{port}"}, workers


def _listens(port: int) -> bool:
    return any(c.laddr.port == port and c.status == "LISTEN" for c in psutil.net_connections("tcp"))


@pytest.mark.parametrize("cluster", [dask, ray])
def test_of_three_workers_one_is_killed_and_the_bytes_are_those_of_one_alone(
    raw: Path, alone: dict[str, bytes], tmp_path: Path, cluster: Callable[[], contextlib.AbstractContextManager]
) -> None:
    out, killed = tmp_path / "interim", []
    with cluster() as (where, workers):

        def kill() -> None:
            wait(lambda: len(list(out.glob("*.npz"))) >= 2)
            killed.append(next(pid for pid in workers() if psutil.Process(pid).children()))  # it has an ffmpeg
            os.kill(killed[0], signal.SIGKILL)

        told = extract(raw, out, cluster.__name__, kill, **where)
    assert len(killed) == 1
    assert len(read_manifest(out / "clips.parquet")) == CLIPS
    assert contents(out) == alone
    shown = {int(done) for done in re.findall(rf"(\d+)/{CLIPS}", told)}
    assert len(shown) > 2, "the bar moves while it is done, and not at its end alone"
