"""Downloading a file over HTTP until it is here whole and right, or an error says why it cannot be.

What came of a file lies beside its final name as `NAME.part`, and in `NAME.part.tag` the server's name for that version
of it. So a cut download goes on, also in a later run, and a file that changed meanwhile is not stitched together.
"""

from __future__ import annotations

import errno
import hashlib
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from mmer.data.corpora import Source
from mmer.errors import MmerError

if TYPE_CHECKING:
    import requests


@dataclass(frozen=True)
class Limits:
    """How long a download is waited for, how often it is tried, and how much it may bring."""

    attempts: int = 6
    """In a row that bring less than `progress_bytes` more than was ever here: a flaky line that gets on may go on."""
    progress_bytes: int = 1 << 20
    give_up: int = 3
    """Files in a row that a server failed to send in all attempts; it is not asked for more."""
    connect_s: float = 10
    read_s: float = 60
    """Without a byte."""
    window_s: float = 30
    min_rate: float = 1024
    """Bytes per second, on average over each `window_s`."""
    wait_s: float = 1
    """Before the second attempt; doubled before each further one, less up to a half by chance."""
    max_wait_s: float = 300
    """Longest wait, also where the server asks for a longer one: then it is not asked again."""
    redirects: int = 8
    max_bytes: int = 64 << 30
    """Of one file whose size nobody states."""
    chunk: int = 1 << 16
    """Bytes read at once; what a crash loses at most."""


class DownloadError(MmerError):
    """A file cannot be had; the message says which, from where and why."""


class MissingError(DownloadError):
    """The server answers, and has no such file."""


class WrongBytesError(DownloadError):
    """A file is here, and is not what its owner states or what it once was."""


class CancelledError(Exception):
    """The download was called off; what came is kept."""


class _Again(Exception):  # noqa: N818 - no error: it never leaves this module
    """This attempt failed; another may not."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after
        """Seconds that the server asks to wait."""


def check(path: Path, source: Source, recorded: str | None = None) -> str:
    """Compare a file with what its owner states of it or, where it states no checksum, with what was recorded.

    Args:
        path: the file.
        source: what it should be.
        recorded: sha256 of an earlier download of it.

    Returns:
        Its sha256.

    Raises:
        WrongBytesError: it differs.
    """
    size = path.stat().st_size
    if source.size not in (None, size):
        raise WrongBytesError(f"{source.path}: it has {size:,} bytes, {source.size:,} were expected")
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            sha256.update(piece)
            if source.md5:
                md5.update(piece)
    for name, found, stated in (("sha256", sha256, source.sha256), ("md5", md5, source.md5)):
        if stated is not None and found.hexdigest() != stated.lower():
            raise WrongBytesError(f"{source.path}: its {name} is {found.hexdigest()}, its owner states {stated}")
    if source.sha256 is None and source.md5 is None and recorded not in (None, sha256.hexdigest()):
        raise WrongBytesError(
            f"{source.path}: its sha256 is {sha256.hexdigest()}, but when it was first fetched {recorded} was "
            "recorded: its owner has changed it, or somebody else has. If you trust the new one, delete its entry in "
            "checksums.json"
        )
    return sha256.hexdigest()


class Part:
    """What has come of a file so far."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self._tag = target.with_name(f"{target.name}.part.tag")
        self.shown = 0
        """Bytes that the progress display knows of."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def tag(self) -> str:
        """The server's name for this version of the file; "" where it gave none."""
        return self._tag.read_text() if self._tag.exists() else ""

    @tag.setter
    def tag(self, value: str) -> None:
        if value:
            self._tag.write_text(value)
        else:
            self._tag.unlink(missing_ok=True)

    def discard(self) -> None:
        """Begin anew."""
        self.path.unlink(missing_ok=True)
        self._tag.unlink(missing_ok=True)

    def accept(self) -> None:
        """Give it the file's name."""
        self.path.replace(self.target)
        self._tag.unlink(missing_ok=True)


