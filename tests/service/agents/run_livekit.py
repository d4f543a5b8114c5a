"""examples/livekit_emotion.py in a real session; audio comes from a file, words and answers are made up. Prints what
the language model is given.

    python -m tests.service.agents.run_livekit URL VOICE.wav
"""

import asyncio
import json
import sys
import wave
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession, APIConnectOptions, llm, stt
from livekit.agents.types import NOT_GIVEN
from livekit.agents.voice.io import AudioInput

from examples.livekit_emotion import EmotionAgent

PIECE_S = 0.1


class Played(AudioInput):
    """A file, at its own pace, then silence."""

    def __init__(self, path: str) -> None:
        super().__init__(label="played")
        with wave.open(path) as file:
            self._rate, self._channels = file.getframerate(), file.getnchannels()
            self._pcm = file.readframes(file.getnframes())
        self._at = -30  # pieces: meanwhile the session opens
        self.over = asyncio.Event()

    async def __anext__(self) -> rtc.AudioFrame:
        await asyncio.sleep(PIECE_S)
        samples = round(PIECE_S * self._rate)
        size = samples * self._channels * 2
        part = self._pcm[self._at * size : (self._at + 1) * size] if self._at >= 0 else b""
        self._at += 1
        if self._at * size > len(self._pcm) + 10 * size:
            self.over.set()
        return rtc.AudioFrame(part.ljust(size, b"\0"), self._rate, self._channels, samples)


class Words(stt.STT):
    """Hears the same words whenever it is asked to end."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=False))

    async def _recognize_impl(self, *_: Any, **__: Any) -> stt.SpeechEvent:
        raise NotImplementedError

    def stream(self, *, conn_options: APIConnectOptions, **_: Any) -> stt.RecognizeStream:
        return WordsStream(stt=self, conn_options=conn_options)


class WordsStream(stt.RecognizeStream):
    """Counts what it is given; after two seconds of speech and a second more there are words."""

    async def _run(self) -> None:
        heard, told = 0.0, False
        async for frame in self._input_ch:
            if isinstance(frame, rtc.AudioFrame):
                heard += frame.duration if any(frame.data) else 0
                if heard > 2 and not any(frame.data) and not told:
                    told = True
                    await asyncio.sleep(0.5)
                    words = stt.SpeechData(language="en", text="What a day!", confidence=1.0)
                    for kind in (stt.SpeechEventType.FINAL_TRANSCRIPT, stt.SpeechEventType.END_OF_SPEECH):
                        self._event_ch.send_nowait(stt.SpeechEvent(type=kind, alternatives=[words]))


class Echo(llm.LLM):
    """Prints what it is given, and says nothing much."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    def chat(
        self, *, chat_ctx: llm.ChatContext, tools: Any = None, conn_options: Any = None, **_: Any
    ) -> llm.LLMStream:
        items = [item for item in chat_ctx.items if isinstance(item, llm.ChatMessage)]
        told = [{"role": i.role, "text": i.text_content, "emotion": i.extra.get("emotion")} for i in items]
        print(json.dumps(told), flush=True)
        self.asked.set()
        return EchoStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class EchoStream(llm.LLMStream):
    """One word."""

    async def _run(self) -> None:
        delta = llm.ChoiceDelta(role="assistant", content="Hm.")
        self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=delta))


async def main(url: str, voice: str) -> None:
    """Until the language model was asked."""
    model, played = Echo(), Played(voice)
    session = AgentSession(stt=Words(), llm=model, tts=NOT_GIVEN, vad=None, turn_handling={"turn_detection": "stt"})
    session.input.audio = played
    session.output.set_audio_enabled(False)
    await session.start(EmotionAgent(url, instructions="You are a kind listener."), record=False)
    await asyncio.wait_for(model.asked.wait(), 60)
    await session.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
