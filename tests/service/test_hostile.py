"""A selection of what attacks/hostile.py sends, over real HTTP: no failure, no file left, no dead worker."""

import random
import socket
import time
from pathlib import Path

import httpx
import pytest

from attacks import files
from tests.graphs import drawn_clips
from tests.service.test_service import left_behind
from tests.serving import Served


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return files.every_format(drawn_clips()["happy"], tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("suffix", files.FORMATS)
def test_every_promised_format_is_taken(service: Served, whole: dict[str, bytes], suffix: str) -> None:
    answer = httpx.post(f"{service.url}/predict", files={"file": (f"clip.{suffix}", whole[suffix])}, timeout=60)
    assert answer.status_code == 200, answer.text
    steps = answer.json()["steps"]
    rounded = ("mp3", "flv", "ogg", "webm", "wmv", "wma", "aac", "3gp")
    assert len(steps) == (1 if suffix in files.STILLS else 5) or suffix in rounded
    assert len(steps) <= 7


def test_damaged_files_get_a_reason_and_leave_nothing(service: Served, whole: dict[str, bytes], tmp_path: Path) -> None:
    rng, before = random.Random(7), service.processes()
    fixed = [*files.pretenders(), *files.bombs(tmp_path), *files.crafted_images(), *files.crafted_sounds()]
    fixed += files.image_bombs(whole["heic"])
    for kind, name, data in fixed + [files.damaged(whole, rng) for _ in range(80)]:
        answer = httpx.post(f"{service.url}/predict", files={"file": (name, data)}, timeout=60)
        assert answer.status_code in (200, 413, 415, 422), (kind, name, answer.text)
        if answer.status_code != 200:
            assert set(answer.json()["error"]) == {"code", "message", "hint"}
    assert left_behind(service) == []
    assert set(before) <= set(service.processes()), "no worker died"


def test_whoever_hangs_up_is_no_failure_of_ours(service: Served) -> None:
    """The log of a public service must not fill with tracebacks of clients that lost their line."""
    address, logged = httpx.URL(service.url), service.log.read_text(errors="replace")
    for path in ("/infer", "/predict"):
        with socket.create_connection((address.host, address.port or 80), timeout=30) as line:
            head = f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            line.sendall(head.encode() + b"Content-Length: 100000\r\n\r\n--x\r\n")
    until = time.monotonic() + 2
    while time.monotonic() < until:
        time.sleep(0.1)
        assert "Traceback" not in service.log.read_text(errors="replace").removeprefix(logged)
