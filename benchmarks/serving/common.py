"""What the benchmarks of the service share: the real service, what its processes use, clips to send."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PLENTY = {
    "MMER_SESSIONS": "1000",
    "MMER_SESSIONS_PER_ADDRESS": "1000",
    "MMER_SESSION_S": "100000",
    "MMER_MESSAGES_PER_S": "100000",
    "MMER_MEGABYTES_PER_S": "1000",
    "MMER_PREDICTIONS": "64",
    "MMER_UPLOADS": "1000",
}
"""No limits in the way."""


@dataclass(frozen=True)
class Service:
    """A running service."""

    url: str
    pid: int
    temporary: Path
    log: Path

    def workers(self) -> dict[str, int]:
        """The processes that do the work, by what they do."""
        found = {}
        for pid in self._below(self.pid):
            with contextlib.suppress(OSError):
                line = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                if "_bentoml_impl.worker.service" in line:
                    found["network" if "mmer-network" in line else "requests"] = pid
        return found

    def cpu(self) -> dict[str, float]:
        """Processor seconds of each so far."""
        found = {}
        for name, pid in self.workers().items():
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            found[name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return found

    def memory(self) -> dict[str, float]:
        """Resident megabytes of each."""
        found = {}
        for name, pid in self.workers().items():
            match = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
            found[name] = int(match[1]) / 1024 if match else 0.0
        return found

    def batches(self) -> tuple[float, float]:
        """BentoML's own metric: calls in batches, and batches."""
        text = httpx.get(f"{self.url}/metrics").text

        def total(kind: str) -> float:
            lines = re.findall(rf"^bentoml_service_adaptive_batch_size_{kind}{{.*}} (\S+)$", text, re.MULTILINE)
            return sum(map(float, lines))

        return total("sum"), total("count")

    def wait(self, seconds: float = 60) -> float:
        """Until it is ready; how long that took."""
        start = time.monotonic()
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return time.monotonic() - start
            if time.monotonic() - start > seconds:
                raise SystemExit(f"the service did not become ready; its log:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def _below(self, pid: int) -> Iterator[int]:
        yield pid
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                for child in task.read_text().split():
                    yield from self._below(int(child))


@contextlib.contextmanager
def serve(model: Path, **settings: str) -> Iterator[Service]:
    """The real service on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / "tmp").mkdir()
        environment = os.environ | {
            "MMER_MODEL": str(model.absolute()),
            "BENTOML_HOME": name,
            "BENTOML_DO_NOT_TRACK": "True",
            "OMP_NUM_THREADS": "1",
            "TMPDIR": str(home / "tmp"),
            **settings,
        }
        environment.pop("MMER_MIRROR", None)
        command = [sys.executable, "-m", "bentoml", "serve", "service:svc", "--host", "127.0.0.1", "--port", str(port)]
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        service = Service(f"http://127.0.0.1:{port}", process.pid, home / "tmp", home / "log")
        try:
            service.wait()
            yield service
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def some_clips(folder: Path) -> tuple[str, list[Path]]:
    """What they are, and clips: real ones of the mirror, else drawn ones."""
    mirror = os.environ.get("MMER_MIRROR")
    real = sorted(Path(mirror, "crema_d", "VideoFlash").glob("*.flv"))[:6] if mirror else []
    if real:
        return f"{len(real)} clips of CREMA-D (480x360)", real
    from mmer.data.demo.corpus import draw_corpus

    draw_corpus(folder / "demo", speakers=1, takes=1)
    drawn = sorted((folder / "demo" / "clips").glob("*.mp4"))
    return f"{len(drawn)} drawn clips (320x240)", drawn


def quantiles(seconds: Sequence[float]) -> str:
    """Median, 95th and 99th percentile and the largest, in milliseconds."""
    return " ".join(f"{1000 * q:6.0f}" for q in np.quantile(seconds, [0.5, 0.95, 0.99, 1])) if seconds else "     -" * 4
