"""Behind a real nginx, with the block of docs/deploy.md: with TLS, on another port, at the root and below a path."""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.graphs import drawn_clips
from tests.nginx import PLACES, free_port, running
from tests.serving import ROOT, Served
from tests.web.test_page import LABEL, PATIENCE, Watched

BELOW = "/emotion"
AROUND = """
error_log stderr;
pid {folder}/pid;
worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
{places}
    {server}
}}
"""


def documented(service: Served, port: int, folder: Path) -> str:
    """The block of the document, with addresses and files of this machine, and a second location below a path."""
    (block,) = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs" / "deploy.md").read_text(), re.DOTALL)
    for was, now in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "http://127.0.0.1:3000": service.url,
        "/etc/ssl/mmer.pem": f"{folder}/certificate",
        "/etc/ssl/mmer.key": f"{folder}/key",
    }.items():
        assert was in block
        block = block.replace(was, now)
    (root,) = re.findall(r"    location / \{.*?\n    \}\n", block, re.DOTALL)
    below = root.replace("location / {", f"location {BELOW}/ {{").replace(f"{service.url};", f"{service.url}/;")
    return str(block.replace(root, root + below))


@pytest.fixture(scope="module")
def proxied(service: Served) -> Iterator[str]:
    """The address of nginx."""
    with tempfile.TemporaryDirectory(prefix="mmer-") as name:
        folder, port = Path(name), free_port()
        certificate = [
            "-keyout",
            folder / "key",
            "-out",
            folder / "certificate",
            "-subj",
            "/CN=localhost",
            "-days",
            "2",
        ]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *certificate], check=True)
        server = documented(service, port, folder)
        conf = AROUND.format(folder=folder, places=PLACES.format(folder=folder), server=server)
        url = f"https://127.0.0.1:{port}"
        with running(conf, url, folder):
            yield url


@pytest.mark.parametrize("path", ["", BELOW])
def test_behind_nginx_camera_and_clips_are_recognised(browser: Browser, proxied: str, path: str) -> None:
    context = browser.new_context(ignore_https_errors=True)
    watched = Watched(context, f"{proxied}{path}")
    page = watched.go_live()
    expect(page.locator("#status")).to_have_text("Live.")
    page.click("#stop")
    page.click("#discard")
    page.set_input_files("#file", drawn_clips()["sad"])
    expect(page.locator("#cliplabel")).to_contain_text(LABEL, timeout=PATIENCE)
    page.click("#stop")
    page.click("#discard")
    page.click("[data-sample=happy]")
    expect(page.locator("#cliplabel")).to_contain_text("happy.mp4, as a whole", timeout=PATIENCE)
    assert watched.complaints == []
    assert [url for url in watched.asked if not url.startswith((f"{proxied}{path}", "blob:"))] == []
    context.close()


def test_nginx_keeps_the_metrics_to_itself(proxied: str) -> None:
    assert httpx.get(f"{proxied}/metrics", verify=False).status_code == 403  # noqa: S501 (its own)
