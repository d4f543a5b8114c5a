"""What a client sends: a clip as if it were live, or a camera."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mmer.client.stream import Session, StreamError, only
from mmer.runtime.config import Media
from mmer.runtime.grid import SAMPLE_RATE
from mmer.runtime.media import decode

FRAME_S = 0.1
"""Seconds between two pictures, and of a piece of voice."""

STILL_S = 1.0
"""How long an image is shown, as if it were held before the camera."""

QUALITY = 80
SIDE = 640
Show = Callable[[dict[str, Any], float], None]


@dataclass(frozen=True)
class Piece:
    """Something to be sent at a time."""

    t: float
    """When it is complete: a voice's last sample, a picture's moment."""
    jpeg: bytes | None = None
    voice: bytes | None = None


def pieces(clip: Path) -> list[Piece]:
    """A clip as a camera and a microphone would give it, in order.

    Raises:
        mmer.runtime.media.MediaError: the file cannot be used.
    """
    found: list[Piece] = []
    media = Media(frame_side=SIDE)
    decoded = decode(clip, media, FRAME_S, lambda _, t, rgb: found.append(Piece(t, jpeg=to_jpeg(rgb))))
    if decoded.is_image:
        return [Piece(k * FRAME_S, jpeg=found[0].jpeg) for k in range(1 + round(STILL_S / FRAME_S))]
    length = round(FRAME_S * SAMPLE_RATE)
    for k in range(math.ceil(len(decoded.voice) / length)):
        part = decoded.voice[k * length : (k + 1) * length]
        found.append(Piece(k * FRAME_S + len(part) / SAMPLE_RATE, voice=part.tobytes()))
    return sorted(found, key=lambda piece: (piece.t, piece.voice is not None))


def to_jpeg(rgb: npt.NDArray[np.uint8]) -> bytes:
    """uint8 [H, W, 3] RGB as a JPEG, at most 640 pixels a side."""
    scale = SIDE / max(rgb.shape[:2])
    if scale < 1:
        rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done
    return data.tobytes()


async def play(session: Session, clip: list[Piece], show: Show, *, speed: float = 1.0) -> None:
    """Play a clip to a service at its own pace and show what it answers.

    Args:
        show: called with each message, and the seconds from the moment that it is about to its arrival.
        speed: 2 plays twice as fast.
    """
    start = time.monotonic()

    async def send() -> None:
        for piece in clip:
            await asyncio.sleep(piece.t / speed - (time.monotonic() - start))
            if piece.jpeg is not None:
                await session.send_frame(piece.jpeg, piece.t)
            elif piece.voice is not None:
                await session.send_voice(piece.voice, piece.t - len(piece.voice) / 2 / SAMPLE_RATE)
        await session.bye()

    await _both(session, send, lambda message: show(message, time.monotonic() - start - message.get("t", 0) / speed))


async def film(session: Session, camera: int, show: Show) -> None:
    """Send what a camera sees, until Ctrl-C.

    Raises:
        StreamError: the camera cannot be opened, or gives no more pictures.
    """
    device = cv2.VideoCapture(camera)
    if not device.isOpened():
        raise StreamError(f"camera {camera} cannot be opened: is it plugged in, and used by nothing else?")
    start = time.monotonic()

    async def send() -> None:
        sent = -math.inf
        while True:
            there, bgr = await asyncio.to_thread(device.read)  # at the camera's pace: the newest, not one that waited
            if not there:
                raise StreamError(f"camera {camera} gives no more pictures")
            now = time.monotonic() - start
            if now - sent >= FRAME_S * 0.9:
                await session.send_frame(to_jpeg(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)), now)
                sent = now

    try:
        await _both(session, send, lambda message: show(message, time.monotonic() - start - message.get("t", 0)))
    finally:
        device.release()


async def _both(
    session: Session, send: Callable[[], Coroutine[Any, Any, None]], hear: Callable[[dict[str, Any]], None]
) -> None:
    """Send and hear until the session ends; whatever stops the one stops the other."""

    async def listen() -> None:
        async for message in session:
            hear(message)

    try:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(send())
            await listen()
            sending.cancel()
    except ExceptionGroup as several:
        raise only(several) from None
