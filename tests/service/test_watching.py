"""A real Prometheus, with the alerts of deploy/kubernetes, watches real services, one of which is told to stop."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from scripts.dashboard import draw
from tests.graphs import drawn_clips, write_model
from tests.nginx import free_port
from tests.service.live import live, play
from tests.serving import ROOT, Served, end, serve

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
def prometheus(services: list[Served], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address. It asks each second, and alerts wait a second where they else wait for minutes."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    rules = yaml.safe_load((ROOT / "deploy/kubernetes/monitoring/prometheusrule.yaml").read_text())["spec"]
    for rule in rules["groups"][0]["rules"]:
        if "for" in rule:
            rule["for"] = "1s"
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    targets = [served.url.removeprefix("http://") for served in services]
    jobs = [{"job_name": "mmer", "static_configs": [{"targets": targets}]}]
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (folder / "conf.yaml").write_text(
        yaml.safe_dump({"global": every, "rule_files": ["rules.yaml"], "scrape_configs": jobs})
    )
    command = [
        "prometheus",
        "--config.file=conf.yaml",
        "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        end(process)


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


def test_it_is_seen_and_drawn_and_the_loss_of_one_is_told(
    services: list[Served], prometheus: str, tmp_path: Path
) -> None:
    until(prometheus, "query?query=sum(up)", lambda data: data["result"] and data["result"][0]["value"][1] == "2")
    frames, voice = play(drawn_clips()["happy"])
    for _ in range(3):
        for served in services:
            httpx.post(f"{served.url}/predict", files={"file": drawn_clips()["happy"].read_bytes()}, timeout=60)
            with live(served.url) as session:
                for k, (t, jpeg) in enumerate(frames[:20]):
                    session.frame(jpeg, t)
                    session.voice(voice[3200 * k : 3200 * (k + 1)], 0.1 * k)
                    time.sleep(0.05)
                session.end()
    assert until(prometheus, "alerts", lambda _: True)["alerts"] == []
    quiet = {"Refused, by code", "Refused a second", "Without the network's process"}
    seen = draw(prometheus, 5, tmp_path / "dashboard.png")
    assert {title for title, count in seen.items() if not count} <= quiet
    assert (tmp_path / "dashboard.png").stat().st_size > 50_000

    os.kill(services[1].pid, signal.SIGTERM)

    def firing(data: Any) -> bool:
        return any(a["labels"]["alertname"] == "MmerServiceLost" and a["state"] == "firing" for a in data["alerts"])

    until(prometheus, "alerts", firing)
