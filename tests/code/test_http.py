"""Whatever a server does, a download ends with the right bytes under the file's name, or in an error and no file."""

from __future__ import annotations

import email.utils
import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mmer.data.corpora import Source
from mmer.data.fetch.http import CancelledError, Downloader, DownloadError, Limits, MissingError, WrongBytesError
from tests import httpserver as http
from tests.conftest import ROOT
from tests.httpserver import Server, only_half

BODY = bytes(range(256)) * 2000
OTHER = BODY[::-1]
FAST = Limits(
    attempts=3,
    connect_s=2,
    read_s=1,
    window_s=0.3,
    min_rate=10_000,
    wait_s=0.01,
    max_wait_s=5,
    redirects=3,
    max_bytes=10_000_000,
    chunk=1 << 14,
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    with http.serving() as running:
        running.files["a.bin"] = BODY
        yield running


def source(server: Server, name: str = "a.bin", **facts: Any) -> Source:
    return Source(name, server.url(name), **({"sha256": hashlib.sha256(BODY).hexdigest(), "size": len(BODY)} | facts))


UNKNOWN: dict[str, Any] = {"sha256": None, "size": None}
"""Nothing is stated of the file."""

# what happens, request by request; what is stated of the file; the error, or None where the right bytes must come
FAULTS: dict[str, tuple[list[http.Fault], dict[str, Any], str | None]] = {
    "cut": ([http.cut, http.cut], {}, None),
    "cut-unknown": ([http.cut, http.cut], UNKNOWN, None),
    "cut-without-length": ([http.cut_without_length] * 2, {}, None),
    "cut-without-length-unknown": ([http.cut_without_length], UNKNOWN, "whether it is whole cannot be told"),
    "cut-chunked": ([http.cut_chunked], UNKNOWN, None),
    "chunked": ([http.chunked], UNKNOWN, None),
    "hang-up": ([http.hang_up, http.hang_up], {}, None),
    "cut-for-ever": ([http.hang_up] * 9, {}, "3 times in a row"),
    "ignores-range": ([http.cut, http.ignore_range], {}, None),
    "wrong-range": ([http.cut, http.wrong_range], {}, None),
    "wrong-range-unknown": ([http.cut, http.wrong_range], UNKNOWN, None),
    "part-unasked": ([http.wrong_range], {}, None),
    "range-for-ever-wrong": ([http.cut] + [http.wrong_range] * 9, {}, "another part of it"),
    "wrong-bytes-once": ([http.wrong_bytes], {}, None),
    "wrong-bytes": ([http.wrong_bytes] * 9, {}, r"its sha256 is .* not kept"),
    "wrong-bytes-md5": ([http.wrong_bytes] * 9, {"sha256": None, "md5": hashlib.md5(BODY).hexdigest()}, "its md5 is"),  # noqa: S324
    "truncated-once": ([http.truncated], {}, None),
    "truncated-once-size-unknown": ([http.truncated], {"size": None}, None),
    "truncated": ([http.truncated] * 9, {"sha256": None}, r"has 256,000 bytes, 512,000 were expected"),
    "more-than-announced": ([http.more_than_announced], {}, None),
    "more-than-expected": ([], {"size": 1000}, r"has 512,000 bytes, 1,000 were expected"),
    "endless": ([http.endless] * 9, {}, "sends more than 512,000 bytes"),
    "endless-unknown": ([http.endless] * 9, UNKNOWN, "sends more than 10,000,000 bytes"),
    "busy-429-seconds": ([http.status(429, "1")], {}, None),
    "busy-503": ([http.status(503), http.status(503)], {}, None),
    "busy-odd-retry-after": ([http.status(503, "soon")], {}, None),
    "busy-too-long": ([http.status(429, "3600")], {}, "left alone for 3,600 seconds: run again later"),
    "busy-for-ever": ([http.status(503)] * 9, {}, "answers 503, 3 times in a row"),
    "missing": ([http.status(404)], {}, "answers 404: it is not there"),
    "forbidden": ([http.status(403)], {}, "answers 403"),
    "stall": ([http.stall], {}, None),
    "stall-before": ([http.stall_before], {}, None),
    "stall-for-ever": ([http.stall_before] * 9, {}, "cannot be reached"),
    "trickle": ([http.trickle], {}, None),
    "trickle-for-ever": ([http.trickle] * 9, {}, "sends less than 10,000 bytes a second, 3 times"),
    "redirect": ([http.redirect("/b.bin?x=1")], {}, None),
    "redirect-file": ([http.redirect("file:///etc/passwd")], {}, "redirects to file:///etc/passwd, which is refused"),
    "redirect-ftp": ([http.redirect("ftp://127.0.0.1/a.bin")], {}, "which is refused"),
    "redirect-loop": ([http.redirect("/a.bin")] * 9, {}, "redirects more than 3 times"),
    "changed-between": ([http.then_changes(http.cut, OTHER)], UNKNOWN, None),
    "changed-condition-ignored": ([http.then_changes(http.cut, OTHER), http.ignore_condition], UNKNOWN, None),
    "changed-checksum-known": ([http.then_changes(http.cut, OTHER)], {}, "its sha256 is"),
    "gzip": ([http.gzipped], {}, None),
    "gzip-cut": ([http.gzipped_cut], UNKNOWN, None),
    "odd-encoding": ([http.oddly_encoded], {}, "encoded as odd"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_ends_in_the_right_bytes_or_in_an_error(server: Server, tmp_path: Path, name: str) -> None:
    faults, facts, error = FAULTS[name]
    server.faults["a.bin"], server.files["b.bin"] = list(faults), BODY
    if error is None:
        Downloader(FAST).download(source(server, **facts), tmp_path / "a.bin")
        assert (tmp_path / "a.bin").read_bytes() == server.files["a.bin"]
        assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]
    else:
        with pytest.raises(DownloadError, match=error):
            Downloader(FAST).download(source(server, **facts), tmp_path / "a.bin")
        assert not (tmp_path / "a.bin").exists()
    assert only_half(tmp_path, {"a.bin": server.files["a.bin"]}) == []


def test_the_documentation_lists_these_faults_and_no_others() -> None:
    section = (ROOT / "docs" / "fetching.md").read_text().split("## Faults on the way")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`([a-z0-9-]+)`", " ".join(rows))) == sorted(FAULTS)


def test_a_cut_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.faults["a.bin"] = [http.cut, http.cut]
    shown: list[int] = []
    Downloader(FAST, shown.append).download(source(server), tmp_path / "a.bin")
    assert [a.range for a in server.asked] == [None, "bytes=256000-", "bytes=384000-"]
    assert [a.if_range for a in server.asked] == [None, http.tag(BODY), http.tag(BODY)]
    assert sum(shown) == len(BODY), "nothing is counted twice"


def test_a_file_that_begins_anew_is_not_counted_twice(server: Server, tmp_path: Path) -> None:
    server.faults["a.bin"] = [http.cut, http.ignore_range]
    shown: list[int] = []
    Downloader(FAST, shown.append).download(source(server), tmp_path / "a.bin")
    assert sum(shown) == len(BODY)


def test_a_later_run_goes_on_too(server: Server, tmp_path: Path) -> None:
    server.faults["a.bin"] = [http.cut] + [http.hang_up] * 3
    with pytest.raises(DownloadError):
        Downloader(FAST).download(source(server, **UNKNOWN), tmp_path / "a.bin")
    Downloader(FAST).download(source(server, **UNKNOWN), tmp_path / "a.bin")
    assert server.asked[-1].range == "bytes=256000-"
    assert (tmp_path / "a.bin").read_bytes() == BODY


@pytest.mark.parametrize("left", [BODY + b"more", BODY[:1000], b"of another file", BODY])
@pytest.mark.parametrize("facts", [{}, UNKNOWN, {"sha256": None}])
def test_whatever_an_earlier_run_left_the_bytes_are_right(
    server: Server, tmp_path: Path, left: bytes, facts: dict[str, Any]
) -> None:
    server.tags = False
    (tmp_path / "a.bin.part").write_bytes(left)
    Downloader(FAST).download(source(server, **facts), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_line_that_is_cut_again_and_again_is_not_given_up_while_it_gets_on(server: Server, tmp_path: Path) -> None:
    server.faults["a.bin"] = [http.cut] * 6
    Downloader(Limits(attempts=2, progress_bytes=1000, wait_s=0.01)).download(source(server), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY


@pytest.mark.parametrize("date", [False, True])
def test_a_server_is_left_alone_as_long_as_it_asks_by_all(server: Server, tmp_path: Path, date: bool) -> None:
    server.files["b.bin"] = BODY
    # a date has whole seconds: the wait that it asks for is between one and two
    server.faults["a.bin"] = [http.status(429, email.utils.formatdate(time.time() + 2, usegmt=True) if date else "1")]
    downloader, began = Downloader(FAST), time.monotonic()
    first = threading.Thread(target=downloader.download, args=(source(server), tmp_path / "a.bin"))
    first.start()
    while not server.asked or not downloader._not_before:
        time.sleep(0.005)
    downloader.download(source(server, "b.bin"), tmp_path / "b.bin")
    assert time.monotonic() - began > 0.9
    first.join()
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_what_differs_from_its_first_download_is_refused(server: Server, tmp_path: Path) -> None:
    recorded = Downloader(FAST).download(source(server, **UNKNOWN), tmp_path / "a.bin")
    (tmp_path / "a.bin").unlink()
    server.files["a.bin"] = OTHER
    with pytest.raises(WrongBytesError, match=r"when it was first fetched .* was recorded.*delete its entry"):
        Downloader(FAST).download(source(server, **UNKNOWN), tmp_path / "a.bin", recorded)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_told_at_once(server: Server, tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        Downloader(FAST).download(source(server, "no.bin"), tmp_path / "no.bin")
    assert len(server.asked) == 1


def test_a_server_that_fails_again_and_again_is_not_asked_for_each_file(server: Server, tmp_path: Path) -> None:
    downloader = Downloader(FAST)
    for number in range(5):
        server.faults[f"{number}.bin"] = [http.status(500)] * 9
        with pytest.raises(DownloadError, match="3 times in a row" if number < 3 else "not asked for, since"):
            downloader.download(source(server, f"{number}.bin"), tmp_path / f"{number}.bin")
    assert len(server.asked) == 3 * FAST.attempts


def test_what_has_no_room_is_told_before_it_comes(server: Server, tmp_path: Path) -> None:
    def huge(handler: http.Handler) -> None:
        handler.head(200, Content_Length=1 << 60)
        handler.hang_up()

    server.faults["a.bin"] = [huge]
    with pytest.raises(DownloadError, match=r"1,152,921,504,606,846,976 bytes are to come, [\d,]+ are free"):
        Downloader(FAST).download(source(server, **UNKNOWN), tmp_path / "a.bin")


@pytest.fixture
def secure(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with a certificate that is trusted."""
    tls, certificate = http.certified(tmp_path_factory.mktemp("tls"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("NO_PROXY", "*")
    with http.serving(tls) as running:
        running.files["a.bin"] = BODY
        yield running


def test_a_secure_address_never_leads_to_one_that_is_not(secure: Server, server: Server, tmp_path: Path) -> None:
    secure.faults["a.bin"] = [http.redirect(server.url("a.bin"))]
    with pytest.raises(DownloadError, match=r"https://.* redirects to http://.*, which is refused"):
        Downloader(FAST).download(source(secure), tmp_path / "a.bin")
    assert server.asked == []
    assert list(tmp_path.iterdir()) == []


def test_an_address_may_lead_to_a_secure_one(secure: Server, server: Server, tmp_path: Path) -> None:
    server.faults["a.bin"] = [http.redirect(secure.url("a.bin"))]
    Downloader(FAST).download(source(server), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert len(secure.asked) == 1


def test_a_server_that_cannot_prove_who_it_is_is_not_trusted(
    secure: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(DownloadError, match=r"cannot be reached \(SSLError\)"):
        Downloader(FAST).download(source(secure), tmp_path / "a.bin")
    assert secure.asked == []


def test_no_address_of_another_kind_is_fetched(tmp_path: Path) -> None:
    for url in ("file:///etc/passwd", "ftp://127.0.0.1/a", "http://", "nothing"):
        with pytest.raises(DownloadError, match="is no address to fetch from"):
            Downloader(FAST).download(Source("a", url), tmp_path / "a")


def test_a_thread_keeps_its_connection(server: Server, tmp_path: Path) -> None:
    downloader = Downloader(FAST)
    for number in range(20):
        server.files[f"{number}.bin"] = BODY
        downloader.download(source(server, f"{number}.bin"), tmp_path / f"{number}.bin")
    assert len({a.connection for a in server.asked}) == 1


@pytest.mark.parametrize("stall", [http.stall, http.stall_without_length])
def test_a_download_that_is_called_off_ends_at_once_and_goes_on_later(
    server: Server, tmp_path: Path, stall: http.Fault
) -> None:
    server.faults["a.bin"] = [stall]
    downloader, ended = Downloader(Limits(read_s=60)), list[Exception]()

    def run() -> None:
        try:
            downloader.download(source(server, size=None), tmp_path / "a.bin")
        except CancelledError as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    _until(lambda: (tmp_path / "a.bin.part").exists() and (tmp_path / "a.bin.part").stat().st_size > 0)
    downloader.cancel()
    thread.join(5)
    assert ended, "it did not wait for the server"
    assert not (tmp_path / "a.bin").exists()
    Downloader(FAST).download(source(server), tmp_path / "a.bin")
    assert server.asked[-1].range is not None


def test_ctrl_c_leaves_what_came_for_the_next_run(server: Server, tmp_path: Path) -> None:
    server.faults["a.bin"] = [http.stall]
    script = (
        "import signal, sys; from pathlib import Path; from mmer.data.corpora import Corpus, Source\n"
        "from mmer.data.fetch.corpus import fetch\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background begins without it
        "found = Corpus('tiny', 'Tiny', '', '', '', '', lambda _: [], lambda _: [Source('a.bin', sys.argv[1])])\n"
        "fetch(found, Path(sys.argv[2]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, server.url("a.bin"), str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"NO_PROXY": "*"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    part = tmp_path / "a.bin.part"
    _until(lambda: part.exists() and part.stat().st_size == len(BODY) // 2)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=10)
    assert process.returncode != 0
    assert "interrupted; what came is kept: run again to go on" in told
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.bin.part", "a.bin.part.tag"]
    Downloader(FAST).download(source(server, **UNKNOWN), tmp_path / "a.bin")
    assert server.asked[-1].range == f"bytes={len(BODY) // 2}-"
    assert (tmp_path / "a.bin").read_bytes() == BODY


def _until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)
