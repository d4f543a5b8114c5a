"""Claims about changing the served model: by MLflow's registry on a real server, `mmer follow`, and a service with open
streams, none of which is cut off; what cannot be served is told, and the old one goes on.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from mmer.params import load_params
from mmer.runtime.graph import ModelError
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.versions import Served, open_version, read_served, write_served
from mmer.serving.models import Share
from mmer.training import mlflow_runs
from tests.graphs import detector, write_model
from tests.service.live import live
from tests.service.test_api import metric
from tests.service.test_service import worker
from tests.serving import ROOT, end, serve
from tests.serving import Served as Running
from tests.team import mlflow_server, wait

STEP_S = 0.2
BUSY_S = 120
"""However busy the machine is, a worker that was killed is back by then."""
OTHER = {"step_s": 0.25, "voice_window_s": 0.5}
"""An input of another contract."""


def write_broken(folder: Path) -> Path:
    """A graph of the right contract whose weights are no numbers."""
    write_model(folder)
    model = onnx.load(folder / "mmer.onnx")
    for tensor in model.graph.initializer:
        if tensor.name == "weights":
            tensor.CopyFrom(numpy_helper.from_array(np.full((7, 7), np.nan, np.float32), "weights"))
    onnx.save(model, folder / "mmer.onnx")
    return folder


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a good version, and some that cannot take its place."""
    folder = tmp_path_factory.mktemp("versions")
    for name, about in {"good": {}, "other": {"input": OTHER}, "faces": {"modalities": ["face"]}, "cut": {}}.items():
        write_model(folder / name, **about)
    write_broken(folder / "broken")
    graph = folder / "cut" / "mmer.onnx"
    graph.write_bytes(graph.read_bytes()[:500])
    return folder


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("gone", "version gone is not in"),
        ("other", "another contract than what is served: input is .*0.25.* instead of"),
        ("faces", "another contract than what is served: modalities is"),
        ("broken", "its weights are broken"),
        ("cut", "is no graph that onnxruntime opens"),
    ],
)
def test_what_cannot_take_the_place_of_another_is_refused(versions: Path, version: str, reason: str) -> None:
    like = open_version(versions, "good").info
    with pytest.raises(ModelError, match=reason):
        open_version(versions, version, like)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 1.0])
def test_a_canary_gets_its_share_to_a_stream(share: float) -> None:
    turns = Share(share)
    assert sum(turns.next() for _ in range(100)) == round(100 * share)


@pytest.mark.parametrize("text", ["", "{}", '{"production": "../x"}', '{"production": "1", "share": 2}', "[1]"])
def test_a_list_of_what_is_served_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "served.json").write_text(text)
    with pytest.raises(ModelError, match=r"served\.json"):
        read_served(tmp_path)


@dataclass
class Talk:
    """A live stream that goes on until it is told to end: a piece of silence each 0.2 s, and the answer to it."""

    url: str
    version: str = ""
    numbers: list[int] = field(default_factory=list)
    late: list[tuple[float, float]] = field(default_factory=list)
    """When a piece was sent, and how many seconds later its step was there."""
    ended: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> "Talk":
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        wait(lambda: self.version or self.ended)
        return self

    def _run(self) -> None:
        with live(self.url) as session:
            self.version = session.ready.get("served", "refused")
            k = 0
            while not self._stop.is_set():
                sent = time.monotonic()
                session.voice(bytes(6400), STEP_S * k)
                k += 1
                session.off(3, STEP_S * k)
                told = session.hear(BUSY_S)
                if told["type"] != "step":
                    self.ended = str(told)
                    return
                self.numbers.append(told["n"])
                self.late.append((sent, time.monotonic() - sent))
                time.sleep(max(0.0, sent + STEP_S - time.monotonic()))
            session.end()
        self.ended = "as asked"

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(BUSY_S)
        assert self.ended == "as asked"
        assert self.numbers == list(range(len(self.numbers))), "no step is missing"


@contextlib.contextmanager
def talks(url: str, count: int) -> Iterator[list[Talk]]:
    """So many at once."""
    opened = [Talk(url).begin() for _ in range(count)]
    yield opened
    for talk in opened:
        talk.stop()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of MLflow that holds versions 1 to 3, 4 of another contract, and 5 with broken weights."""
    home = tmp_path_factory.mktemp("mlflow")
    with (
        mlflow_server(f"sqlite:///{home}/store.db", home / "server") as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("MLFLOW_TRACKING_URI", url)
        with mlflow_runs.run("train", load_params(ROOT / "params.yaml")) as run:
            pass
        for version in range(1, 6):
            folder = home / str(version)
            about = {"git": f"{version:07}"} | ({"input": OTHER} if version == 4 else {})
            write_broken(folder) if version == 5 else write_model(folder, **about)
            made = mlflow_runs.register(folder / "mmer.onnx", detector(), run, description="for a test")
            assert made == str(version)
        yield url


def mmer(*arguments: str) -> str:
    """A command; what it says."""
    done = subprocess.run([sys.executable, "-m", "mmer.cli", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout + done.stderr + ("" if done.returncode == 0 else f"exit code {done.returncode}")


@contextlib.contextmanager
def following(folder: Path, log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        command = [sys.executable, "-m", "mmer.cli", "follow", str(folder), "--every", "0.5"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        end(process)


def serves(service: Running, version: str) -> bool:
    """Whether new streams of it are that version's alone."""
    return metric(service, "mmer_model_share", model=version) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("registry")
