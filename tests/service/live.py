"""A raw client of the stream protocol, for the tests: it can also do what no proper client does."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
from httpx_ws import WebSocketDisconnect, WebSocketSession, connect_ws
from wsproto.utilities import LocalProtocolError

from mmer.runtime.config import Media
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.media import decode
from mmer.serving import protocol

HELLO = {"type": "hello", "protocol": protocol.VERSION, "rate": SAMPLE_RATE, "video": True, "audio": True}


@dataclass
class Live:
    """One session."""

    socket: WebSocketSession
    ready: dict[str, Any] = field(default_factory=dict)

    def say(self, **message: Any) -> None:
        self.socket.send_text(json.dumps(message))

    def frame(self, jpeg: bytes, t: float) -> None:
        self.socket.send_bytes(struct.pack("<BI", 1, round(1000 * t)) + jpeg)

    def voice(self, pcm: bytes, t: float) -> None:
        self.socket.send_bytes(struct.pack("<BI", 2, round(1000 * t)) + pcm)

    def off(self, kind: int, t: float) -> None:
        self.socket.send_bytes(struct.pack("<BI", kind, round(1000 * t)))

    def hear(self, timeout: float = 20) -> dict[str, Any]:
        """The next message; the closing of the socket counts as one."""
        try:
            told: dict[str, Any] = json.loads(self.socket.receive_text(timeout))
        except WebSocketDisconnect as gone:
            return {"type": "closed", "code": gone.code}
        return told

    def until(self, kind: str) -> list[dict[str, Any]]:
        """All messages up to the first of a kind."""
        heard = [self.hear()]
        while heard[-1]["type"] not in (kind, "closed"):
            heard.append(self.hear())
        return heard

    def end(self) -> list[dict[str, Any]]:
        """What is still owed, after a bye."""
        self.say(type="bye")
        return self.until("closed")


@contextlib.contextmanager
def live(
    url: str, hello: dict[str, Any] | None = HELLO, local_address: str | None = None, **headers: str
) -> Iterator[Live]:
    """A session that has said hello, unless there is none to say; from an address of this machine."""
    with (
        httpx.Client(timeout=30, transport=httpx.HTTPTransport(local_address=local_address)) as client,
        connect_ws(url.replace("http", "ws", 1) + "/stream", client, headers=headers) as socket,
    ):
        session = Live(socket)
        if hello is not None:
            with contextlib.suppress(LocalProtocolError):  # refused before it could be said
                session.say(**hello)
            session.ready = session.hear()
        yield session


def play(path: Path) -> tuple[list[tuple[float, bytes]], bytes]:
    """A clip as a client would send it: a JPEG every 0.1 s with its time, and the whole voice."""
    frames: list[tuple[float, bytes]] = []

    def take(_: int, t: float, rgb: np.ndarray) -> None:
        frames.append((t, cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()))

    voice = decode(path, Media(), 0.1, take).voice
    return frames, voice.tobytes()
