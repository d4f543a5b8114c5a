"""Whoever speaks, listened to behind a program that goes on with a service or without one: a voice agent, say.

listener = Listener(AsyncClient("http://localhost:3000"))
task = asyncio.create_task(listener.run())
await listener.hear(pcm)                # as it comes, 16 kHz
spoken = await listener.utterance()     # once there is a transcript
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable
from typing import Any

from mmer.client.sdk import AsyncClient
from mmer.client.stream import LostError, Session, StreamError
from mmer.runtime.grid import SAMPLE_RATE

AGAIN_S = 2.0
"""After which another session is tried."""
WAIT_S = 0.6
"""So long one waits for the end of what is being said: it is known 0.3 s after it, where silence is sent too."""
TURN_S = 2.0
"""A pause that is longer begins another turn: what was said before it is not what is asked about."""
PICTURE_S = 0.1
"""Between two pictures; more are left out."""

log = logging.getLogger(__name__)


class Listener:
    """One session after another. Its clock is the voice: what is heard next begins where the last piece ended.

    Args:
        client: of the service.
        video: whether pictures will come too.
    """

    def __init__(self, client: AsyncClient, *, video: bool = False) -> None:
        self._client, self._video = client, video
        self._session: Session | None = None
        self._samples, self._pictured = 0, -PICTURE_S
        self._silent = asyncio.Event()
        self._silent.set()
        self._longest: dict[str, Any] | None = None
        self._until = -math.inf

    async def run(self) -> None:
        """Listen until this is cancelled, or the service refuses for good.

        Raises:
            StreamError: it refuses.
        """
        while True:
            try:
                async with self._client.stream(video=self._video) as session:
                    self._samples, self._pictured, self._session = 0, -PICTURE_S, session
                    self._until = -math.inf
                    async for message in session:
                        self._take(message)
            except LostError as lost:
                log.warning("nothing is recognised for now: %s", lost)
            finally:
                self._session = None
                self._silent.set()
            await asyncio.sleep(AGAIN_S)

    async def hear(self, pcm: bytes) -> None:
        """More of the voice, int16 mono at 16 kHz; without a session it is not kept."""
        if self._session is not None:
            begin, self._samples = self._samples, self._samples + len(pcm) // 2
            await self._send(self._session.send_voice(pcm, begin / SAMPLE_RATE))

    async def see(self, jpeg: bytes) -> None:
        """A picture, taken now."""
        now = self._samples / SAMPLE_RATE
        if self._session is not None and now - self._pictured >= PICTURE_S:
            self._pictured = now
            await self._send(self._session.send_frame(jpeg, now))

    async def utterance(self, wait_s: float = WAIT_S) -> dict[str, Any] | None:
        """The longest utterance of the last turn, as docs/protocol.md has it, once; None where none was told since. (A
        pause of 0.175 s ends an utterance: what somebody says until it is written down is often several.)

        Args:
            wait_s: for the end of one that goes on.
        """
        try:
            await asyncio.wait_for(self._silent.wait(), wait_s)
        except TimeoutError:
            return None
        longest, self._longest = self._longest, None
        return longest

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "utterance_start":
            self._silent.clear()
        elif message["type"] == "utterance":
            longest, goes_on = self._longest, message["start"] - self._until <= TURN_S
            if longest is None or not goes_on or _length(message) > _length(longest):
                self._longest = message
            self._until = message["end"]
            self._silent.set()

    async def _send(self, sending: Awaitable[None]) -> None:
        try:
            await sending
        except StreamError:  # `run` learns it too, and opens the next session
            self._session = None


def _length(utterance: dict[str, Any]) -> float:
    return float(utterance["end"] - utterance["start"])
