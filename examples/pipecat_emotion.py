"""pipecat: how something was said, beside what was said.

`EmotionProcessor` stands behind the transcription, so that audio, pictures and transcripts pass it:

    Pipeline([transport.input(), stt, EmotionProcessor("http://localhost:3000"), context_aggregator.user(), llm, ...])

Each `TranscriptionFrame` gets `frame.metadata["emotion"]`, what was recognised of the utterance (docs/protocol.md);
with `tell=True` also a few words behind its text, which a language model reads.

Needs pipecat-ai and mmer, and `mmer serve` somewhere. Ask the people first; not at work, not in education (EU AI Act,
Article 5).
"""

import asyncio
from typing import Any

import cv2
import numpy as np
from loguru import logger
from pipecat.audio.utils import create_stream_resampler
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputImageRawFrame,
    StartFrame,
    TranscriptionFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from mmer.client import AsyncClient
from mmer.client.listener import Listener

RATE = 16_000


class EmotionProcessor(FrameProcessor):
    """Marks transcripts.

    Args:
        url: of the service.
        key: its API key, where it asks for one.
        video: whether pictures will come too.
        tell: whether it stands behind the text.
    """

    def __init__(
        self, url: str, *, key: str | None = None, video: bool = False, tell: bool = False, **more: Any
    ) -> None:
        super().__init__(**more)
        self._listener, self._video, self._tell = Listener(AsyncClient(url, key=key), video=video), video, tell
        self._resampler = create_stream_resampler()
        self._running: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take what is seen and heard, mark what was said, and hand everything on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self._running = self.create_task(self._listener.run())
        elif isinstance(frame, EndFrame | CancelFrame) and self._running:
            await self.cancel_task(self._running)
        elif isinstance(frame, InputAudioRawFrame):
            voice = np.frombuffer(frame.audio, np.int16).reshape(-1, frame.num_channels)[:, 0]
            await self._listener.hear(await self._resampler.resample(voice.tobytes(), frame.sample_rate, RATE))
        elif isinstance(frame, InputImageRawFrame) and self._video:
            width, height = frame.size
            rgb = np.frombuffer(frame.image, np.uint8).reshape(height, width, -1)[:, :, :3]
            await self._listener.see(cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes())
        elif isinstance(frame, TranscriptionFrame):
            await self._mark(frame)
        await self.push_frame(frame, direction)

    async def _mark(self, frame: TranscriptionFrame) -> None:
        spoken = await self._listener.utterance()
        if spoken is None or spoken["label"] is None:
            return
        frame.metadata["emotion"] = spoken
        logger.info(f"{frame.text!r} was said {spoken['label']}, {spoken['confidence']:.0%} sure")
        if self._tell:
            frame.text += f" [it sounded {spoken['label']}]"
