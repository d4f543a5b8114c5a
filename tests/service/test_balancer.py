"""Three services behind a real nginx, by deploy/nginx.conf: what spreads, what stays, what is lost when one goes."""

import asyncio
import collections
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from mmer.client.playback import FRAME_S, Piece, pieces
from mmer.client.stream import LostError, Session, StreamError, stay
from tests.graphs import drawn_clips, write_model
from tests.nginx import Balancer, balanced
from tests.service.live import live
from tests.serving import Served, serve

pytestmark = pytest.mark.slow
GROUPS = 3
BELOW = "/emotion"
LIMIT = 4
"""Streams of one address in each service."""


@contextlib.contextmanager
def group(model: Path, home: Path) -> Iterator[Served]:
    """A service: one group of processes."""
    with serve(model, home, MMER_SESSIONS_PER_ADDRESS=str(LIMIT), MMER_PREDICTIONS="2") as served:
        yield served


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def services(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Served]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(group(model, tmp_path_factory.mktemp("home"))) for _ in range(GROUPS)]


@pytest.fixture
def balancer(services: list[Served]) -> Iterator[Balancer]:
    with balanced([served.url for served in services]) as balancer:
        yield balancer


def open_in(services: list[Served]) -> list[int]:
    """The streams that each has open."""
    texts = [httpx.get(f"{served.url}/metrics").text for served in services]
    values = [[line for line in text.splitlines() if line.startswith("mmer_sessions{")] for text in texts]
    return [int(float(lines[0].split()[1])) if lines else 0 for lines in values]


@pytest.mark.parametrize("path", ["", BELOW])
def test_streams_spread_and_each_stays_with_its_service(balancer: Balancer, services: list[Served], path: str) -> None:
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(live(f"{balancer.url}{path}")) for _ in range(2 * GROUPS)]
        assert open_in(services) == [2] * GROUPS
        for session in sessions:  # its state is where it is: steps are numbered on, over all of them
            for k in range(1, 5):
                session.voice(bytes(6400), 0.2 * (k - 1))
                session.off(3, 0.2 * k)
        for session in sessions:
            steps = [m for m in session.end() if m["type"] == "step"]
            assert [m["n"] for m in steps] == list(range(4))


def test_files_spread(balancer: Balancer, services: list[Served]) -> None:
    data, by = drawn_clips()["happy"].read_bytes(), collections.Counter[str]()
    for path in ("", BELOW) * 6:
        answer = httpx.post(f"{balancer.url}{path}/predict", files={"file": data}, timeout=60)
        assert answer.status_code == 200
        by[answer.headers["X-Upstream"]] += 1
    assert set(by) == {served.url.removeprefix("http://") for served in services}


def test_limits_see_who_is_behind_the_balancer(balancer: Balancer, services: list[Served]) -> None:
    """Two addresses of the loopback; the second says each time that it is somebody else, and is not believed."""

    def fill(address: str, forge: bool) -> list[str]:
        said = []
        with contextlib.ExitStack() as stack:
            for k in range(LIMIT + 1):
                headers = {"X-Forwarded-For": f"192.0.2.{k}"} if forge else {}
                session = stack.enter_context(live(balancer.url, local_address=address, **headers))
                said.append(session.ready.get("code") or session.ready["type"])
            return said

    balancer.use([services[0].url])
    time.sleep(1)  # until new workers of nginx have taken over
    with contextlib.ExitStack() as stack:
        here = [stack.enter_context(live(balancer.url, local_address="127.0.0.2")) for _ in range(LIMIT)]
        assert {session.ready["type"] for session in here} == {"ready"}
        assert fill("127.0.0.3", forge=True) == ["ready"] * LIMIT + ["busy_address"]
        assert fill("127.0.0.2", forge=False) == ["busy_address"] * (LIMIT + 1)


def test_the_metrics_are_for_whoever_reaches_the_services(balancer: Balancer) -> None:
    for path in ("", BELOW):
        assert httpx.get(f"{balancer.url}{path}/metrics").status_code == 403


