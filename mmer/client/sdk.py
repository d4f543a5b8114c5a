"""A service, for programs: files and live sessions, with an event loop or without one.

with Client("http://localhost:3000").stream(audio=False) as session:
    session.send_frame(jpeg, t=0.1)
    for message in session.here(): ...
"""

from __future__ import annotations

import contextlib
import json
import queue
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal

from mmer.client.stream import LostError, Session, connect
from mmer.errors import MmerError

PREDICT_S = 300.0
"""For so long an answer on a file is waited for."""


class RefusedError(MmerError):
    """The service takes no such file; the message says why and what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        """One of the service's codes (docs/reference/http.md)."""


class AsyncClient:
    """A service.

    Args:
        url: of it, http(s).
        key: its API key, where it asks for one.
    """

    def __init__(self, url: str = "http://localhost:3000", *, key: str | None = None) -> None:
        self.url, self._key = url.rstrip("/"), key

    async def predict(
        self,
        path: Path | str,
        *,
        start: float = 0.0,
        end: float | None = None,
        top: int | None = None,
        steps: bool = True,
        smooth: bool = False,
        calibration: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Have a video, a sound or an image recognised.

        Args:
            path: the file.
            start: where the part to look at begins, seconds.
            end: where it ends.
            top: how many of the likeliest emotions are also listed.
            steps: whether the timeline comes too.
            smooth: its labels and probabilities as they are shown live.
            calibration: of the person in it, as a session found it (the message `calibration`).

        Returns:
            The `Prediction` of docs/reference/http.md.

        Raises:
            RefusedError: the service takes no such file.
            LostError: no service answers there.
            OSError: the file cannot be read.
        """
        asked = {"start": start, "end": end, "top": top, "steps": steps, "smooth": smooth}
        given = {name: str(value).lower() for name, value in asked.items() if value is not None}
        form = {} if calibration is None else {"calibration": json.dumps(calibration)}
        headers = {"X-API-Key": self._key} if self._key else {}
        try:
            with Path(path).open("rb") as file:
                async with httpx.AsyncClient(timeout=PREDICT_S) as http:
                    files = {"file": (Path(path).name, file)}
                    answer = await http.post(
                        f"{self.url}/predict", params=given, headers=headers, data=form, files=files
                    )
        except httpx.HTTPError as error:
            raise LostError(f"no service answers at {self.url} ({error}): start one with `mmer serve`") from None
        with contextlib.suppress(ValueError):
            told: dict[str, Any] = answer.json()
            if answer.is_success:
                return told
            refused = told["error"]
            raise RefusedError(refused["code"], f"{refused['message']}. {refused['hint']}")
        raise LostError(f"{self.url} is no service of mmer: it answers HTTP {answer.status_code}")

    @contextlib.asynccontextmanager
    async def stream(
        self, *, video: bool = True, audio: bool = True, interval_s: float | None = None
    ) -> AsyncIterator[Session]:
        """Open a live session; arguments and errors as of `mmer.client.stream.connect`."""
        async with connect(self.url, key=self._key, video=video, audio=audio, interval_s=interval_s) as session:
            yield session


class Client:
    """A service, for a program without an event loop; arguments as of `AsyncClient`."""

    def __init__(self, url: str = "http://localhost:3000", *, key: str | None = None) -> None:
        self._service = AsyncClient(url, key=key)

    def predict(
        self,
        path: Path | str,
        *,
        start: float = 0.0,
        end: float | None = None,
        top: int | None = None,
        steps: bool = True,
        smooth: bool = False,
        calibration: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """As `AsyncClient.predict`."""
        with start_blocking_portal() as portal:
            return portal.call(
                lambda: self._service.predict(
                    path, start=start, end=end, top=top, steps=steps, smooth=smooth, calibration=calibration
                )
            )

    @contextlib.contextmanager
    def stream(
        self, *, video: bool = True, audio: bool = True, interval_s: float | None = None
    ) -> Iterator[BlockingSession]:
        """As `AsyncClient.stream`; what the service says comes in by itself meanwhile."""
        opening = self._service.stream(video=video, audio=audio, interval_s=interval_s)
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(opening) as session:
            blocking = BlockingSession(portal, session)
            try:
                yield blocking
            finally:
                blocking.close()


class BlockingSession:
    """An open session, `Session` without an event loop. Times are seconds since its start, by the caller's clock."""

    def __init__(self, portal: BlockingPortal, session: Session) -> None:
        self._portal, self._session = portal, session
        self._came: queue.SimpleQueue[dict[str, Any] | Exception | None] = queue.SimpleQueue()
        self._over = False
        self._hearing = portal.start_task_soon(self._hear)
        self.ready = session.ready
        """What the service said of itself."""

    def send_frame(self, jpeg: bytes, t: float) -> None:
        """A JPEG picture, taken at `t`."""
        self._portal.call(self._session.send_frame, jpeg, t)

    def send_voice(self, pcm: bytes, t: float) -> None:
        """Voice, int16 little-endian mono at 16 kHz, at most 2 s, whose first sample is at `t`."""
        self._portal.call(self._session.send_voice, pcm, t)

    def camera_off(self, t: float) -> None:
        """No pictures from `t` on, until the next one."""
        self._portal.call(self._session.camera_off, t)

    def microphone_off(self, t: float) -> None:
        """No voice from `t` on, until the next."""
        self._portal.call(self._session.microphone_off, t)

    def calibrate(self, seconds: float = 5.0) -> None:
        """As `Session.calibrate`."""
        self._portal.call(self._session.calibrate, seconds)

    def use(self, calibration: dict[str, Any] | None) -> None:
        """As `Session.use`."""
        self._portal.call(self._session.use, calibration)

    def bye(self) -> None:
        """Ask for what is owed, and then for the end."""
        self._portal.call(self._session.bye)

    def here(self) -> list[dict[str, Any]]:
        """The messages that have come in since they were asked for last; nothing is waited for.

        Raises:
            StreamError: the service ended the session.
        """
        found = []
        while not (self._over or self._came.empty()):
            message = self._next()
            found += [] if message is None else [message]
        return found

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Messages, until the end that was asked for.

        Raises:
            StreamError: the service ended the session.
        """
        while not self._over and (message := self._next()) is not None:
            yield message

    def close(self) -> None:
        """Listen no longer."""
        self._hearing.cancel()

    def _next(self) -> dict[str, Any] | None:
        message = self._came.get()
        self._over = not isinstance(message, dict)
        if isinstance(message, Exception):
            raise message
        return message

    async def _hear(self) -> None:
        try:
            async for message in self._session:
                self._came.put(message)
        except MmerError as error:
            self._came.put(error)
        else:
            self._came.put(None)
