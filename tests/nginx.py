"""A real nginx in front of real services, for tests and benchmarks: with a configuration of the project, as it is
written but for addresses and files of this machine."""

import contextlib
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.serving import ROOT, end

PLACES = "".join(f"    {kind}_temp_path {{folder}}/{kind};\n" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))


@dataclass
class Balancer:
    """nginx with `deploy/nginx.conf`, in front of several services."""

    url: str
    folder: Path
    process: "subprocess.Popen[bytes]"

    def use(self, services: Sequence[str]) -> None:
        """Take these services from now on, by their addresses: the commands of docs/deploy.md."""
        write_servers(self.folder, services)
        subprocess.run([program(), "-e", "stderr", "-c", self.folder / "conf", "-s", "reload"], check=True)


def program() -> str:
    """nginx, which Debian keeps where only root looks."""
    found = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if found is None:
        pytest.skip("no nginx is installed (apt-get install nginx-light)")
    return found


def write_servers(folder: Path, services: Sequence[str]) -> None:
    """The file that the balancer's configuration includes."""
    lines = [f"server {url.removeprefix('http://')} max_fails=1 fail_timeout=1s;\n" for url in services]
    (folder / "servers.conf").write_text("".join(lines))


@contextlib.contextmanager
def running(conf: str, url: str, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """nginx with a whole configuration, once it passes on what a service says at `url`."""
    folder.chmod(0o755)  # nginx's workers are not root
    (folder / "conf").write_text(conf)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program(), "-e", "stderr", "-c", folder / "conf", "-g", "daemon off;"], stderr=log)
    try:
        with httpx.Client(verify=False, transport=httpx.HTTPTransport(verify=False, retries=8)) as client:  # noqa: S501 (its own)
            try:
                assert client.get(f"{url}/livez").status_code == 200
            except httpx.ConnectError:
                raise RuntimeError(f"nginx did not start:\n{(folder / 'log').read_text()}") from None
        yield process
    finally:
        end(process)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def balanced(services: Sequence[str]) -> Iterator[Balancer]:
    """`deploy/nginx.conf` in front of services; below `/emotion/` too; each answer's X-Upstream says who gave it."""
    conf, port = (ROOT / "deploy" / "nginx.conf").read_text(), free_port()
    with tempfile.TemporaryDirectory(prefix="mmer-") as name:
        folder = Path(name)
        (root,) = re.findall(r"        location / \{.*?\n        \}\n", conf, re.DOTALL)
        below = root.replace("location / {", "location /emotion/ {").replace("http://mmer;", "http://mmer/;")
        for was, now in {
            "/run/nginx-mmer.pid": f"{folder}/pid",
            "/etc/mmer/servers.conf": f"{folder}/servers.conf",
            "access_log off;": f"access_log off; client_body_temp_path {folder}/body;\n{PLACES.format(folder=folder)}",
            "listen 80;": f"listen 127.0.0.1:{port}; add_header X-Upstream $upstream_addr always;",
            root: root + below,
        }.items():
            assert conf.count(was) == 1, was
            conf = conf.replace(was, now)
        write_servers(folder, services)
        url = f"http://127.0.0.1:{port}"
        with running(conf, url, folder) as process:
            yield Balancer(url, folder, process)
