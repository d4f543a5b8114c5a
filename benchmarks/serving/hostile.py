"""Thousands of hostile inputs: none may be answered by a failure, kill a worker, leave a file or make memory grow.

Files (clips of every format with flipped bits, cut, spliced, zeroed, misnamed; bombs of duration, pixels and frame
rate; playlists, scripts, archives, noise), requests (lying lengths, bodies that never end, wrong types), and broken
WebSocket messages, all from one seed. `--local` gives the files to `mmer.media.decode` alone. An input that
fails is kept in --keep.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from common import PLENTY, ROOT, Service, serve, some_clips
from httpx_ws import HTTPXWSException, aconnect_ws
from tqdm import tqdm

from mmer.config import Media
from mmer.media import MediaError, decode

FORMATS = ("mp4", "webm", "mkv", "mov", "avi", "flv", "mp3", "wav", "ogg", "flac", "jpg", "png")
ALLOWED = {200, 400, 401, 404, 405, 408, 413, 415, 422, 429, 503}
Input = tuple[str, str, bytes]
"""Kind, name of the file, content."""


def every_format(clip: Path, folder: Path) -> dict[str, bytes]:
    """One second of a clip in each format."""
    found = {}
    for suffix in FORMATS:
        out = folder / f"whole.{suffix}"
        more = {
            "jpg": ["-frames:v", "1"],
            "png": ["-frames:v", "1"],
            "webm": ["-deadline", "realtime", "-cpu-used", "8"],
        }
        rate = ["-ar", "44100"] if suffix in ("flv", "mp3") else []
        command = ["ffmpeg", "-v", "error", "-y", "-i", clip, "-t", "1", *rate, *more.get(suffix, []), out]
        subprocess.run(command, check=True)
        found[suffix] = out.read_bytes()
    return found


def bombs(folder: Path) -> Iterator[Input]:
    """Small files that ask for a lot."""
    made = {
        "long.mp4": ["-f", "lavfi", "-i", "color=s=16x16:r=1:d=40000", "-preset", "ultrafast"],
        "long.mp3": ["-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", "4000", "-b:a", "8k"],
        "wide.png": ["-f", "lavfi", "-i", "color=s=16000x16000", "-frames:v", "1"],
        "wide.mp4": ["-f", "lavfi", "-i", "color=s=8192x4320:r=1:d=1", "-preset", "ultrafast"],
        "fast.mp4": ["-f", "lavfi", "-i", "color=s=64x64:r=1000:d=60", "-preset", "ultrafast"],
        "tiny.mp4": ["-f", "lavfi", "-i", "color=s=16x16:r=5:d=1"],
    }
    for name, given in made.items():
        out = folder / name
        subprocess.run(["ffmpeg", "-v", "error", "-y", *given, out], check=True)
        yield "bomb", name, out.read_bytes()
    listed = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    texts = {
        "list.mp4": listed,
        "list.m3u8": listed,
        "concat.mp4": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "picture.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "page.mpd": b'<?xml version="1.0"?><MPD><BaseURL>http://127.0.0.1:1/</BaseURL></MPD>',
        "zip.mp4": b"PK\x03\x04" + b"\0" * 64,
        "gif.gif": b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\0" * 32,
        "empty.mp4": b"",
        "one.mp4": b"\0",
    }
    for name, data in texts.items():
        yield "text", name, data


def mutated(whole: dict[str, bytes], rng: random.Random) -> Input:
    """A clip that something happened to."""
    suffix = rng.choice(FORMATS)
    data = bytearray(whole[suffix])
    kind = rng.choice(("flip", "flip head", "cut", "zero", "splice", "noise in", "repeat", "misnamed", "appended"))
    size = len(data)
    if kind.startswith("flip"):
        reach = min(size, 400) if kind == "flip head" else size
        for _ in range(rng.choice((1, 3, 30, 300))):
            data[rng.randrange(reach)] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        data = data[: rng.randrange(size)]
    elif kind == "zero":
        start = rng.randrange(size)
        data[start : start + rng.randrange(1, size)] = bytes(min(size - start, rng.randrange(1, size)))
    elif kind == "splice":
        other = whole[rng.choice(FORMATS)]
        data = data[: rng.randrange(size)] + other[rng.randrange(len(other)) :]
    elif kind == "noise in":
        start = rng.randrange(size)
        data[start:start] = rng.randbytes(rng.choice((1, 50, 5000)))
    elif kind == "repeat":
        data *= 2
    elif kind == "appended":
        data += rng.randbytes(1000)
    name = f"clip.{rng.choice(FORMATS) if kind == 'misnamed' else suffix}"
    return kind, name, bytes(data)


def inputs(count: int, seed: int, clip: Path, folder: Path) -> Iterator[Input]:
    """Files, the same for the same seed and clip."""
    rng, whole = random.Random(seed), every_format(clip, folder)
    fixed = list(bombs(folder))
    yield from fixed[:count]
    for k in range(len(fixed), count):
        yield (
            ("noise", "clip.mp4", rng.randbytes(rng.choice((10, 1000, 100_000))))
            if k % 20 == 0
            else mutated(whole, rng)
        )


def local(found: Iterator[Input], count: int, folder: Path, keep: Path) -> Counter[str]:
    """What `decode` makes of them."""
    outcomes: Counter[str] = Counter()
    media = Media(timeout_s=20)
    for number, (kind, name, data) in enumerate(tqdm(found, total=count, unit="file")):
        path = folder / name
        path.write_bytes(data)
        try:
            decode(path, media, 0.2, lambda *_: None)
            outcomes["decoded"] += 1
        except MediaError as error:
            outcomes[error.code] += 1
        except Exception as error:
            outcomes["FAILED"] += 1
            note(keep, number, kind, name, data, repr(error))
        path.unlink()
    return outcomes


def note(keep: Path, number: int, kind: str, name: str, data: bytes, why: str) -> None:
    """Keep an input that failed."""
    keep.mkdir(parents=True, exist_ok=True)
    (keep / f"{number}-{name}").write_bytes(data)
    print(f"{number} {kind} {name}: {why}", file=sys.stderr)


def files(service: Service, found: Iterator[Input], count: int, keep: Path) -> Counter[str]:
    """What the service answers to them."""
    outcomes: Counter[str] = Counter()
    with httpx.Client(timeout=120) as client, ThreadPoolExecutor(4) as pool:

        def ask(entry: tuple[int, Input]) -> None:
            number, (kind, name, data) = entry
            try:
                answer = client.post(f"{service.url}/predict?steps=false", files={"file": (name, data)})
                code = "" if answer.is_success else " " + answer.json()["error"]["code"]
                outcomes[f"{answer.status_code}{code}"] += 1
                if answer.status_code not in ALLOWED:
                    note(keep, number, kind, name, data, answer.text)
            except (httpx.HTTPError, ValueError, KeyError) as error:
                outcomes[type(error).__name__] += 1
                note(keep, number, kind, name, data, repr(error))

        waiting = iter(tqdm(enumerate(found), total=count, unit="file"))
        for group in iter(lambda: [e for e, _ in zip(waiting, range(16), strict=False)], []):
            list(pool.map(ask, group))
    return outcomes


def requests(service: Service, count: int, rng: random.Random) -> Counter[str]:
    """Bodies that lie about themselves, on bare sockets."""
    outcomes: Counter[str] = Counter()
    url = httpx.URL(service.url)
    for _ in tqdm(range(count), unit="request"):
        path = rng.choice(("/predict", "/infer", "/predict?top=99", "/stream", "/", "/metrics/../predict"))
        kind = rng.choice(
            ("multipart/form-data; boundary=x", "application/json", "video/mp4", "application/vnd.bentoml+pickle")
        )
        length = rng.choice(
            ("Content-Length: 10", f"Content-Length: {10**12}", "Content-Length: -5", "Content-Length: x", "")
        )
        body = rng.choice(
            (
                b"",
                b"--x\r\n",
                b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nhttp://127.0.0.1:1/',
                rng.randbytes(500),
            )
        )
        method = rng.choice(("POST", "POST", "GET", "PUT", "FOO"))
        head = f"{method} {path} HTTP/1.1\r\nHost: here\r\nContent-Type: {kind}\r\n"
        head += f"{length}\r\n" if length else ""
        with contextlib.suppress(OSError), socket.create_connection((url.host, url.port or 80), timeout=1) as line:
            line.sendall(head.encode() + b"\r\n" + body)
            line.shutdown(socket.SHUT_WR)
            try:
                first = line.recv(200).split(b"\r\n")[0].decode(errors="replace")
            except TimeoutError:
                first = "no answer yet"
            outcomes[first[:30] or "closed"] += 1
    return outcomes


async def messages(service: Service, count: int, rng: random.Random, jpeg: bytes) -> Counter[str]:
    """Broken messages in streams."""
    outcomes: Counter[str] = Counter()
    address = service.url.replace("http", "ws") + "/stream"
    hello = '{"type": "hello", "protocol": 1, "rate": 16000, "video": true, "audio": true}'
    for _ in tqdm(range(count // 25), unit="session"):
        with contextlib.suppress(HTTPXWSException, ExceptionGroup, OSError, TimeoutError):
            async with httpx.AsyncClient() as client, aconnect_ws(address, client) as ws:
                await ws.send_text(
                    hello if rng.random() < 0.9 else rng.choice(("{}", "nonsense", hello[:-3], "[" * 999))
                )
                for k in range(25):
                    ms = rng.choice((0, 200 * k, 2**32 - 1, rng.randrange(2**32)))
                    broken = bytearray(jpeg)
                    broken[rng.randrange(len(broken))] ^= 255
                    await rng.choice(
                        (
                            lambda: ws.send_bytes(rng.randbytes(rng.randrange(40))),
                            lambda: ws.send_text("x" * rng.randrange(500)),
                            lambda ms=ms, b=bytes(broken): ws.send_bytes(struct.pack("<BI", 1, ms) + b),
                            lambda ms=ms: ws.send_bytes(
                                struct.pack("<BI", 2, ms) + rng.randbytes(2 * rng.randrange(2000))
                            ),
                            lambda ms=ms: ws.send_bytes(struct.pack("<BI", rng.choice((3, 4)), ms)),
                        )
                    )()
                for _ in range(40):
                    told = await ws.receive_json(timeout=0.3)
                    outcomes[told["type"] + (f" {told['code']}" if "code" in told else "")] += 1
    return outcomes


def main() -> None:
    """Print what came of them; exit with 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=4000)
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--local", action="store_true", help="only mmer.media.decode")
    parser.add_argument("--model", type=Path, default=ROOT / "release")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir(), "mmer-hostile"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        what, paths = some_clips(folder)
        found = inputs(args.files, args.seed, paths[0], folder)
        print(f"from the first of {what}; seed {args.seed}")
        if args.local:
            print(dict(local(found, args.files, folder, args.keep).most_common()))
            return
        rng = random.Random(args.seed)
        with serve(args.model, **PLENTY | {"MMER_UPLOAD_S": "5", "MMER_IDLE_S": "5"}) as service:
            files(service, inputs(150, args.seed + 1, paths[0], folder), 150, args.keep)  # warm
            workers, before = service.workers(), service.memory()
            told = [files(service, found, args.files, args.keep)]
            told.append(requests(service, args.requests, rng))
            jpeg = every_format(paths[0], folder)["jpg"]
            told.append(asyncio.run(messages(service, args.messages, rng, jpeg)))
            service.wait()
            time.sleep(6)
            after = service.memory()
            left = [p for p in service.temporary.rglob("*") if p.is_file() and not p.name.endswith(".db")]
            same = service.workers() == workers
            log = service.log.read_text()
        for kind, outcomes in zip(("files", "requests", "messages"), told, strict=True):
            print(f"{kind}: {dict(outcomes.most_common())}")
        print("MB before and after:", {k: (round(before[k], 1), round(after[k], 1)) for k in before})
        print(f"workers alive: {same}; files left: {len(left)} {left[:3]}; tracebacks logged: {log.count('Traceback')}")
        failed = [k for k in told[0] if int(k[:3]) not in ALLOWED] if all(k[:3].isdigit() for k in told[0]) else ["?"]
        failed += [k for k in told[1] if " 5" in k and " 503" not in k]
        failed += [k for k in told[2] if "failed" in k]
        if failed or not same or left:
            raise SystemExit(f"FAILED: {failed}, workers alive: {same}, left: {left}")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
