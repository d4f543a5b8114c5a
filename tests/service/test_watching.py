"""A real Prometheus, with the alerts of deploy/kubernetes, watches real services, one of which is told to stop."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from scripts.dashboard import draw
from tests.graphs import drawn_clips, write_model
from tests.prometheus import watched
from tests.service.live import live, play
from tests.serving import Served, serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="apt-get install prometheus"),
]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Served]]:
    model = write_model(tmp_path_factory.mktemp("model"))
    with serve(model, tmp_path_factory.mktemp("a")) as one, serve(model, tmp_path_factory.mktemp("b")) as other:
        yield [one, other]


@pytest.fixture(scope="module")
def prometheus(services: list[Served]) -> Iterator[str]:
    with watched([served.url for served in services]) as url:
        yield url


def until(prometheus: str, path: str, true: Any) -> Any:
    """What it answers, once that is so; a bound, not a claim."""
    for _ in range(1200):
        try:
            data = httpx.get(f"{prometheus}/api/v1/{path}").json()["data"]
        except httpx.TransportError:
            data = None
        if data is not None and true(data):
            return data
        time.sleep(0.1)
    raise AssertionError(data)


def test_each_expression_of_the_dashboard_finds_something_and_the_loss_of_a_service_is_told(
    services: list[Served], prometheus: str, tmp_path: Path
) -> None:
    until(prometheus, "query?query=sum(up)", lambda data: data["result"] and data["result"][0]["value"][1] == "2")
    frames, voice = play(drawn_clips()["happy"])
    for _ in range(3):
        for served in services:
            assert httpx.post(f"{served.url}/predict", files={"file": b"no clip"}).status_code in (400, 415)
            httpx.post(f"{served.url}/predict", files={"file": drawn_clips()["happy"].read_bytes()}, timeout=60)
            with live(served.url) as session:
                for k, (t, jpeg) in enumerate(frames[:20]):
                    session.frame(jpeg, t)
                    session.voice(voice[3200 * k : 3200 * (k + 1)], 0.1 * k)
                    time.sleep(0.05)
                session.end()
    told = until(prometheus, "alerts", lambda _: True)["alerts"]
    assert "MmerServiceLost" not in {alert["labels"]["alertname"] for alert in told}
    time.sleep(5)  # the step of what is asked for: so that the last of it is there
    seen = draw(prometheus, 5, tmp_path / "dashboard.png")
    for title, given in seen.items():
        for k, series in enumerate(given):
            assert any(np.isfinite(what).any() for _, what in series.values()), (title, k)
    assert max(np.nanmax(what) for _, what in seen["Refused, by code"][0].values()) > 0
    assert (tmp_path / "dashboard.png").stat().st_size > 50_000

    os.kill(services[1].pid, signal.SIGTERM)

    def firing(data: Any) -> bool:
        return any(a["labels"]["alertname"] == "MmerServiceLost" and a["state"] == "firing" for a in data["alerts"])

    until(prometheus, "alerts", firing)
