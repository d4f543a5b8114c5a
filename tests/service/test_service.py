"""The service over real HTTP: it answers as the recogniser does, refuses what it must, and keeps nothing."""

import contextlib
import http.server
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mmer.labels import EMOTIONS
from mmer.runtime.recognizer import Recognizer
from tests.graphs import drawn_clips, write_model
from tests.service.live import live
from tests.serving import ROOT, UPLOAD_LIMIT_MB, Served, serve

TOO_MUCH = b"\0" * (UPLOAD_LIMIT_MB * 2**20 + 2**16)


@pytest.fixture
def client(service: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=60) as client:
        yield client


def left_behind(service: Served) -> list[Path]:
    """Files in the service's temporary folder, once it had a moment to clear up."""
    for _ in range(50):
        files = [p for p in service.temporary.rglob("*") if p.is_file()]
        if not files:
            break
        time.sleep(0.1)
    return files


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an answer that says no, which always has the same shape."""
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "hint"}
    assert error["message"]
    assert error["hint"]
    return answer.status_code, error["code"]


def test_a_clip_gets_what_the_recogniser_says(
    client: httpx.Client, service: Served, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = drawn_clips()["happy"]
    answer = client.post("/predict", files={"file": path.open("rb")})
    assert answer.status_code == 200
    told = answer.json()
    expected = Recognizer.load(write_model(tmp_path_factory.mktemp("same"))).predict(path).to_json()
    assert told["path"] == path.name
    assert told["label"] == expected["label"]
    assert told["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-4)
    assert list(told["probabilities"]) == list(EMOTIONS)
    assert len(told["steps"]) == len(expected["steps"])
    assert told["model"]["drawings"] is True
    assert left_behind(service) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"Dear all, this is a letter.", (415, "not_media")),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/hostname\n#EXT-X-ENDLIST\n", (415, "refused")),
        (b"", (422, "empty")),
    ],
)
def test_what_is_no_clip_is_refused(
    client: httpx.Client, service: Served, content: bytes, expected: tuple[int, str]
) -> None:
    assert refusal(client.post("/predict", files={"file": ("clip.mp4", content)})) == expected
    assert left_behind(service) == []


def test_a_clip_cut_off_is_refused(client: httpx.Client) -> None:
    whole = drawn_clips()["happy"].read_bytes()
    status, code = refusal(client.post("/predict", files={"file": ("clip.mp4", whole[: len(whole) // 2])}))
    assert (status, code) in {(422, "truncated"), (415, "not_media")}


def test_a_form_without_a_file_is_refused(client: httpx.Client) -> None:
    assert refusal(client.post("/predict", files={"clip": b"not here"})) == (422, "no_file")
    two = [("file", ("a.mp4", b"a")), ("file", ("b.mp4", b"b"))]
    assert refusal(client.post("/predict", files=two)) == (422, "several_files")
    broken = {"content-type": "multipart/form-data; boundary=x"}
    assert refusal(client.post("/predict", content=b"--y\r\nno form", headers=broken)) == (422, "no_file")


def test_a_body_that_is_no_form_is_refused(client: httpx.Client) -> None:
    assert refusal(client.post("/predict", json={"file": "clip.mp4"})) == (415, "no_form")
    assert refusal(client.post("/predict", data={"file": "clip.mp4"})) == (415, "no_form")


def test_a_url_in_place_of_the_file_is_never_fetched(client: httpx.Client) -> None:
    asked: list[str] = []

    class Bait(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bait) as bait:
        threading.Thread(target=bait.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{bait.server_port}/clip.mp4"
        answers = [
            client.post("/predict", files={"file": (None, url)}),
            client.post("/predict", json={"file": url}),
            client.post("/predict", data={"file": url}),
            client.post("/predict", content=url, headers={"content-type": "video/mp4"}),
        ]
        bait.shutdown()
    assert {a.status_code for a in answers} <= {415, 422}
    assert asked == []


@pytest.mark.parametrize("name", ["../../../escape.mp4", "a" * 300 + ".mp4", "", "…/\\:*?.mp4", "-i", ".mp4"])
def test_the_name_of_an_upload_is_not_trusted(client: httpx.Client, service: Served, name: str) -> None:
    answer = client.post("/predict", files={"file": (name or "x", drawn_clips()["sad"].read_bytes())})
    assert answer.status_code == 200
    assert "/" not in answer.json()["path"]
    assert not [*service.temporary.parent.glob("escape*"), *service.temporary.rglob("escape*")]


def test_too_large_an_upload_is_refused_by_its_announced_length(client: httpx.Client) -> None:
    # Only the announcement is sent: the refusal comes before the body.
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as line:
        line.sendall(request_head(f"Content-Length: {10**12}"))
        assert line.recv(4096).startswith(b"HTTP/1.1 413")


def test_too_large_an_upload_is_refused_while_it_comes_in_unannounced(client: httpx.Client, service: Served) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as line:
        line.sendall(request_head("Transfer-Encoding: chunked"))
        form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n' + TOO_MUCH
        line.sendall(b"%x\r\n%s\r\n" % (len(form), form))  # and no end: it must not wait for one
        answer = line.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413")
    assert left_behind(service) == []


def test_an_upload_given_up_leaves_nothing(client: httpx.Client, service: Served) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as line:
        line.sendall(request_head(f"Content-Length: {len(TOO_MUCH) // 2}"))
        line.sendall(b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n' + b"\0" * 9999)
    assert left_behind(service) == []
    assert client.get("/readyz").status_code == 200


def request_head(length: str) -> bytes:
    lines = ["POST /predict HTTP/1.1", "Host: here", "Content-Type: multipart/form-data; boundary=x", length, "", ""]
    return "\r\n".join(lines).encode()


def test_several_clips_at_once_get_their_own_answers(client: httpx.Client) -> None:
    paths = [drawn_clips()[emotion] for emotion in ("happy", "sad", "angry", "fear")]
    answers: dict[str, dict[str, object]] = {}

    def ask(path: Path) -> None:
        answers[path.name] = client.post("/predict", files={"file": path.open("rb")}).json()

    threads = [threading.Thread(target=ask, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for path in paths:
        assert answers[path.name]["path"] == path.name
    assert len({str(a["probabilities"]) for a in answers.values()}) == len(paths)


def test_the_page_and_its_parts_come_with_a_strict_policy(client: httpx.Client) -> None:
    for path in ("/", *(f"/{p.name}" for p in (ROOT / "web").iterdir() if p.suffix in (".js", ".css"))):
        answer = client.get(path)
        assert answer.status_code == 200, path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy.replace("wasm-unsafe-eval", "")
    assert client.get("/service.py").status_code == 404
    assert client.get("/web/index.html").status_code == 404


def test_bentomls_own_pages_are_still_there(client: httpx.Client) -> None:
    assert "/predict" in client.get("/docs.json").json()["paths"]
    assert "bentoml_service" in client.get("/metrics").text
    assert client.get("/livez").status_code == 200


def test_no_process_of_the_service_holds_torch(client: httpx.Client, service: Served) -> None:
    assert client.post("/predict", files={"file": drawn_clips()["happy"].open("rb")}).status_code == 200
    loaded = []
    for pid in service.processes():
        with contextlib.suppress(FileNotFoundError):
            loaded += [line for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "/torch/" in line]
    assert len(service.processes()) > 1
    assert loaded == []


def test_without_a_model_it_does_not_start_and_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match=r"ready:\nmmer: .*nowhere.*make repro"),
        serve(tmp_path / "nowhere", tmp_path),
    ):
        pass


@pytest.mark.slow
def test_a_killed_worker_comes_back_and_what_it_left_is_deleted(tmp_path: Path) -> None:
    """SIGKILL in the middle of a file: the network's loses nothing, the requests' only what it was working on."""
    clip = drawn_clips()["happy"]
    with serve(write_model(tmp_path / "model"), tmp_path / "home") as served, httpx.Client(timeout=60) as client:

        def ask() -> int:
            return client.post(f"{served.url}/predict", files={"file": clip.open("rb")}).status_code

        os.kill(worker(served, "mmer-network"), signal.SIGKILL)
        assert ask() == 200
        with socket.create_connection(
            (client.base_url.host or "127.0.0.1", int(served.url.rpartition(":")[2]))
        ) as line:
            body = clip.read_bytes()
            line.sendall(request_head(f"Content-Length: {len(body) + 200}"))
            line.sendall(b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n' + body)
            line.sendall(b"\r\n--x--\r\n" + b" " * (200 - 80))
            orphan = served.temporary / f"mmer-upload-{worker(served, 'mmer')}-x"
            orphan.mkdir()
            (orphan / "a.mp4").write_bytes(body)
            os.kill(worker(served, "mmer"), signal.SIGKILL)
        for _ in range(100):
            with contextlib.suppress(httpx.HTTPError):
                if ask() == 200:
                    break
            time.sleep(0.2)
        assert ask() == 200
        assert left_behind(served) == []


@pytest.mark.slow
def test_a_network_that_hangs_is_done_without(service: Served) -> None:
    """Its process takes calls and answers none, as where it was told to stop a moment before."""
    network = worker(service, "mmer-network")
    os.kill(network, signal.SIGSTOP)
    try:
        with drawn_clips()["happy"].open("rb") as file:
            answer = httpx.post(f"{service.url}/predict", files={"file": file}, timeout=50)
    finally:
        os.kill(network, signal.SIGCONT)
    assert answer.status_code == 200, answer.text


def test_when_it_is_stopped_it_answers_what_it_was_given(tmp_path: Path) -> None:
    """SIGTERM in the middle of a file: the answer still comes, and a live session is told to come back."""
    clip = drawn_clips()["happy"]
    with serve(write_model(tmp_path / "model"), tmp_path / "home") as served, live(served.url) as session:
        answers: list[int] = []

        def ask() -> None:
            with clip.open("rb") as file:
                answers.append(httpx.post(f"{served.url}/predict", files={"file": file}, timeout=60).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        while asking.is_alive() and not list(served.temporary.glob("mmer-upload-*")):  # until it is being worked on
            time.sleep(0.005)
        os.kill(served.pid, signal.SIGTERM)
        asking.join(60)
        assert answers == [200]
        assert session.until("closed")[-1]["code"] in (1006, 1012)


def worker(served: Served, name: str) -> int:
    """The process of one of the two services."""
    for _ in range(100):
        for pid in served.processes():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                if name in words:
                    return pid
        time.sleep(0.1)
    raise AssertionError(f"no worker {name}")
