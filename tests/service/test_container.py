"""The container, built from the bento's own Dockerfile by buildah and run by runc as Kubernetes would: as nobody
special, on a root that cannot be written, without capabilities."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.graphs import drawn_clips
from tests.nginx import free_port
from tests.service.live import live, play
from tests.serving import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(shutil.which, ("buildah", "runc"))), reason="apt-get install buildah mmdebstrap runc"
    ),
    pytest.mark.skipif(os.getuid() != 0, reason="runc is run as root here, so that the service can be somebody else"),
]
USER = 1034
"""`bentoml` in the image, and runAsUser in deploy/kubernetes."""
WRITABLE = "/tmp"  # noqa: S108 (in the container)


@dataclass(frozen=True)
class Container:
    """A running one."""

    url: str
    name: str
    root: Path
    process: "subprocess.Popen[bytes]"

    def memory(self) -> float:
        """Megabytes of its processes, what they share counted once."""
        found = subprocess.check_output(["pgrep", "-u", str(USER)], text=True).split()
        rollups = "".join(Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in found)
        return sum(map(int, re.findall(r"^Pss:\s+(\d+)", rollups, re.MULTILINE))) / 1024

    def sh(self, script: str) -> "subprocess.CompletedProcess[str]":
        """Run a script in it."""
        command = ["runc", "exec", self.name, "bash", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The image's files."""
    with tempfile.TemporaryDirectory(prefix="mmer-") as name:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MMER_") and k != "PYTHONPATH"}
        environment |= {
            "BENTOML_HOME": str(tmp_path_factory.mktemp("bentoml")),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        for command in (["serve"], ["unpack", "mmer:serve", f"{name}/root"]):
            done = subprocess.run(
                [ROOT / "scripts" / "image.sh", *command], env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        yield Path(name) / "root"


@pytest.fixture
def container(image: Path) -> Iterator[Container]:
    """Run as `docker run --read-only --tmpfs /tmp -e BENTOML_HOME=/tmp/bentoml --cap-drop ALL --network host` would."""
    with tempfile.TemporaryDirectory(prefix="mmer-") as bundle:
        subprocess.run(["runc", "spec"], cwd=bundle, check=True)
        config = Path(bundle) / "config.json"
        spec = json.loads(config.read_text())
        port = free_port()
        spec["root"] = {"path": str(image), "readonly": True}
        spec["process"] |= {
            "terminal": False,
            "user": {"uid": USER, "gid": USER},
            "args": ["/home/bentoml/bento/env/docker/entrypoint.sh"],
            "cwd": "/home/bentoml/bento",
            "env": [
                *environment_of("mmer:serve"),
                "BENTOML_HOST=127.0.0.1",
                f"BENTOML_PORT={port}",
                "BENTOML_HOME=/tmp/bentoml",
                "OMP_NUM_THREADS=1",
            ],
            "capabilities": {},
            "noNewPrivileges": True,
        }
        spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] != "network"]
        spec["mounts"] = [one for one in spec["mounts"] if one["type"] != "cgroup"]
        hosts = {"destination": "/etc/hosts", "type": "bind", "source": "/etc/hosts", "options": ["bind", "ro"]}
        spec["mounts"].append(hosts)  # an engine writes one: `localhost` is in it
        spec["mounts"].append({"destination": WRITABLE, "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]})
        config.write_text(json.dumps(spec))
        name = Path(bundle).name
        command = ["runc", "run", "--bundle", bundle, name]
        with (Path(bundle) / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            started = time.monotonic()
            while not answers(f"http://127.0.0.1:{port}/readyz"):
                assert process.poll() is None, (Path(bundle) / "log").read_text()
                assert time.monotonic() - started < 300
                time.sleep(0.1)
            print(f"ready after {time.monotonic() - started:.1f} s")
            yield Container(f"http://127.0.0.1:{port}", name, image, process)
        finally:
            subprocess.run(["runc", "kill", name, "KILL"], capture_output=True, check=False)
            process.wait(20)


def environment_of(image: str) -> list[str]:
    """What an image sets."""
    environment = {"STORAGE_DRIVER": "vfs", **os.environ}
    told = subprocess.check_output(["buildah", "inspect", "--type", "image", image], env=environment)
    found: list[str] = json.loads(told)["OCIv1"]["config"]["Env"]
    return found


def answers(url: str) -> bool:
    """Whether somebody says yes there."""
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url, timeout=5).is_success
    return False


def test_it_answers_a_clip_and_a_stream_as_nobody_special_on_a_root_that_cannot_be_written(
    container: Container,
) -> None:
    answer = httpx.post(f"{container.url}/predict", files={"file": drawn_clips()["happy"].open("rb")}, timeout=120)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"]["status"] == "release"
    frames, voice = play(drawn_clips()["happy"])
    with live(container.url) as session:
        for k, (t, jpeg) in enumerate(frames[:20]):
            session.frame(jpeg, t)
            session.voice(voice[3200 * k : 3200 * (k + 1)], 0.1 * k)
        steps = [message for message in session.end() if message["type"] == "step"]
    assert any(step["present"]["face"] and step["present"]["voice"] for step in steps)

    told = container.sh(
        "id -u; grep -E '^(CapEff|NoNewPrivs)' /proc/1/status; cat /proc/[0-9]*/status | grep -E '^Uid'"
    )
    lines = told.stdout.split("\n")
    assert lines[0] == str(USER)
    assert {line.split()[1] for line in lines if line.startswith("Uid")} == {str(USER)}
    assert {line.split()[-1] for line in lines if line.startswith(("CapEff", "NoNewPrivs"))} == {"0" * 16, "1"}
    for folder in ("/", "/home/bentoml", "/home/bentoml/bento", "/app"):
        assert "Read-only file system" in container.sh(f"touch {folder}/a").stderr
    # Nothing that was sent is left.
    assert container.sh("find /tmp -name '*.mp4' -o -name 'upload*'").stdout == ""


def test_it_has_no_compiler_no_torch_and_no_packages_twice(container: Container) -> None:
    assert container.sh("command -v gcc git").stdout == ""
    assert container.sh("python -c 'import torch'").returncode != 0
    assert container.sh("du -sm /root/.cache /home/bentoml/.cache 2>/dev/null | awk '$1 > 1'").stdout == ""
    size = int(subprocess.check_output(["du", "-sm", container.root], text=True).split()[0])
    print(f"{size} MB; {container.memory():.0f} MB of memory")
    assert size < 1500


def test_told_to_stop_it_stops(container: Container) -> None:
    subprocess.run(["runc", "kill", container.name, "TERM"], check=True)
    assert container.process.wait(60) == 0


def test_a_process_that_dies_ends_the_container_so_that_its_keeper_starts_another(container: Container) -> None:
    """BentoML starts no process anew in a container, and /livez asks the other one: it would say yes for ever."""
    (pid,) = subprocess.check_output(["pgrep", "-u", str(USER), "-f", "service-name mmer-network"], text=True).split()
    os.kill(int(pid), signal.SIGKILL)
    assert container.process.wait(60) != 0
