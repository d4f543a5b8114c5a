"""A real HTTP server on this machine that serves files rightly, or with the faults that it is told."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str
    range: str | None
    if_range: str | None
    connection: int


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; each request for a file first takes the next of its `faults`, if there is one."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.scheme = "https" if tls else "http"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.tags = True
        """Whether answers have an ETag."""
        self.asked: list[Asked] = []
        self.over = threading.Event()

    def url(self, name: str = "") -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}/{name}"

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def name(self) -> str:
        return self.path[1:].partition("?")[0]

    def do_GET(self) -> None:
        self.server.asked.append(
            Asked(self.name, self.headers.get("Range"), self.headers.get("If-Range"), self.client_address[1])
        )
        if waiting := self.server.faults.get(self.name):
            waiting.pop(0)(self)
        else:
            serve(self)

    def start(self, body: bytes) -> int:
        """The first byte asked for, as far as the client may be given a part."""
        span, condition = self.headers.get("Range"), self.headers.get("If-Range")
        return int(span[6:-1]) if span and condition in (None, tag(body)) else 0

    def head(self, status: int, **headers: str | int) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()

    def hang_up(self) -> None:
        self.close_connection = True

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, *_: object) -> None:
        """Quiet."""


Fault = Callable[[Handler], None]


def tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:16]}"'


def serve(handler: Handler, body: bytes | None = None, send: int | None = None, length: bool = True) -> None:
    """The right answer; or, `send` bytes of it and then nothing more; or, without its length."""
    body = handler.server.files.get(handler.name) if body is None else body
    if body is None:
        return handler.head(404, Content_Length=0)
    start = handler.start(body)
    if start >= len(body) > 0:
        return handler.head(416, Content_Range=f"bytes */{len(body)}", Content_Length=0)
    headers: dict[str, str | int] = {"ETag": tag(body)} if handler.server.tags else {}
    if length:
        headers["Content_Length"] = len(body) - start
    else:
        handler.hang_up()
    if start:
        headers["Content_Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
    handler.head(206 if start else 200, **headers)
    handler.wfile.write(body[start : None if send is None else start + send])
    if send is not None:
        handler.hang_up()
    return None


def half(handler: Handler) -> int:
    """Half of what was asked for, bytes."""
    body = handler.server.files[handler.name]
    return (len(body) - handler.start(body)) // 2


def cut(handler: Handler) -> None:
    serve(handler, send=half(handler))


def cut_without_length(handler: Handler) -> None:
    serve(handler, send=half(handler), length=False)


def cut_chunked(handler: Handler) -> None:
    handler.head(200, Transfer_Encoding="chunked")
    handler.chunk(handler.server.files[handler.name][: half(handler)])
    handler.hang_up()


def chunked(handler: Handler) -> None:
    handler.head(200, Transfer_Encoding="chunked")
    handler.chunk(handler.server.files[handler.name])
    handler.chunk(b"")


def hang_up(handler: Handler) -> None:
    handler.hang_up()


def status(code: int, retry_after: str | None = None) -> Fault:
    def fault(handler: Handler) -> None:
        more: dict[str, str | int] = {"Retry_After": retry_after} if retry_after else {}
        handler.head(code, Content_Length=0, **more)

    return fault


def ignore_range(handler: Handler) -> None:
    body = handler.server.files[handler.name]
    handler.head(200, Content_Length=len(body))
    handler.wfile.write(body)


def ignore_condition(handler: Handler) -> None:
    """A part of the new version, whatever version the client has the beginning of."""
    del handler.headers["If-Range"]
    serve(handler)


def wrong_range(handler: Handler) -> None:
    """As many bytes as were asked for, from another place."""
    body = handler.server.files[handler.name]
    count = len(body) - max(handler.start(body), 7)
    handler.head(206, Content_Range=f"bytes 7-{6 + count}/{len(body)}", Content_Length=count)
    handler.wfile.write(body[7 : 7 + count])


def wrong_bytes(handler: Handler) -> None:
    serve(handler, body=bytes(255 - b for b in handler.server.files[handler.name]))


def truncated(handler: Handler) -> None:
    """Half a file that looks like a whole one."""
    serve(handler, body=handler.server.files[handler.name][: half(handler)])


def more_than_announced(handler: Handler) -> None:
    body = handler.server.files[handler.name]
    handler.head(200, Content_Length=len(body))
    handler.wfile.write(body + b"more")
    handler.hang_up()


def endless(handler: Handler) -> None:
    handler.head(200, Transfer_Encoding="chunked")
    with contextlib.suppress(OSError):
        while not handler.server.over.is_set():
            handler.chunk(bytes(1 << 16))
    handler.hang_up()


def stall(handler: Handler) -> None:
    serve(handler, send=half(handler))
    handler.wfile.flush()
    handler.server.over.wait(20)


def stall_without_length(handler: Handler) -> None:
    serve(handler, send=half(handler), length=False)
    handler.wfile.flush()
    handler.server.over.wait(20)


def stall_before(handler: Handler) -> None:
    handler.hang_up()
    handler.server.over.wait(20)


def trickle(handler: Handler) -> None:
    body = handler.server.files[handler.name]
    handler.head(200, Content_Length=len(body))
    with contextlib.suppress(OSError):
        for at in range(len(body)):
            handler.wfile.write(body[at : at + 1])
            time.sleep(0.02)
            if handler.server.over.is_set():
                break
    handler.hang_up()


def redirect(to: str) -> Fault:
    return lambda handler: handler.head(302, Location=to, Content_Length=0)


def gzipped(handler: Handler) -> None:
    packed = gzip.compress(handler.server.files[handler.name])
    handler.head(200, Content_Encoding="gzip", Content_Length=len(packed))
    handler.wfile.write(packed)


def gzipped_cut(handler: Handler) -> None:
    packed = gzip.compress(handler.server.files[handler.name])
    handler.head(200, Content_Encoding="gzip", Content_Length=len(packed), ETag='"packed"')
    handler.wfile.write(packed[: len(packed) // 2])
    handler.hang_up()


def oddly_encoded(handler: Handler) -> None:
    handler.head(200, Content_Encoding="odd", Content_Length=3)
    handler.wfile.write(b"odd")


def then_changes(fault: Fault, body: bytes) -> Fault:
    """The fault, after which the file is another."""

    def changing(handler: Handler) -> None:
        fault(handler)
        handler.server.files[handler.name] = body

    return changing


def only_half(folder: Path, right: dict[str, bytes]) -> list[str]:
    """The files of a folder that have a final name without being right: there may be none, whatever happened.

    Args:
        right: the bytes of each file that may be there.
    """
    ours = ("checksums.json", "mirror.json")
    return [
        name
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith((".part", ".part.tag"))
        if (name := path.relative_to(folder).as_posix()) not in ours and path.read_bytes() != right.get(name)
    ]


def certified(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """TLS for a server at 127.0.0.1, and the file of the certificate that a client must trust for it."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    unsigned = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    signed = unsigned.add_extension(address, critical=True).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate, both = folder / "certificate.pem", folder / "server.pem"
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    both.write_bytes(private + certificate.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, certificate


@contextlib.contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    with Server(tls) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.over.set()
        server.shutdown()
