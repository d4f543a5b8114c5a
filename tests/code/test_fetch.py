"""A corpus arrives whole and verified, or an error says which file is wrong and what to do."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from mmer.corpora import Corpus, Source, ravdess
from mmer.corpora import fetch as fetching
from mmer.corpora.fetch import FetchError, download, fetch, unpack

BODY = bytes(range(256)) * 4000
CLIP = "Actor_01/03-01-03-01-01-01-01.wav"


class Server(http.server.ThreadingHTTPServer):
    """Real HTTP on this machine; `cuts` answers break off in the middle, `busy` ones are 503."""

    files: dict[str, bytes]
    cuts = 0
    busy = 0
    ranges: list[str | None]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.ranges = {}, []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        span = self.headers.get("Range")
        self.server.ranges.append(span)
        body = self.server.files.get(self.path[1:])
        start = int(span.removeprefix("bytes=").removesuffix("-")) if span else 0
        if self.server.busy:
            self.server.busy -= 1
            return self.send_error(503)
        if body is None or start >= len(body):
            return self.send_error(404 if body is None else 416)
        self.send_response(206 if span else 200)
        if span:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        if self.server.cuts:
            self.server.cuts -= 1
            self.wfile.write(body[start : start + (len(body) - start) // 2])
            self.close_connection = True
            return None
        self.wfile.write(body[start:])
        return None

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetching, "WAIT_S", 0.01)
    monkeypatch.setenv("NO_PROXY", "*")
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        yield opened


def source(server: Server, name: str = "a.bin", body: bytes = BODY, **more: object) -> Source:
    server.files[name] = body
    facts: dict[str, object] = {"sha256": hashlib.sha256(BODY).hexdigest(), "size": len(BODY)} | more
    return Source(name, server.url(name), **facts)  # type: ignore[arg-type]


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def published(*sources: Source) -> Corpus:
    return Corpus("tiny", "Tiny", "its licence", "", "", ravdess.list_clips, lambda _: list(sources), {"clips": 2})


def test_a_cut_connection_goes_on_where_it_stopped(server: Server, session: requests.Session, tmp_path: Path) -> None:
    server.cuts = 2
    download(source(server), tmp_path / "a.bin", session)
    assert (tmp_path / "a.bin").read_bytes() == BODY
    starts = [int(span[6:-1]) for span in server.ranges[1:] if span]
    assert len(BODY) // 2 - fetching.CHUNK < starts[0] < starts[1] < len(BODY)
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_later_run_goes_on_too(server: Server, session: requests.Session, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(BODY[:1000])
    download(source(server), tmp_path / "a.bin", session)
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert server.ranges == ["bytes=1000-"]


def test_a_part_that_is_too_long_is_begun_anew(server: Server, session: requests.Session, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(BODY + b"more")
    download(source(server), tmp_path / "a.bin", session)
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_what_cannot_be_verified_is_not_pieced_together(
    server: Server, session: requests.Session, tmp_path: Path
) -> None:
    (tmp_path / "a.bin.part").write_bytes(b"of another time")
    download(source(server, sha256=None, size=None), tmp_path / "a.bin", session)
    assert (tmp_path / "a.bin").read_bytes() == BODY


@pytest.mark.parametrize("facts", [{}, {"sha256": None, "md5": "0" * 32}, {"sha256": None}])
def test_wrong_bytes_never_get_the_final_name(
    server: Server, session: requests.Session, tmp_path: Path, facts: dict[str, object]
) -> None:
    wrong = source(server, body=BODY[:-1] + (b"" if facts == {"sha256": None} else b"!"), **facts)
    with pytest.raises(FetchError, match=r"a\.bin: .* not kept"):
        download(wrong, tmp_path / "a.bin", session)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_told_at_once(server: Server, session: requests.Session, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="answers 404"):
        download(Source("b.bin", server.url("b.bin")), tmp_path / "b.bin", session)
    assert len(server.ranges) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_busy_server_is_asked_again(server: Server, session: requests.Session, tmp_path: Path) -> None:
    server.busy = 2
    download(source(server), tmp_path / "a.bin", session)
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_without_network_or_mirror_the_error_says_both_ways(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = Source("a.zip", server.url("a.zip"), archive=True)
    server.shutdown()
    server.server_close()
    with pytest.raises(FetchError, match=r"cannot be reached.*Run again.*MMER_MIRROR"):
        fetch(published(silent), tmp_path / "raw", tmp_path / "no_such_mirror")
    assert "its licence" in capsys.readouterr().out, "the licence stands before the first byte"


def test_an_archive_is_unpacked_once_and_not_kept(server: Server, tmp_path: Path) -> None:
    archive = Source("a.zip", server.url("a.zip"), archive=True)
    server.files["a.zip"] = zipped({CLIP: b"voice", "Actor_01/": b""})
    server.cuts = 1
    fetch(published(archive), tmp_path)
    assert (tmp_path / CLIP).read_bytes() == b"voice"
    assert not (tmp_path / "a.zip").exists()
    told = json.loads((tmp_path / "mirror.json").read_text())
    assert (told["from"], told["have"]["clips"]) == ("owner", 1)
    assert told["summary"].startswith("1 of 2 clips")
    asked = len(server.ranges)
    fetch(published(archive), tmp_path)
    assert len(server.ranges) == asked


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "Actor_01/../../evil.txt", "..\\evil.txt", "C:/evil.txt"])
def test_a_member_that_would_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"good.txt": b"good", name: b"evil"}))
    (tmp_path / "into").mkdir()
    with pytest.raises(FetchError, match="refused"):
        unpack(tmp_path / "a.zip", tmp_path / "into")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.zip", "into"]


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc")
    with pytest.raises(FetchError, match="refused"):
        unpack(tmp_path / "a.zip", tmp_path)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"a": bytes(100_000), "b": b""}))
    monkeypatch.setattr(fetching, "MAX_UNPACKED", 99_999)
    with pytest.raises(FetchError, match="too much"):
        unpack(tmp_path / "a.zip", tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(fetching, "MAX_MEMBERS", 1)
    with pytest.raises(FetchError, match="too much"):
        unpack(tmp_path / "a.zip", tmp_path)


def test_a_damaged_archive_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    archive = Source("a.zip", server.url("a.zip"), archive=True)
    whole = zipped({CLIP: os.urandom(5000)})
    server.files["a.zip"] = whole[:2000] + bytes(100) + whole[2100:]
    with pytest.raises(FetchError, match=r"a\.zip: cannot be unpacked .* run again"):
        fetch(published(archive), tmp_path)
    assert not (tmp_path / "a.zip").exists()
    assert not (tmp_path / CLIP).exists()
    server.files["a.zip"] = whole
    fetch(published(archive), tmp_path)
    assert (tmp_path / CLIP).exists()


def test_a_list_cannot_name_a_file_outside(server: Server, tmp_path: Path) -> None:
    server.files["a.bin"] = BODY
    with pytest.raises(FetchError, match="outside"):
        fetch(published(Source("../a.bin", server.url("a.bin"))), tmp_path / "raw")


def test_an_incomplete_mirror_is_copied_and_counted(tmp_path: Path) -> None:
    mirror, raw = tmp_path / "mirror", tmp_path / "raw"
    (mirror / CLIP).parent.mkdir(parents=True)
    (mirror / CLIP).write_bytes(b"voice")
    (mirror / CLIP).chmod(0o444)
    (mirror / "b.zip").write_bytes(zipped({"Actor_01/03-01-04-01-01-01-01.wav": b"other"}))
    for _ in range(2):  # a second time changes nothing
        fetch(published(Source("b.zip", archive=True)), raw, mirror)
    assert (raw / CLIP).read_bytes() == b"voice"
    assert os.access(raw / CLIP, os.W_OK)
    assert not (raw / CLIP).samefile(mirror / CLIP)
    assert json.loads((raw / "mirror.json").read_text())["have"] == {"clips": 2, "speakers": 1, "pictures": 0}


def test_wrong_bytes_in_a_mirror_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "a.bin").write_bytes(b"wrong")
    with pytest.raises(FetchError, match=r"a\.bin: its sha256"):
        fetch(published(Source("a.bin", sha256="0" * 64)), tmp_path / "raw", tmp_path / "mirror")
    assert list((tmp_path / "raw").iterdir()) == []


def test_an_empty_mirror_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    with pytest.raises(FetchError, match="no clip was found"):
        fetch(published(), tmp_path / "raw", tmp_path / "mirror")
