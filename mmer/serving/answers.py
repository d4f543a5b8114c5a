"""Every refusal, in one place: its HTTP status, and what the sender can do."""

from __future__ import annotations

from typing import Any

from mmer.serving.protocol import VERSIONS

ANSWERS: dict[str, tuple[int, str]] = {
    # uploads
    "no_file": (422, "Send the clip itself in the form field 'file': curl -F file=@clip.mp4 …"),
    "several_files": (422, "Send each file in a request of its own."),
    "no_form": (415, "Send a multipart form: curl -F file=@clip.mp4 …"),
    "not_media": (415, "Send a video, a sound or an image, such as mp4, webm, wav, mp3 or jpeg."),
    "refused": (415, "Send the clip itself: playlists and scripts that name other files are not opened."),
    "too_large": (413, "Send a shorter clip, or one of lower resolution."),
    "too_long": (413, "Cut the clip and send its parts, or ask for a part of it: /predict?start=0&end=60."),
    "empty": (422, "The upload may have been cut off: send it again."),
    "truncated": (422, "The recording or the upload was cut off: send the whole file."),
    "no_stream": (422, "Send a clip with a picture or sound."),
    "timeout": (422, "Send a shorter clip, or one in a more common format."),
    "no_ffmpeg": (503, "The server lacks ffmpeg: its keeper must install it."),
    "bad_query": (422, "See /docs for what may stand behind the question mark."),
    "slow": (408, "Send the body faster, or a smaller file."),
    # tensors
    "bad_tensors": (422, "See /docs for names, types and shapes; the body is in the safetensors format."),
    # everywhere
    "key": (401, "Send the API key as the header X-API-Key (in a stream, as `key` in the hello)."),
    "busy": (503, "Try again in a few seconds."),
    "busy_address": (429, "Close another session first."),
    "origin": (403, "The keeper of this server must allow this origin: MMER_ORIGINS."),
    "failed": (500, "The server's log says why."),
    "not_found": (404, "There are /, /predict, /infer, /stream, /docs, /livez, /readyz and /metrics."),
    "method": (405, "See /docs."),
    # streams: not the end of the session
    "bad_message": (422, "Text is JSON with a known type; binary is a kind (1 to 4), four bytes of time, the payload."),
    "bad_picture": (422, "Send JPEG pictures."),
    "bad_voice": (422, "Send 16-bit little-endian mono at 16 kHz, at most 2 s in a message."),
    "bad_calibration": (
        422,
        "Look at the camera, or speak, as you are at rest: calibrate with 5 seconds, keep what comes and send that.",
    ),
    # streams: the end
    "done": (200, "Open another session at any time."),
    "no_hello": (422, 'Begin with {"type": "hello", "protocol": 2, "rate": 16000, "video": true, "audio": true}.'),
    "bad_hello": (422, 'The hello is {"type": "hello", "protocol": 2, "rate": 16000, "video": true, "audio": true}.'),
    "protocol": (422, "`versions` are those that this server speaks: /protocol."),
    "rate": (429, "Send fewer or smaller messages: `limits` in the server's ready says how many."),
    "idle": (408, "Open another session when there is something to send."),
    "slow_reader": (408, "Read the answers as they come, or use a faster line."),
    "errors": (422, "Look at the errors that were answered."),
    "session_over": (200, "Open another session."),
    "message_size": (413, "Send smaller pictures or shorter pieces of voice."),
}
CLOSE: dict[str, int] = {
    "done": 1000, "message_size": 1009, "failed": 1011, "busy": 1013, "busy_address": 1013,
}  # fmt: skip
"""WebSocket codes; all others are 1008, a breach of policy."""


def problem(code: str, message: str) -> dict[str, Any]:
    """The body of every refusal."""
    return {"error": {"code": code, "message": message, "hint": ANSWERS[code][1]}}


def status(code: str) -> int:
    """Its HTTP status."""
    return ANSWERS[code][0]


def told(kind: str, code: str, message: str) -> dict[str, Any]:
    """The same as a message of a stream: `error`, or `closing`."""
    versions = {"versions": VERSIONS} if code == "protocol" else {}
    return {"type": kind, **problem(code, message)["error"], **versions}
