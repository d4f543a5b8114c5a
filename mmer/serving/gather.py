"""The forward passes of many streams in few calls: what comes while a call is under way goes into the next one.

BentoML's batching gathers calls, of which each costs about as much as half a pass; this saves the calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mmer.runtime.types import Arrays
from mmer.serving.models import Pass

MOST = 16
"""Passes in a call: more would make the first wait for the last."""


class Gathered:
    """Call it with one pass, from one event loop; it calls `call` with several."""

    def __init__(self, call: Callable[[list[Pass]], Awaitable[list[Arrays]]]) -> None:
        self._call = call
        self._waiting: list[tuple[Pass, asyncio.Future[Arrays]]] = []
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, one: Pass) -> Arrays:
        """One pass."""
        future: asyncio.Future[Arrays] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._waiting:
            together, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            try:
                found = await self._call([one for one, _ in together])
            except Exception as error:  # each of them gets to know
                for _, future in together:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), result in zip(together, found, strict=True):
                if not future.done():  # its session may have ended meanwhile
                    future.set_result(result)
        self._running = None
