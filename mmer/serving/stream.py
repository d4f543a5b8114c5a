"""`/stream`: one WebSocket, one session; within limits, one task that reads and one that answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from starlette.websockets import WebSocket, WebSocketDisconnect

from mmer.runtime.types import Arrays
from mmer.serving import answers, protocol
from mmer.serving.live import Session
from mmer.serving.models import Model, Models, Pass
from mmer.serving.protocol import Bye, Hello, Refusal
from mmer.serving.settings import Settings
from mmer.serving.watch import Watch

HELLO_S = 10.0
SEND_S = 5.0
"""An answer that cannot be sent for so long has no reader."""
BURST_S = 3.0
"""Seconds' worth of messages that may come at once."""
BAD_IN_A_ROW = 20

Network = Callable[[Pass], Awaitable[Arrays]]


class Bucket:
    """A token bucket: so many a second, and a burst."""

    def __init__(self, per_s: float) -> None:
        self._per_s, self._left, self._at = per_s, per_s * BURST_S, time.monotonic()

    def take(self, amount: float) -> bool:
        """Whether as much may pass now."""
        now = time.monotonic()
        self._left = min(self._per_s * BURST_S, self._left + (now - self._at) * self._per_s) - amount
        self._at = now
        return self._left >= 0


class Streams:
    """All sessions of this process."""

    def __init__(self, models: Models, network: Network, settings: Settings, watch: Watch) -> None:
        self._models, self._network, self._settings, self._watch = models, network, settings, watch
        self._open: Counter[str] = Counter()
        # More threads than cores only fight for the interpreter: 16 streams had a p95 of 450 ms instead of 180.
        self._looking = anyio.CapacityLimiter(os.cpu_count() or 1)

    async def __call__(self, socket: WebSocket) -> None:
        """Serve one connection to its end."""
        await socket.accept()
        address = socket.client.host if socket.client else "unknown"
        started, session, model = time.monotonic(), None, None
        try:
            self._admit(socket, address)
            self._open[address] += 1
            model = self._models.pick()
            try:
                with self._watch.session(model.version):
                    hello = await self._hello(socket, model)
                    session = Session(model.recognizer, hello, self._settings.picture_pixels)
                    code, message = await self._serve(socket, session, model)
            finally:
                self._open[address] -= 1
                if not self._open[address]:
                    del self._open[address]
        except Refusal as refusal:
            code, message = refusal.code, str(refusal)
        except WebSocketDisconnect:
            code, message = "gone", ""
        except Exception:
            self._watch.refused("failed")
            self._watch.log("session_failed")
            await self._close(socket, "failed", "the server failed")
            raise
        if code not in ("gone", "done"):
            self._watch.refused(code)
        self._watch.log(
            "session",
            code=code,
            seconds=round(time.monotonic() - started, 1),
            steps=session.steps if session else 0,
            model=model.version if model else None,
        )
        if code != "gone":
            await self._close(socket, code, message)

    def _admit(self, socket: WebSocket, address: str) -> None:
        origin, host = socket.headers.get("origin"), socket.headers.get("host")
        if origin and urlsplit(origin).netloc != host and origin not in self._settings.origins:
            raise Refusal("origin", f"pages of {origin[:80]} may not use this server")
        if self._open.total() >= self._settings.sessions:
            raise Refusal("busy", f"{self._settings.sessions} sessions are open")
        if self._open[address] >= self._settings.sessions_per_address:
            raise Refusal("busy_address", f"{self._settings.sessions_per_address} sessions are open from your address")

    async def _hello(self, socket: WebSocket, model: Model) -> Hello:
        try:
            async with asyncio.timeout(HELLO_S):  # `wait_for` may swallow a cancellation
                message = await socket.receive()
        except TimeoutError:
            raise Refusal("no_hello", f"no hello within {HELLO_S:g} s") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        if message.get("text") is None:
            raise Refusal("no_hello", "the first message is no text")
        hello = protocol.read_hello(message["text"])
        if not self._settings.allows(hello.key or socket.headers.get("x-api-key")):
            raise Refusal("key", "the API key is missing or wrong")
        info, settings = model.recognizer.info, self._settings
        ready = {
            "type": "ready",
            "protocol": hello.protocol,
            "step_s": info.input.step_s,
            "labels": info.labels,
            "modalities": info.modalities,
            "model": info.to_json(),
            "served": model.version,
            "limits": {
                "message_bytes": round(settings.message_kb * 1024),
                "messages_per_s": settings.messages_per_s,
                "bytes_per_s": round(settings.megabytes_per_s * 2**20),
                "session_s": settings.session_s,
                "idle_s": settings.idle_s,
            },
        }
        await self._send(socket, ready)
        return hello

    async def _serve(self, socket: WebSocket, session: Session, model: Model) -> tuple[str, str]:
        """Read and answer until one of the two ends; why it ended."""
        news, bye = asyncio.Event(), asyncio.Event()
        reader = asyncio.create_task(self._read(socket, session, news))
        worker = asyncio.create_task(self._work(socket, session, model, news, bye))
        try:
            async with asyncio.timeout(self._settings.session_s):
                done, _ = await asyncio.wait((reader, worker), return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                bye.set()
                news.set()
                await worker  # what is owed comes first
            return "done", "as you asked"
        except TimeoutError:
            return "session_over", f"{self._settings.session_s:g} s are over"
        finally:
            for task in (reader, worker):
                task.cancel()
            await asyncio.gather(reader, worker, return_exceptions=True)

    async def _read(self, socket: WebSocket, session: Session, news: asyncio.Event) -> None:
        """Messages into the session's mailboxes, until a bye.

        Raises:
            Refusal: a limit is exceeded.
        """
        settings, bad = self._settings, 0
        messages, size = Bucket(settings.messages_per_s), Bucket(settings.megabytes_per_s * 2**20)
        while True:
            try:
                async with asyncio.timeout(settings.idle_s):
                    message = await socket.receive()
            except TimeoutError:
                raise Refusal("idle", f"nothing came for {settings.idle_s:g} s") from None
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1006))
            text, data = message.get("text"), message.get("bytes")
            length = len(text or "") if data is None else len(data)
            if length > settings.message_kb * 1024:
                raise Refusal("message_size", f"a message of {length} bytes")
            if not (messages.take(1) and size.take(length)):
                raise Refusal("rate", "more messages or bytes came than the limits allow")
            try:
                if data is None:
                    said = protocol.read_text(text or "")
                    if isinstance(said, Bye):
                        return
                    session.calibrate(said)
                else:
                    session.receive(protocol.read_media(data))
                    news.set()
                bad = 0
            except Refusal as refusal:
                bad += 1
                if bad >= BAD_IN_A_ROW:
                    raise Refusal("errors", f"{bad} messages in a row could not be used") from None
                await self._complain(socket, refusal)

    async def _work(
        self, socket: WebSocket, session: Session, model: Model, news: asyncio.Event, bye: asyncio.Event
    ) -> None:
        """Steps, as they become due, until a bye."""
        had_face = False
        while not bye.is_set():
            await news.wait()
            news.clear()
            await self._catch_up(socket, session)
            await self._send(socket, *session.utterances())
            while session.due:
                begun, refusal = await anyio.to_thread.run_sync(session.look, session.take(), limiter=self._looking)
                found = await self._network(model.through(begun.arrays))
                step, messages = session.tell(begun, found)
                self._watch.step("stream", model.version, step)
                for phase, ms in session.ms.items():
                    self._watch.phase("stream", model.version, phase, ms / 1000)
                if had_face and step.box is None:
                    self._watch.faces_lost.inc()
                had_face = step.box is not None
                if refusal is not None:
                    await self._complain(socket, refusal)
                await self._send(socket, *messages)
                self._watch.phase("stream", model.version, "whole", session.since_reached(step.t))
                await self._catch_up(socket, session)
        await self._send(socket, *session.finish())

    async def _catch_up(self, socket: WebSocket, session: Session) -> None:
        if dropped := session.catch_up():
            self._watch.skipped.inc(dropped["steps"])
            await self._send(socket, dropped)

    async def _complain(self, socket: WebSocket, refusal: Refusal) -> None:
        self._watch.refused(refusal.code)
        await self._send(socket, answers.told("error", refusal.code, str(refusal)))

    async def _send(self, socket: WebSocket, *messages: object) -> None:
        try:
            for message in messages:
                async with asyncio.timeout(SEND_S):
                    await socket.send_json(message)
        except TimeoutError:
            raise Refusal("slow_reader", f"an answer could not be sent for {SEND_S:g} s") from None
        except RuntimeError:  # Starlette's word for a connection that is closed
            raise WebSocketDisconnect(1006) from None

    async def _close(self, socket: WebSocket, code: str, message: str) -> None:
        with contextlib.suppress(Exception):  # the other side may be gone
            async with asyncio.timeout(SEND_S):
                await socket.send_json(answers.told("closing", code, message))
                await socket.close(answers.CLOSE.get(code, 1008), reason=code)