def test_models_change_under_streams_and_none_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, told = tmp_path / "served", tmp_path / "follow.log"
    assert "nothing is in production: `mmer promote champion`" in mmer("follow", str(folder), "--once")
    assert "version 1 is in production" in mmer("promote", "1")
    assert "version 1 is served" in mmer("follow", str(folder), "--once")
    with (
        serve(folder, tmp_path / "home", MMER_SESSIONS="64", MMER_SESSIONS_PER_ADDRESS="64") as service,
        following(folder, told),
    ):
        assert serves(service, "1")
        with talks(service.url, 4) as old:
            assert {talk.version for talk in old} == {"1"}
            time.sleep(3)
            began = time.monotonic()
            assert "version 2 is in production; before it was version 1" in mmer("promote", "2")
            wait(lambda: serves(service, "2"))
            took = time.monotonic() - began
            with talks(service.url, 2) as new:
                assert {talk.version for talk in new} == {"2"}
                time.sleep(2)
                counts = {v: metric(service, "mmer_sessions", model=v) for v in "12"}
                assert counts == {"1": 4, "2": 2}
            answers = {at: late for talk in old for at, late in talk.late}
            before, after = ([late for at, late in answers.items() if (at >= began) == now] for now in (False, True))
            print(f"served {took:.1f} s after the command; a step came after {np.median(before) * 1e3:.0f} ms, at most")
            print(
                f"{max(before) * 1e3:.0f} ms; meanwhile {np.median(after) * 1e3:.0f}, at most {max(after) * 1e3:.0f} ms"
            )
        assert httpx.get(f"{service.url}/model/info.json").json()["git"] == "0000002", "the page's own, too"
        assert httpx.get(f"{service.url}/model/mmer.onnx").content == (folder / "2" / "mmer.onnx").read_bytes()

        assert "version 3 is tried on 25% of new streams, beside version 2" in mmer("promote", "3", "--share", "0.25")
        wait(lambda: metric(service, "mmer_model_share", model="3") == 0.25)
        with talks(service.url, 8) as both:
            assert Counter(talk.version for talk in both) == {"2": 6, "3": 2}
            time.sleep(1)
            os.kill(worker(service, "mmer-network"), signal.SIGKILL)
            time.sleep(6)
            steps = {v: metric(service, "mmer_steps_total", model=v, of="stream") for v in "23"}
            assert steps["2"] > steps["3"] > 0
        assert "the trial of version 3 is over; version 2 serves all" in mmer("rollback")
        wait(lambda: serves(service, "2"))
        assert "version 1 is in production again, instead of version 2" in mmer("rollback")
        wait(lambda: serves(service, "1"))

        for version, reason in (("4", "another contract"), ("5", "its weights are broken")):
            with talks(service.url, 1) as one:
                mmer("promote", version)
                wait(lambda reason=reason: reason in told.read_text())
                wait(lambda: metric(service, "mmer_model_refused") == 1)
                assert one[0].version == "1"
                assert serves(service, "1")
                assert reason in service.log.read_text(), "in the service's log, too"
            assert "version 1 is in production again" in mmer("rollback")
            wait(lambda: metric(service, "mmer_model_refused") == 0)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with monkeypatch.context() as away:
            away.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
            said = mmer("follow", str(folder), "--once")
            assert said.startswith("mmer: MLflow's registry, http://127.0.0.1:9: ")
            assert said.endswith("exit code 1")
            assert read_served(folder).production == "1"
        assert "the registry has no version 9; there are 1, 2, 3, 4, 5" in mmer("promote", "9")
        shutil.rmtree(folder / "2")
        (folder / "2").mkdir()
        # As a hand might write it, or what a disk lost; and then the service's process is started anew.
    write_served(folder, Served(production="2", previous="1"))
    with serve(folder, tmp_path / "again") as service:
        assert serves(service, "1")
        assert metric(service, "mmer_model_refused") == 1


@pytest.mark.slow
def test_a_folder_written_by_hand_is_served_too(tmp_path: Path) -> None:
    for version in "ab":
        write_model(tmp_path / "served" / version, git=version)
    write_served(tmp_path / "served", Served(production="a"))
    with serve(tmp_path / "served", tmp_path / "home") as service, talks(service.url, 1) as one:
        for text, reason in (
            ('{"production": "b", "share": 7}', "less than or equal to 1"),
            ('{"production": "c"}', "version c is not in"),
            ("{", "EOF"),
        ):
            (tmp_path / "served" / "served.json").write_text(text)
            wait(lambda reason=reason: reason in service.log.read_text())
            assert serves(service, "a")
        for version in "bab":  # comes, goes and comes again, under the stream that began with it
            write_served(tmp_path / "served", Served(production=version))
            wait(lambda version=version: serves(service, version))
        late = [seconds for _, seconds in one[0].late]
        print(f"three changes: a step came after {np.median(late) * 1e3:.0f} ms, at most {max(late) * 1e3:.0f}")
        lines = [json.loads(line) for line in service.log.read_text().splitlines() if '"event": "models"' in line]
        assert [line["shares"] for line in lines] == [{"a": 1.0}, {"b": 1.0}, {"a": 1.0}, {"b": 1.0}]
        assert metric(service, "mmer_model_refused") == 0
        assert one[0].version == "a"
        answer = httpx.post(f"{service.url}/predict", files={"file": b"no clip"})
        assert answer.status_code == 415
        assert Recognizer.load(tmp_path / "served" / "b").info.git == "b"
