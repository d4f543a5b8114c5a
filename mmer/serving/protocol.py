"""The stream protocol's messages (docs/protocol.md), from bytes and text."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mmer.runtime.calibration import LEAST_REST_S, MOST_REST_S, Calibration, CalibrationError
from mmer.runtime.grid import SAMPLE_RATE

VERSION = 2
"""The newest version of the protocol."""
VERSIONS = (1, 2)
"""Those that are spoken."""
HEAD = struct.Struct("<BI")
FRAME, VOICE, CAMERA_OFF, MICROPHONE_OFF = 1, 2, 3, 4
MAX_VOICE_S = 2.0


class Refusal(Exception):  # noqa: N818 (it is an answer)
    """A message that cannot be used; `code` is one of `mmer.serving.answers`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Hello(BaseModel):
    """How a session is opened."""

    model_config = ConfigDict(frozen=True, strict=True)

    type: Literal["hello"]
    """What the message is."""
    protocol: int
    """The version that the client speaks."""
    rate: int = SAMPLE_RATE
    """Of the voice, samples a second: no other is taken."""
    video: bool = True
    """Whether pictures will be sent: a step waits for them."""
    audio: bool = True
    """Whether voice will be sent: a step waits for it."""
    key: str | None = None
    """The API key, where the server asks for one."""
    interval_s: float | None = Field(None, ge=0.2, le=60)
    """Since version 2: instead of each step, one `summary` of so many seconds."""


@dataclass(frozen=True)
class Media:
    """A binary message."""

    kind: int
    t: float
    """Seconds since the start."""
    payload: bytes


def read_hello(text: str) -> Hello:
    """The first message.

    Raises:
        Refusal: `bad_hello` or `protocol`.
    """
    try:
        hello = Hello.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Refusal("bad_hello", f"{where}: {first['msg']}" if where else first["msg"]) from None
    if hello.protocol not in VERSIONS:
        spoken = " and ".join(map(str, VERSIONS))
        raise Refusal("protocol", f"version {hello.protocol} of the protocol is not spoken here; {spoken} are")
    if hello.rate != SAMPLE_RATE:
        raise Refusal("bad_hello", f"rate {hello.rate}: voice must come at {SAMPLE_RATE} samples a second")
    if not (hello.video or hello.audio):
        raise Refusal("bad_hello", "neither video nor audio is announced")
    return hello if hello.protocol > 1 else hello.model_copy(update={"interval_s": None})


def read_media(data: bytes) -> Media:
    """A binary message.

    Raises:
        Refusal: `bad_message` or `bad_voice`.
    """
    if len(data) < HEAD.size:
        raise Refusal("bad_message", f"{len(data)} bytes: a kind and a time are {HEAD.size}")
    kind, ms = HEAD.unpack_from(data)
    payload = data[HEAD.size :]
    if kind not in (FRAME, VOICE, CAMERA_OFF, MICROPHONE_OFF):
        raise Refusal("bad_message", f"kind {kind} is unknown")
    if kind == VOICE and (len(payload) % 2 or len(payload) > 2 * SAMPLE_RATE * MAX_VOICE_S):
        raise Refusal("bad_voice", f"{len(payload)} bytes of voice")
    return Media(kind, ms / 1000, payload)


def write_media(kind: int, ms: int, payload: bytes = b"") -> bytes:
    """A binary message, as a client sends it."""
    return HEAD.pack(kind, ms) + payload


@dataclass(frozen=True)
class Bye:
    """Nothing more comes."""


@dataclass(frozen=True)
class Calibrate:
    """Somebody is at rest."""

    seconds: float | None = None
    """For so long from now on; None: `calibration` is used instead."""
    calibration: Calibration | None = None
    """That was found before; None: none, from now on."""


def read_text(text: str) -> Bye | Calibrate:
    """A text message after the hello.

    Raises:
        Refusal: `bad_message` or `bad_calibration`.
    """
    try:
        message = json.loads(text)
        kind = message["type"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refusal("bad_message", "the text is no JSON object with a type") from None
    if kind == "bye":
        return Bye()
    if kind != "calibrate":
        raise Refusal("bad_message", "after the hello a text is a bye or a calibrate")
    given = message.keys() & {"seconds", "calibration"}
    if len(given) != 1:
        raise Refusal("bad_calibration", "a calibrate has either seconds or a calibration (null ends one)")
    if given == {"calibration"}:
        found = message["calibration"]
        try:
            return Calibrate(calibration=None if found is None else Calibration.read(found))
        except CalibrationError as error:
            raise Refusal("bad_calibration", str(error)) from None
    seconds = message["seconds"]
    if type(seconds) not in (int, float) or not LEAST_REST_S <= seconds <= MOST_REST_S:
        raise Refusal("bad_calibration", f"seconds is a number from {LEAST_REST_S:g} to {MOST_REST_S:g}")
    return Calibrate(seconds=float(seconds))
