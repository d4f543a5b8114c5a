"""A program's run, within limits of time and memory, that writes to several pipes."""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mmer.runtime.config import Media
from mmer.runtime.media.complaints import failed as in_words
from mmer.runtime.media.errors import MediaError

_CHUNK = 1 << 20
_COMPLAINTS = 1 << 16


class Process:
    """A program's run that writes to several pipes, read as they fill; it ends with the context, whatever happens."""

    def __init__(self, path: Path, media: Media) -> None:
        self._path, self._media = path, media
        self._sinks: dict[int, Callable[[bytes], None]] = {}
        self._ends: list[int] = []
        self._complaints = bytearray()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for end in (*self._sinks, *self._ends):
            os.close(end)

    def pipe(self, sink: Callable[[bytes], None]) -> str:
        """A new pipe into `sink`, as ffmpeg names it."""
        return f"pipe:{self._open(sink)}"

    def run(
        self,
        command: list[str],
        stdout: Callable[[bytes], None] | None = None,
        failed: Callable[[Path, str], Exception] = in_words,
        listen: Callable[[bytes], None] = lambda _: None,
    ) -> str:
        """Run to the end; returns the last of what it complained of, of which `failed` makes an error where it fails.
        What it says is given to `listen` before anything that it wrote to its pipes later.

        Raises:
            MediaError: ffmpeg is missing, failed, or went over a limit.
        """
        said = self._open(lambda chunk: self._complain(chunk, listen))
        first = next(reversed(self._sinks))
        # BentoML tells a worker to stop, and all its children with it: a file that is being decoded is still answered.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if stdout is None else self._open(stdout),
                stderr=said,
                pass_fds=self._ends,
            )
        except FileNotFoundError:
            raise _no_ffmpeg(self._path) from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._limit(self._process.pid)
        while self._ends:
            os.close(self._ends.pop())
        deadline = time.monotonic() + self._media.timeout_s
        with selectors.DefaultSelector() as selector:
            for end, sink in self._sinks.items():
                selector.register(end, selectors.EVENT_READ, sink)
            while selector.get_map():
                ready = [key for key, _ in selector.select(deadline - time.monotonic())]
                for key in sorted(ready, key=lambda key: key.fd != first):
                    chunk = os.read(key.fd, _CHUNK)
                    if not chunk:
                        selector.unregister(key.fd)
                        continue
                    started = time.monotonic()
                    key.data(chunk)
                    deadline += time.monotonic() - started
                if time.monotonic() > deadline:
                    raise _timeout(self._path, self._media)
        try:
            code = self._process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise _timeout(self._path, self._media) from None
        told = self._complaints.decode(errors="replace")
        if code == -signal.SIGXCPU:
            raise _timeout(self._path, self._media)
        if code:
            raise failed(self._path, told)
        return told

    def _open(self, sink: Callable[[bytes], None]) -> int:
        read, write = os.pipe()
        self._sinks[read] = sink
        self._ends.append(write)
        return write

    def _limit(self, pid: int) -> None:
        """What the process may use, even if this one dies; only Linux can say so once it runs."""
        if sys.platform != "linux":
            return
        import resource

        memory = self._media.max_memory_mb << 20
        seconds = math.ceil(2 * self._media.timeout_s)  # it goes on while pictures are looked at, which is not counted
        limits = (
            (resource.RLIMIT_AS, (memory, memory)),
            (resource.RLIMIT_CPU, (seconds, seconds + 1)),
            (resource.RLIMIT_FSIZE, (0, 0)),  # it has pipes to write to, and no business with files
            (resource.RLIMIT_CORE, (0, 0)),
        )
        with contextlib.suppress(ProcessLookupError):  # over already
            for kind, limit in limits:
                resource.prlimit(pid, kind, limit)

    def _complain(self, chunk: bytes, listen: Callable[[bytes], None]) -> None:
        self._complaints += chunk
        del self._complaints[:-_COMPLAINTS]  # the end says why; a broken file can complain without end
        listen(chunk)


def _timeout(path: Path, media: Media) -> MediaError:
    return MediaError("timeout", path, f"took longer than {media.timeout_s:g} s to decode")


def _no_ffmpeg(path: Path) -> MediaError:
    reason = "needs ffmpeg, which is not on the path: install it (`apt-get install ffmpeg`, `brew install ffmpeg`)"
    return MediaError("no_ffmpeg", path, reason)