class Downloader:
    """Downloads files, in several threads at once; each thread keeps its connections."""

    def __init__(self, limits: Limits | None = None, progress: Callable[[int], object] = lambda _: None) -> None:
        """
        Args:
            limits: patience and bounds.
            progress: told of each change of the number of bytes that are here (fewer, where a file begins anew).
        """
        self.limits = limits or Limits()
        self._progress = progress
        self._stop = threading.Event()
        self._thread = threading.local()
        self._lock = threading.Lock()
        self._answers: set[requests.Response] = set()
        self._not_before: dict[str, float] = {}
        self._given_up: dict[str, int] = {}

    def cancel(self) -> None:
        """End all downloads, now and later, with `CancelledError`."""
        self._stop.set()
        with self._lock:
            for answer in self._answers:
                with suppress(ValueError, RuntimeError, OSError):  # it has just ended by itself
                    answer.raw.shutdown()

    def check_cancelled(self) -> None:
        """Raise `CancelledError` after `cancel()`."""
        if self._stop.is_set():
            raise CancelledError

    def download(self, source: Source, target: Path, recorded: str | None = None) -> str:
        """Download one file; it appears under its name whole and checked, or not at all.

        Args:
            source: where it is, and what its owner states of it.
            target: its final name.
            recorded: sha256 that it had when it was first fetched.

        Returns:
            Its sha256.

        Raises:
            MissingError: the server has no such file.
            DownloadError: it refuses, cannot be reached in several attempts, or sends the wrong bytes twice.
            CancelledError: see `cancel`.
        """
        if source.url is None:
            raise DownloadError(f"{source.path} has no address")
        host = urlsplit(source.url).netloc
        if self._given_up.get(host, 0) >= self.limits.give_up:
            raise DownloadError(
                f"{source.path}: not asked for, since {host} failed to send {self.limits.give_up} others"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Part(target)
        failures, most, wrong = 0, part.size, False
        while True:
            try:
                self._receive(source, source.url, part, resume=not wrong)
                sha256 = check(part.path, source, recorded)
                part.accept()
                self._given_up[host] = 0
                return sha256
            except WrongBytesError as error:  # once more, in one piece: it may have been the way, not the file
                part.discard()
                if wrong:
                    raise type(error)(f"{error}; it was not kept") from None
                wrong = True
            except _Again as problem:
                failures = 0 if part.size >= most + self.limits.progress_bytes else failures + 1
                most = max(most, part.size)
                if failures == self.limits.attempts:
                    with self._lock:
                        self._given_up[host] = self._given_up.get(host, 0) + 1
                    raise DownloadError(f"{source.path}: {source.url} {problem}, {failures} times in a row") from None
                if problem.after is not None:
                    self._pause(source, host, problem.after)
                delay = min(self.limits.wait_s * 2 ** max(failures - 1, 0), self.limits.max_wait_s)
                self._stop.wait(delay * random.uniform(0.5, 1))
            except OSError as error:
                full = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
                raise DownloadError(f"{source.path}: cannot be written below {target.parent}: {full}") from None

    def _pause(self, source: Source, host: str, seconds: float) -> None:
        """Leave a server alone as long as it asks, in all threads."""
        if seconds > self.limits.max_wait_s:
            raise DownloadError(
                f"{source.path}: {source.url} asks to be left alone for {seconds:,.0f} seconds: run again later"
            )
        with self._lock:
            self._not_before[host] = max(self._not_before.get(host, 0), time.monotonic() + seconds)

    def _receive(self, source: Source, url: str, part: Part, *, resume: bool) -> None:
        """One attempt: add to the part what it lacks.

        Raises:
            _Again: another attempt may do better.
            WrongBytesError: what the server announces or sends cannot be this file.
        """
        from urllib3.exceptions import HTTPError

        have = part.size if resume and (part.tag or source.sha256 or source.md5) else 0
        if have and have == source.size:
            return
        if source.size is not None and have > source.size:
            have = 0
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if part.tag:
                headers["If-Range"] = part.tag
        with self._answer(url, headers) as answer:
            start, whole = self._understand(source, answer, part, have)
            limit = whole or source.size or self.limits.max_bytes
            free = shutil.disk_usage(part.path.parent).free
            if (whole or source.size or 0) - start > free:
                raise DownloadError(
                    f"{source.path}: {limit - start:,} bytes are to come, {free:,} are free in {part.path.parent}"
                )
            if start == 0:
                part.tag = _tag(answer) if answer.headers.get("Content-Encoding", "identity") == "identity" else ""
            try:
                with part.path.open("ab" if start else "wb") as file:
                    for size, piece in self._pieces(answer, start):
                        if size > limit:
                            raise WrongBytesError(f"{source.path}: {url} sends more than {limit:,} bytes")
                        file.write(piece)
                        self._show(part, size)
            except HTTPError as error:
                raise _Again(f"was cut after {part.size:,} bytes ({type(error).__name__})") from None
        self.check_cancelled()  # which looks like the end of the file
        if source.size is not None and part.size < source.size:
            raise _Again(f"was cut after {part.size:,} of {source.size:,} bytes")
        if whole is None and not answer.raw.chunked and not (source.size or source.sha256 or source.md5):
            part.discard()
            raise DownloadError(
                f"{source.path}: {url} does not say how long it is, and nothing else is known of it: whether it is "
                "whole cannot be told, so it was not kept"
            )

    def _understand(self, source: Source, answer: requests.Response, part: Part, have: int) -> tuple[int, int | None]:
        """From which byte an answer goes on, and how long the file is in all, if that is told."""
        status, headers = answer.status_code, answer.headers
        if status in (404, 410):
            raise MissingError(f"{source.path}: {source.url} answers {status}: it is not there")
        if status in (408, 425, 429) or status >= 500:
            raise _Again(f"answers {status}", _retry_after(headers.get("Retry-After")))
        if status == 416 and have:
            part.discard()
            raise _Again("has not as many bytes as have come")
        if status not in (200, 206):
            raise DownloadError(f"{source.path}: {source.url} answers {status}; its owner's page may say why")
        encoding = headers.get("Content-Encoding", "identity")
        if encoding not in ("identity", "gzip", "x-gzip", "deflate"):
            raise DownloadError(f"{source.path}: {source.url} sends it encoded as {encoding}, which was not asked for")
        length = int(headers["Content-Length"]) if headers.get("Content-Length", "").isdigit() else None
        start, whole = 0, length if encoding == "identity" else None
        if status == 206:
            start, whole = have, _whole(headers.get("Content-Range", ""), have)
            changed = part.tag and _tag(answer) not in ("", part.tag)
            if not have or whole is None or changed or encoding != "identity":
                part.discard()
                raise _Again("sends another part of it than was asked for")
        if whole is not None and source.size is not None and whole != source.size:
            raise WrongBytesError(f"{source.path}: {source.url} has {whole:,} bytes, {source.size:,} were expected")
        return start, whole

    def _pieces(self, answer: requests.Response, size: int) -> Iterator[tuple[int, bytes]]:
        """The bytes of an answer as they come, each piece with the size that the file has with it."""
        since, then = time.monotonic(), size
        while piece := answer.raw.read1(self.limits.chunk, decode_content=True):
            self.check_cancelled()
            size += len(piece)
            yield size, piece
            passed = time.monotonic() - since
            if passed >= self.limits.window_s:
                if size - then < self.limits.min_rate * passed:
                    raise _Again(f"sends less than {self.limits.min_rate:,.0f} bytes a second")
                since, then = time.monotonic(), size

    @contextmanager
    def _answer(self, url: str, headers: dict[str, str]) -> Iterator[requests.Response]:
        """Ask, and follow where the server points to, as far as that is safe."""
        import requests
        from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema

        asked = url
        for _ in range(self.limits.redirects + 1):
            self._hold(url)
            try:
                answer = self._session().get(
                    url,
                    headers=headers,
                    stream=True,
                    allow_redirects=False,
                    timeout=(self.limits.connect_s, self.limits.read_s),
                )
            except (InvalidURL, InvalidSchema, MissingSchema) as error:
                raise DownloadError(f"{asked} is no address to fetch from ({error})") from None
            except requests.RequestException as error:
                self.check_cancelled()
                raise _Again(f"cannot be reached ({type(error).__name__})") from None
            if not answer.is_redirect:
                break
            answer.close()
            further = urljoin(url, answer.headers["Location"])
            schemes = urlsplit(url).scheme, urlsplit(further).scheme
            if schemes not in (("http", "http"), ("http", "https"), ("https", "https")):
                raise DownloadError(f"{asked} redirects to {further}, which is refused")
            url = further
        else:
            raise DownloadError(f"{asked} redirects more than {self.limits.redirects} times")
        with self._lock:
            self._answers.add(answer)
        try:
            self.check_cancelled()
            yield answer
        finally:
            with self._lock:
                self._answers.discard(answer)
            answer.close()

    def _hold(self, url: str) -> None:
        """Wait as long as this server has asked for."""
        with self._lock:
            until = self._not_before.get(urlsplit(url).netloc, 0)
        self._stop.wait(max(0, until - time.monotonic()))
        self.check_cancelled()

    def _session(self) -> requests.Session:
        """This thread's own: a session is not made for several."""
        import requests

        if not hasattr(self._thread, "session"):
            self._thread.session = requests.Session()
        session: requests.Session = self._thread.session
        return session

    def _show(self, part: Part, size: int) -> None:
        self._progress(size - part.shown)
        part.shown = size


def _tag(answer: requests.Response) -> str:
    """The server's name for this version of the file, fit for If-Range (a weak ETag is not)."""
    etag = answer.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _whole(content_range: str, have: int) -> int | None:
    """The file's length from `bytes 5-99/100`; None where the range does not begin at `have` or tells no length."""
    span, _, whole = content_range.removeprefix("bytes ").partition("/")
    return int(whole) if span.partition("-")[0] == str(have) and whole.isdigit() and int(whole) > have else None


def _retry_after(value: str | None) -> float | None:
    """Seconds, from seconds or a date; None where neither is told."""
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    try:
        return Retry(retry_after_max=10**9).parse_retry_after(value) if value else None
    except InvalidHeader:
        return None
