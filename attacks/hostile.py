"""Thousands of hostile inputs: none may be answered by a failure, kill a worker, leave a file or make memory grow.

Files (files.py: clips of every format damaged in every way, bombs of duration, pixels and rate, playlists, archives,
noise), requests on bare sockets (lying lengths, bodies that trickle or break off, wrong types) and broken messages of
streams, all from one seed. With MMER_MIRROR real clips are damaged too. What fails is written to --keep, named by its
number, and the run ends with status 1.

`--local` gives the files to `mmer.runtime.media.decode` alone. `--url` asks a service that runs already, whose memory,
processes and files cannot be seen from here.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import socket
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from httpx_ws import AsyncWebSocketSession, HTTPXWSException, aconnect_ws
from tqdm import tqdm

from attacks.files import Attack, attacks, every_format, real_clips
from benchmarks.serving.common import PLENTY, ROOT, Service, serve
from mmer.data.demo.corpus import draw_corpus
from mmer.labels import EMOTIONS
from mmer.runtime.config import Media
from mmer.runtime.media import MediaError, decode

SETTINGS = PLENTY | {"MMER_UPLOAD_S": "5", "MMER_IDLE_S": "5"}
GROWTH_MB = 24
"""A worker may end with so much more than it had at most in the first half of the files."""
CLIENTS = 4
HELLO = {"type": "hello", "protocol": 2, "rate": 16000, "video": True, "audio": True}
REST = {"seconds": 5, "logits": dict.fromkeys(EMOTIONS, 0.1)}
CALIBRATION = {"type": "calibration", "model": "", "rest": {"face": REST}}


@dataclass
class Report:
    """What came of the inputs."""

    keep: Path
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")

    def add(self, number: int, attack: Attack, outcome: str, seconds: float, failed: str = "") -> None:
        """Count one; keep it if it failed."""
        self.outcomes[outcome] += 1
        self.slowest = max(self.slowest, (seconds, f"{number} {attack.kind} {attack.name}: {outcome}"))
        if failed:
            self.failures.append(f"{number} {attack.kind} {attack.name}: {failed[:300]}")
            self.keep.mkdir(parents=True, exist_ok=True)
            (self.keep / f"{number}-{Path(attack.name).name}").write_bytes(attack.data)

    def show(self, title: str) -> None:
        """Print the counts of answers."""
        print(f"{title}: {len(self.failures)} failures")
        for outcome, count in self.outcomes.most_common():
            print(f"  {count:6} {outcome}")
        if self.slowest[1]:
            print(f"  slowest: {self.slowest[0]:.1f} s, {self.slowest[1]}")
        for failure in self.failures[:20]:
            print(f"  FAILED {failure}", file=sys.stderr)


def decoded(found: Iterable[Attack], folder: Path, report: Report) -> None:
    """What `decode` makes of files."""
    media = Media(timeout_s=20)
    for number, attack in enumerate(found):
        path, start = folder / Path(attack.name).name, time.monotonic()
        path.write_bytes(attack.data)
        outcome, failed = "decoded", ""
        try:
            decode(path, media, 0.2, lambda *_: None)
        except MediaError as error:
            outcome = error.code
        except Exception as error:
            outcome = failed = repr(error)
        report.add(number, attack, outcome, time.monotonic() - start, failed)
        path.unlink()


def posted(url: str, found: Iterable[Attack], report: Report) -> None:
    """What the service answers to files, from a few clients at once."""
    with httpx.Client(timeout=120) as client, ThreadPoolExecutor(CLIENTS) as pool:

        def ask(attack: Attack) -> tuple[str, float, str]:
            start = time.monotonic()
            try:
                answer = client.post(f"{url}/predict?steps=false", files={"file": (attack.name, attack.data)})
                outcome = f"{answer.status_code} {code_of(answer)}"
                failed = answer.text if wrong(answer.status_code) else ""
            except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
                outcome = failed = repr(error)
            return outcome, time.monotonic() - start, failed

        waiting = enumerate(found)
        while group := [entry for entry, _ in zip(waiting, range(8 * CLIENTS), strict=False)]:
            for (number, attack), (outcome, seconds, failed) in zip(
                group, pool.map(ask, [attack for _, attack in group]), strict=True
            ):
                report.add(number, attack, outcome, seconds, failed)


def code_of(answer: httpx.Response) -> str:
    """The code of a refusal, which must be told."""
    if answer.is_success:
        return "label" if answer.json()["label"] else "no evidence"
    return str(answer.json()["error"]["code"])


def wrong(status: int) -> bool:
    """Whether no client may be answered so."""
    return status >= 500 and status != 503


def requested(url: str, count: int, rng: random.Random, report: Report) -> None:
    """Requests on bare sockets, from more clients than there are slow ones at a time."""
    requests = [broken_request(rng) for _ in range(count)]
    with ThreadPoolExecutor(4 * CLIENTS) as pool:
        for number, (kind, data, told) in enumerate(pool.map(lambda request: spoken(url, *request), requests)):
            status = told.split(" ")[1] if told.startswith("HTTP/") else ""
            outcome = f"{kind}: {status or told}"
            failed = told if status.isdecimal() and wrong(int(status)) else ""
            report.add(number, Attack(kind, "request", data), outcome, 0.0, failed)


def broken_request(rng: random.Random) -> tuple[str, bytes, float]:
    """What is wrong with it, the bytes, and the seconds after each of its four parts."""
    kind = rng.choice(("type", "length", "form", "tensors", "chunks", "method", "slow", "broken off", "upgrade"))
    path = "/infer" if kind == "tensors" else rng.choice(("/predict", "/predict", "/infer"))
    media = "multipart/form-data; boundary=x"
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    body, length, method, more, wait = part + rng.randbytes(500) + b"\r\n--x--\r\n", "", "POST", "", 0.0
    if kind == "type":
        media = rng.choice(
            (
                "", "application/json", "video/mp4", "application/vnd.bentoml+pickle", "text/plain; charset=x",
                "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=x", "\xff",
                "application/x-www-form-urlencoded", "multipart/form-data; boundary=" + "x" * 500,
            )
        )  # fmt: skip
        body = rng.choice((body, b"file=http%3A%2F%2F127.0.0.1%3A1%2F", b'{"file": "http://127.0.0.1:1/"}', b""))
    elif kind == "length":
        length = rng.choice(("0", "10", "999999", "-5", "x", str(10**12), str(10**30), "5, 7", "+5"))
    elif kind == "form":
        body = rng.choice(
            (
                b"", b"--x\r\n", b"--x--\r\n", part, b"\r\n" * 500, part * 30 + b"--x--\r\n", rng.randbytes(500),
                part.replace(b'; filename="a.mp4"', b"") + b"http://127.0.0.1:1/\r\n--x--\r\n",
                part.replace(b"a.mp4", b"../../../etc/passwd\\0" + b"a" * 3000) + b"x\r\n--x--\r\n",
                part.replace(b'name="file"', b'name="file[]"') + b"x\r\n--x--\r\n",
                part.replace(b"\r\n\r\n", b"\r\nX: " + b"y" * 20_000 + b"\r\n\r\n") + b"x\r\n--x--\r\n",
            )
        )  # fmt: skip
    elif kind == "tensors":
        media = "application/octet-stream"
        head = rng.choice((b"{}", b"[]", b'{"present": {}}', b"[" * 5000, tensors(rng)))
        body = struct.pack("<Q", rng.choice((len(head), len(head), 0, 2**63, 2**64 - 1))) + head + rng.randbytes(600)
    elif kind == "chunks":
        more = "Transfer-Encoding: chunked\r\n"
        body = rng.choice(
            (b"zz\r\nhello\r\n", b"5\r\nhel", b"ffffffffffffffff\r\nhello\r\n", b"-5\r\n\r\n", b"0\r\n\r\n")
        )
    elif kind == "method":
        method = rng.choice(("GET", "PUT", "DELETE", "OPTIONS", "FOO", "CONNECT", "TRACE", "\0"))
    elif kind == "slow":
        length, wait = str(len(body) + 1000), 2.5
    elif kind == "broken off":
        length = str(len(body) + 1000)
    else:
        path, method = "/stream", "GET"
        more = rng.choice(
            ("Upgrade: websocket\r\n", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "Upgrade: h2c\r\n")
        )
    if kind != "chunks":
        more += f"Content-Length: {length or len(body)}\r\n"
    head_line = f"{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n"
    head_line += f"Content-Type: {media}\r\n" if media else ""
    return kind, (head_line + more + "\r\n").encode("latin-1") + body, wait


def tensors(rng: random.Random) -> bytes:
    """A head of the safetensors format, plausible and wrong."""
    shape = rng.choice(([1, 1, 3], [0, 1, 3], [2**31, 2**31, 3], [-1, 1, 3], [1] * 60))
    end = rng.choice((12, 0, 2**62, -1))
    kind = rng.choice(("F32", "U8", "BF16", "F64", "?"))
    return json.dumps({"present": {"dtype": kind, "shape": shape, "data_offsets": [0, end]}}).encode()


def spoken(url: str, kind: str, data: bytes, wait: float) -> tuple[str, bytes, str]:
    """Send bytes as they are; the first line of the answer, or what happened instead."""
    address = httpx.URL(url)
    told = b""
    try:
        with socket.create_connection((address.host, address.port or 80), timeout=20) as line:
            quarter = len(data) // 4 + 1
            for at in range(0, len(data), quarter):
                line.sendall(data[at : at + quarter])
                time.sleep(wait)
            if kind == "broken off":
                return kind, data, "we left"
            while b"\r\n" not in told and (more := line.recv(4096)):
                told += more
    except TimeoutError:
        return kind, data, "no answer in 20 s"
    except OSError:
        pass  # closed while we were speaking: the answer may have come before
    return kind, data, told.split(b"\r\n")[0].decode("latin-1") or "closed"


async def streamed(url: str, count: int, rng: random.Random, jpegs: Sequence[bytes], report: Report) -> None:
    """Sessions of broken messages, a few at once."""
    places = asyncio.Semaphore(CLIENTS)

    async def one(number: int, opening: str | bytes, messages: list[str | bytes]) -> None:
        async with places:
            sent = repr([opening, *messages]).encode()
            attack = Attack("stream", "messages", sent)
            try:
                for outcome in await session(url, opening, messages):
                    failed = outcome if outcome == "closing failed" else ""
                    report.add(number, attack, outcome, 0.0, failed)
            except (OSError, httpx.HTTPError) as error:
                report.add(number, attack, repr(error), 0.0, repr(error))

    sessions = [(number, *broken_session(rng, jpegs)) for number in range(count // 25)]
    await asyncio.gather(*(one(*told) for told in sessions))


def broken_session(rng: random.Random, jpegs: Sequence[bytes]) -> tuple[str | bytes, list[str | bytes]]:
    """An opening (mostly a right one), and 25 messages of which few are."""
    hello = json.dumps(HELLO)
    values: tuple[object, ...] = (None, -1, 2**70, "x", [], {}, 0.5)
    odd = [{**HELLO, key: value} for key in (*HELLO, "interval_s") for value in values]
    openings: tuple[str | bytes, ...] = ("", "{}", "null", hello[:-3], "[" * 9999, b"\0", hello.encode(), "\0" * 99)
    opening = hello if rng.random() < 0.7 else rng.choice((*openings, *map(json.dumps, odd)))
    messages: list[str | bytes] = []
    for k in range(25):
        ms = rng.choice((200 * k, 200 * k, 0, 2**31, 2**32 - 1, rng.randrange(2**32)))
        kind = rng.choice(("noise", "text", "calibrate", "jpeg", "jpeg", "voice", "off", "odd kind", "large"))
        if kind == "noise":
            messages.append(rng.randbytes(rng.randrange(40)))
        elif kind == "text":
            texts = ("x" * rng.randrange(500), "{}", '{"type": []}', '{"type": "step"}', "[" * 9999, "1e999", "\ud83d")
            messages.append(rng.choice(texts).encode("utf-8", "replace").decode())
        elif kind == "calibrate":
            messages.append(json.dumps({"type": "calibrate", **odd_calibration(rng, (*values, True, 10**400, 1e300))}))
        elif kind == "jpeg":
            data = bytearray(rng.choice(jpegs))
            for _ in range(rng.choice((0, 1, 30))):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            messages.append(
                struct.pack("<BI", 1, ms) + bytes(data[: rng.choice((len(data), rng.randrange(len(data))))])
            )
        elif kind == "voice":
            messages.append(struct.pack("<BI", 2, ms) + rng.randbytes(rng.choice((0, 1, 3200, 6400, 64_000, 64_002))))
        elif kind == "off":
            messages.append(struct.pack("<BI", rng.choice((3, 4)), ms) + rng.randbytes(rng.choice((0, 0, 9))))
        elif kind == "odd kind":
            messages.append(struct.pack("<BI", rng.randrange(256), ms))
        elif rng.random() < 0.05:
            messages.append(struct.pack("<BI", 1, ms) + bytes(2**21))
    return opening, messages


def odd_calibration(rng: random.Random, values: Sequence[object]) -> dict[str, object]:
    """What a calibrate asks for; mostly nothing that can be had."""
    value = rng.choice(values)
    key = rng.choice((*CALIBRATION, *REST, "x" * 9999))
    rest = {**REST, "logits": {**REST["logits"], rng.choice((*EMOTIONS, "x")): value}}  # type: ignore[dict-item]
    calibration = rng.choice(
        (
            value,
            {**CALIBRATION, key: value},
            {
                **CALIBRATION,
                "rest": {rng.choice(("face", "voice", "smell")): rng.choice((value, rest, {**REST, key: value}))},
            },
        )
    )
    asked: tuple[dict[str, object], ...] = (
        {"seconds": value},
        {"seconds": 5},
        {"calibration": calibration},
        {"seconds": 5, "calibration": None},
    )
    return rng.choice(asked)


async def session(url: str, opening: str | bytes, messages: Sequence[str | bytes]) -> list[str]:
    """Send messages; the kinds of all answers until the end, or until nothing comes for a while."""
    told: list[str] = []
    ws: AsyncWebSocketSession
    with contextlib.suppress(HTTPXWSException, ExceptionGroup, TimeoutError):
        async with httpx.AsyncClient() as client, aconnect_ws(f"{url.replace('http', 'ws', 1)}/stream", client) as ws:
            for message in (opening, *messages):
                await (ws.send_text(message) if isinstance(message, str) else ws.send_bytes(message))
            with contextlib.suppress(HTTPXWSException, TimeoutError):
                while True:
                    answer = await ws.receive_json(timeout=0.5)
                    told.append(answer["type"] + (f" {answer['code']}" if "code" in answer else ""))
    return told or ["nothing before the end"]


@contextlib.contextmanager
def watched(service: Service, failures: list[str]) -> Iterator[None]:
    """No worker may die, no file may stay."""
    workers = service.workers()
    yield
    time.sleep(6)  # uploads in flight have their deadline
    service.wait()
    # Prometheus' own files stay for as long as the workers
    left = [p.name for p in service.temporary.rglob("*") if p.is_file() and p.suffix != ".db"]
    if service.workers() != workers:
        failures.append(f"workers died: {workers} before, {service.workers()} now")
    if left:
        failures.append(f"{len(left)} files were left: {left[:5]}")
    log = service.log.read_text(errors="replace")
    if traced := Counter(re.findall(r"^(?:Traceback.*\n)(?:[ \t].*\n|\n)*(\S.*)", log, re.MULTILINE)):
        failures.append(f"logged: {dict(traced)}")


def sampled(found: Iterable[Attack], service: Service, samples: list[dict[str, float]], every: int) -> Iterator[Attack]:
    """The same, and the memory of the service now and then."""
    for number, attack in enumerate(found):
        if number % every == 0:
            samples.append(service.memory())
        yield attack


def sources(folder: Path) -> tuple[str, list[dict[str, bytes]]]:
    """What is damaged: a drawn clip in every format, and real ones where they are."""
    draw_corpus(folder / "demo", speakers=1, takes=1)
    real = real_clips()
    clips = [sorted((folder / "demo" / "clips").glob("*happy*.mp4"))[0], *(p for p in real if p.suffix != ".flac")]
    wholes = [every_format(clip, folder) for clip in clips]
    for clip in real:  # as their owners made them, too: their encoders are not ours
        wholes[-1][{".flac": "flac"}.get(clip.suffix, clip.suffix[1:])] = clip.read_bytes()
    return f"a drawn clip and {len(real)} real ones", wholes


def main() -> None:
    """Print what came of them; exit with 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=4000)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--local", action="store_true", help="only mmer.runtime.media.decode")
    parser.add_argument("--url", help="a service that runs already")
    parser.add_argument("--model", type=Path, default=ROOT / "release")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir(), "mmer-hostile"))
    args = parser.parse_args()
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        what, wholes = sources(folder)
        print(f"made from {what}; seed {args.seed}", flush=True)
        found = tqdm(attacks(args.files, args.seed, wholes, folder), total=args.files, unit="file", mininterval=5)
        if args.local:
            report = Report(args.keep)
            decoded(found, folder, report)
            report.show("files")
            failures += report.failures
        elif args.url:
            failures += everything(args, args.url, found, wholes)
        else:
            samples: list[dict[str, float]] = []
            with serve(args.model, **SETTINGS) as service, watched(service, failures):
                failures += everything(
                    args, service.url, sampled(found, service, samples, max(1, args.files // 16)), wholes
                )
                samples.append(service.memory())
            for kind in samples[0]:
                used = [sample[kind] for sample in samples]
                shown = " ".join(f"{megabytes:.0f}" for megabytes in used)
                print(f"{kind}: MB after each sixteenth of the files, and at the end: {shown}")
                if used[-1] > max(used[:9]) + GROWTH_MB:
                    failures.append(f"{kind} grew: {used[-1] - max(used[:9]):.0f} MB more than in the first half")
    if failures:
        raise SystemExit("\n".join(["FAILED", *failures[:50]]))
    print("no failure, no dead worker, no file left, no growth" if not (args.local or args.url) else "no failure")


def everything(
    args: argparse.Namespace, url: str, found: Iterable[Attack], wholes: Sequence[dict[str, bytes]]
) -> list[str]:
    """All three kinds; returns the failures."""
    rng, failures = random.Random(args.seed), []
    for title in ("files", "requests", "messages"):
        report = Report(args.keep / title)
        if title == "files":
            posted(url, found, report)
        elif title == "requests":
            requested(url, args.requests, rng, report)
        else:
            asyncio.run(streamed(url, args.messages, rng, jpegs(wholes), report))
        report.show(title)
        failures += report.failures
    return failures


def jpegs(wholes: Sequence[dict[str, bytes]]) -> list[bytes]:
    """What a camera would send."""
    return [whole["jpeg"] for whole in wholes]


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
