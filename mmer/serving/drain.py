"""Told to stop, the service says so to whoever connects: by refusing, at once."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path
from types import FrameType


def refuse_when_told_to_stop() -> None:
    """On SIGTERM, stop listening, and then do what was to be done.

    The socket is that of BentoML's supervisor, which holds it until the last answer is given: whoever connected in the
    meantime would wait for as long, and be cut off then. Refused, a balancer asks another service.
    """
    then = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        for name in Path("/proc/self/fd").iterdir() if Path("/proc/self/fd").is_dir() else ():  # Linux
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(name.name))) as held:
                if held.family != socket.AF_UNIX and held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    held.shutdown(socket.SHUT_RDWR)
        if callable(then):
            then(number, frame)

    signal.signal(signal.SIGTERM, stop)
