"""A client of the stream protocol (docs/protocol.md): pictures and voice in, steps out.

async with connect("http://localhost:3000") as session:
    await session.send_frame(jpeg, t=0.1)
    async for message in session: ...
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
from httpx_ws import AsyncWebSocketSession, HTTPXWSException, WebSocketDisconnect, aconnect_ws
from wsproto.utilities import LocalProtocolError

from mmer.errors import MmerError
from mmer.runtime.grid import SAMPLE_RATE
from mmer.serving.protocol import CAMERA_OFF, FRAME, MICROPHONE_OFF, VERSION, VOICE, write_media

OPENING_S = 30.0
WAITS_S = (0.2, 0.4, 0.8, 1.6, 3.2)
"""Between attempts to open another session, at most; from then on the last."""


class StreamError(MmerError):
    """The service cannot be reached or ends the session; the message says why and what to do."""


class LostError(StreamError):
    """The connection is lost, the service is full or not there, or the session's time is over: another one may do."""


class Session:
    """An open session. Times are seconds since its start, by the caller's clock."""

    def __init__(self, socket: AsyncWebSocketSession, ready: dict[str, Any]) -> None:
        self._socket = socket
        self.ready = ready
        """What the service said of itself: step_s, labels, modalities, model, limits."""

    async def send_frame(self, jpeg: bytes, t: float) -> None:
        """A JPEG picture, taken at `t`."""
        await self._send(FRAME, t, jpeg)

    async def send_voice(self, pcm: bytes, t: float) -> None:
        """Voice, int16 little-endian mono at 16 kHz, at most 2 s, whose first sample is at `t`."""
        await self._send(VOICE, t, pcm)

    async def camera_off(self, t: float) -> None:
        """No pictures from `t` on, until the next one."""
        await self._send(CAMERA_OFF, t)

    async def microphone_off(self, t: float) -> None:
        """No voice from `t` on, until the next."""
        await self._send(MICROPHONE_OFF, t)

    async def calibrate(self, seconds: float = 5.0) -> None:
        """Take what is seen and heard in the next seconds as this person at rest. What was found comes as a message of
        type `calibration`, to be kept and given to `use` another time; or it is an `error` with why there is none.
        """
        await self._say(type="calibrate", seconds=seconds)

    async def use(self, calibration: dict[str, Any] | None) -> None:
        """A calibration that came in an earlier session, from now on; None: none."""
        await self._say(type="calibrate", calibration=calibration)

    async def bye(self) -> None:
        """Ask for the steps that are owed, and then for the end."""
        await self._say(type="bye")

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        """Messages, as docs/protocol.md has them (`step`, `utterance`, `dropped`, …), until the end that was asked for.

        Raises:
            StreamError: the service ended the session.
        """
        while True:
            message = await _receive(self._socket)
            if message["type"] == "closing":
                if message["code"] == "done":
                    return
                raise _ended("ended the session", message)
            yield message

    async def _send(self, kind: int, t: float, payload: bytes = b"") -> None:
        with _open():
            await self._socket.send_bytes(write_media(kind, round(1000 * t), payload))

    async def _say(self, **message: Any) -> None:
        with _open():
            await self._socket.send_text(json.dumps(message))


@contextlib.asynccontextmanager
async def connect(
    url: str, *, key: str | None = None, video: bool = True, audio: bool = True, interval_s: float | None = None
) -> AsyncIterator[Session]:
    """Open a session.

    Args:
        url: of the service, http(s) or ws(s); `/stream` is added where it is missing.
        key: the service's API key, where it asks for one.
        video: whether pictures will be sent.
        audio: whether voice will be sent.
        interval_s: instead of five steps a second, one `summary` of so many seconds.

    Raises:
        StreamError: nobody answers there, or the service refuses.
    """
    hello = {"type": "hello", "protocol": VERSION, "rate": SAMPLE_RATE, "video": video, "audio": audio}
    hello |= {} if interval_s is None else {"interval_s": interval_s}
    address = stream_url(url)
    try:
        async with contextlib.AsyncExitStack() as stack:
            try:
                client = await stack.enter_async_context(httpx.AsyncClient(timeout=OPENING_S))
                socket: AsyncWebSocketSession = await stack.enter_async_context(aconnect_ws(address, client))
                await socket.send_text(json.dumps(hello | ({"key": key} if key else {})))
                ready = await _receive(socket)
            except (HTTPXWSException, httpx.HTTPError, OSError) as error:
                raise LostError(f"no service answers at {address} ({error}): start one with `mmer serve`") from None
            if ready["type"] != "ready":
                raise _ended("refuses", ready)
            yield Session(socket, ready)
    except ExceptionGroup as several:  # httpx-ws has a task group of its own
        raise only(several) from None


async def stay(
    url: str,
    use: Callable[[Session], Awaitable[None]],
    *,
    patience_s: float = 30,
    lost: Callable[[LostError], None] = lambda _: None,
    key: str | None = None,
    video: bool = True,
    audio: bool = True,
) -> None:
    """Open a session and use it; where it is lost, as when a server is replaced, open the next and use that.

    The service keeps nothing of a session that is lost: time begins at 0 in the next one. The first session is not
    waited for.

    Args:
        url, key, video, audio: as for `connect`.
        use: what to do with a session; when it returns, all is done.
        patience_s: how long to try for another session.
        lost: told each time that a session is lost.

    Raises:
        StreamError: nobody answers, for so long; or the service refuses for good.
    """
    since, waits = -math.inf, iter(WAITS_S)

    async def used(session: Session) -> None:
        nonlocal since, waits
        since, waits = math.inf, iter(WAITS_S)
        await use(session)

    while True:
        try:
            async with connect(url, key=key, video=video, audio=audio) as session:
                return await used(session)
        except LostError as gone:
            now = time.monotonic()
            if since == math.inf:  # it was open
                since = now
                lost(gone)
            if now - since > patience_s:
                raise
        # Not all at once, or those whose server went would fall upon the next one together.
        await asyncio.sleep(next(waits, WAITS_S[-1]) * random.uniform(0.5, 1))


def only(several: ExceptionGroup) -> Exception:
    """What went wrong in a task group: the error for the user in it, else the first."""
    found = several.subgroup(MmerError) or several
    first: Exception = found.exceptions[0]
    return only(first) if isinstance(first, ExceptionGroup) else first


def stream_url(url: str) -> str:
    """The address of the stream of a service."""
    if "://" not in url:
        url = f"http://{url}"
    scheme, rest = url.split("://", 1)
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    return f"{scheme}://{rest.rstrip('/').removesuffix('/stream')}/stream"


def _ended(how: str, message: dict[str, Any]) -> StreamError:
    kind = LostError if message["code"] in ("busy", "busy_address", "failed", "session_over") else StreamError
    return kind(f"the service {how}: {message['message']}. {message['hint']}")


@contextlib.contextmanager
def _open() -> Iterator[None]:
    try:
        yield
    except (HTTPXWSException, LocalProtocolError):  # the other side has begun to close
        raise LostError("the connection is gone: is the service still running?") from None


async def _receive(socket: AsyncWebSocketSession) -> dict[str, Any]:
    try:
        message: dict[str, Any] = json.loads(await socket.receive_text())
    except (WebSocketDisconnect, HTTPXWSException):
        raise LostError("the connection is gone: the service was stopped or started anew; try again") from None
    return message
