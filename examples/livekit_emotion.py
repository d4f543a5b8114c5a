"""LiveKit: how something was said, beside what was said.

`EmotionAgent` is an `Agent` like any other, which also sends what it hears to a service of mmer:

    await session.start(EmotionAgent("http://localhost:3000", instructions="You are a kind listener."), room=ctx.room)

The user's message gets `message.extra["emotion"]`, what was recognised of the utterance (docs/protocol.md), and a note
beside it tells the language model.

Needs livekit-agents and mmer, and `mmer serve` somewhere. Ask the people first; not at work, not in education (EU AI
Act, Article 5).
"""

import asyncio
import logging
from collections.abc import AsyncIterable
from typing import Any

from livekit import rtc
from livekit.agents import Agent, ModelSettings, llm, stt

from mmer.client import AsyncClient
from mmer.client.listener import Listener

RATE = 16_000
log = logging.getLogger("emotion")


class EmotionAgent(Agent):
    """An agent that hears how something is said.

    Args:
        url: of the service.
        key: its API key, where it asks for one.
        more: as of `Agent`.
    """

    def __init__(self, url: str, *, key: str | None = None, **more: Any) -> None:
        super().__init__(**more)
        self._listener = Listener(AsyncClient(url, key=key))

    async def stt_node(
        self, audio: AsyncIterable[rtc.AudioFrame], model_settings: ModelSettings
    ) -> AsyncIterable[stt.SpeechEvent]:
        """The usual transcription, and what it hears is sent on the way."""
        running = asyncio.create_task(self._listener.run())
        try:
            async for event in Agent.default.stt_node(self, self._heard(audio), model_settings):
                yield event
        finally:
            running.cancel()

    async def _heard(self, audio: AsyncIterable[rtc.AudioFrame]) -> AsyncIterable[rtc.AudioFrame]:
        resampler: rtc.AudioResampler | None = None
        async for frame in audio:
            if frame.sample_rate == RATE and frame.num_channels == 1:
                await self._listener.hear(bytes(frame.data))
            else:
                resampler = resampler or rtc.AudioResampler(frame.sample_rate, RATE, num_channels=frame.num_channels)
                for piece in resampler.push(frame):
                    first = memoryview(bytes(piece.data)).cast("h")[:: piece.num_channels]
                    await self._listener.hear(first.tobytes())
            yield frame

    async def on_user_turn_completed(self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage) -> None:
        """What was recognised, beside what was said."""
        spoken = await self._listener.utterance()
        if spoken is None or spoken["label"] is None:
            return
        new_message.extra["emotion"] = spoken
        how = f"{spoken['label']}, {spoken['confidence']:.0%} sure"
        log.info("%r was said %s", new_message.text_content, how)
        turn_ctx.add_message(role="system", content=f"What the user just said sounded {how}.")