class Crowd:
    """Files and streams that keep coming through the balancer, and what became of them."""

    def __init__(self, url: str, files: int, streams: int) -> None:
        self.url = url
        self.answers = collections.Counter[str]()
        self.lost, self.steps, self.gaps = 0, 0, list[float]()
        self.failed: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send_files) for _ in range(files)]
        self._threads.append(threading.Thread(target=lambda: asyncio.run(self._send_streams(streams))))

    def __enter__(self) -> "Crowd":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send_files(self) -> None:
        data = drawn_clips()["happy"].read_bytes()
        while not self._stop.is_set():
            try:
                answer = httpx.post(f"{self.url}/predict?steps=false", files={"file": data}, timeout=120)
                self.answers[str(answer.status_code)] += 1
            except httpx.HTTPError as error:
                self.answers[type(error).__name__] += 1

    async def _send_streams(self, count: int) -> None:
        clip = pieces(drawn_clips()["happy"])
        await asyncio.gather(*(self._stream(clip) for _ in range(count)))

    async def _stream(self, clip: list[Piece]) -> None:
        gone_at: float | None = None

        def lost(_: LostError) -> None:
            nonlocal gone_at
            self.lost, gone_at = self.lost + 1, time.monotonic()

        async def use(session: Session) -> None:
            nonlocal gone_at
            if gone_at is not None:
                self.gaps.append(time.monotonic() - gone_at)
                gone_at = None
            voice = [piece.voice for piece in clip if piece.voice][:-1]
            jpegs = [piece.jpeg for piece in clip if piece.jpeg]

            async def send() -> None:
                for k in range(1, 10_000):
                    await session.send_voice(voice[k % len(voice)], (k - 1) * FRAME_S)
                    await session.send_frame(jpegs[k % len(jpegs)], k * FRAME_S)
                    if self._stop.is_set():
                        return await session.bye()
                    await asyncio.sleep(FRAME_S)

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(send())
                async for message in session:
                    self.steps += message["type"] == "step"

        try:
            await stay(self.url, use, lost=lost)
        except StreamError as error:
            self.failed.append(str(error))


def wait_until(true: Callable[[], bool]) -> None:
    """A bound, not a claim."""
    for _ in range(600):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError


def test_one_is_drained_and_replaced_under_load_and_nothing_is_lost(
    model: Path, services: list[Served], tmp_path: Path
) -> None:
    """As docs/deploy.md has it: the new one is ready, nginx is told, the old one is told to stop."""
    with group(model, tmp_path / "old") as old, balanced([old.url, *(one.url for one in services[1:])]) as balancer:
        with Crowd(balancer.url, files=3, streams=2 * GROUPS) as crowd, group(model, tmp_path / "new") as new:
            wait_until(lambda: open_in([old]) == [2] and crowd.answers["200"] > 5)
            balancer.use([new.url, *(one.url for one in services[1:])])
            os.kill(old.pid, signal.SIGTERM)
            wait_until(lambda: crowd.lost >= 2 and len(crowd.gaps) == crowd.lost)
            before = crowd.answers["200"]
            wait_until(lambda: crowd.answers["200"] > before + 10)
            assert sum(open_in([new, *services[1:]])) == 2 * GROUPS
        print(f"{crowd.answers}, {crowd.lost} streams cut off, again after {sorted(crowd.gaps)} s")
        assert set(crowd.answers) == {"200"}
        assert crowd.failed == []


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGKILL])
def test_one_that_goes_without_a_word_loses_nothing_either(
    model: Path, services: list[Served], tmp_path: Path, signal_: signal.Signals
) -> None:
    """nginx is not told: it finds out, and asks the others."""
    with group(model, tmp_path / "old") as old, balanced([old.url, *(one.url for one in services[1:])]) as balancer:
        with Crowd(balancer.url, files=3, streams=2 * GROUPS) as crowd:
            wait_until(lambda: open_in([old]) == [2] and crowd.answers["200"] > 5)
            for pid in old.processes() if signal_ == signal.SIGKILL else [old.pid]:
                os.kill(pid, signal_)
            wait_until(lambda: crowd.lost >= 2 and len(crowd.gaps) == crowd.lost)
            before = crowd.answers["200"]
            wait_until(lambda: crowd.answers["200"] > before + 10)
            assert sum(open_in(services[1:])) == 2 * GROUPS
        print(f"{crowd.answers}, {crowd.lost} streams cut off, again after {sorted(crowd.gaps)} s")
        assert set(crowd.answers) == {"200"}
        assert crowd.failed == []
