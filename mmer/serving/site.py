"""The page and its parts, and the model's files for a page that recognises by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from mmer.runtime.graph import GRAPH, ModelInfo
from mmer.serving.documents import render

Serve = Callable[[Request], Awaitable[Response]]
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".mp4": "video/mp4",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
    ".md": "text/plain; charset=utf-8",  # which every browser shows
    ".webmanifest": "application/manifest+json",
}
TEXT = {".html", ".js", ".css", ".svg", ".md"}
DEFLATED = [Middleware(GZipMiddleware, minimum_size=1000, compresslevel=6)]
"""For text, a third of its size on the line."""
RUNTIME = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
"""onnxruntime-web: the module for WASM alone, which holds the loader of the one binary that it needs."""

SWAGGER = ("swagger-ui.css", "swagger-ui-bundle.js")
"""Swagger UI, as BentoML brings it for its own page."""


def site_routes(web: Path, model: Path, info: ModelInfo) -> Iterator[BaseRoute]:
    """A route for each file: a catch-all would hide BentoML's own."""
    yield _file("/", web / "index.html")
    for folder in (web, web / "runtime", web / "device", web / "samples"):
        for path in sorted(folder.iterdir()):
            if path.suffix in TYPES and path.suffix != ".mjs":  # a tool's settings
                yield _file(f"/{path.relative_to(web).as_posix()}", path)
    graphs = [model / GRAPH, *sorted((model / "detector").glob("*.onnx"))]
    parts = {f"model/{path.relative_to(model).as_posix()}": path for path in graphs}
    runtime = web / "node_modules" / "onnxruntime-web" / "dist"
    if all((runtime / name).is_file() for name in RUNTIME):
        parts |= {f"ort/{name}": runtime / name for name in RUNTIME}
    for url, path in parts.items():
        yield _file(f"/{url}", path)
    whole = [{"url": url, "bytes": path.stat().st_size, "sent": _sent(path)} for url, path in parts.items()]
    yield Route("/device/parts.json", _answer(whole if f"ort/{RUNTIME[0]}" in parts else []))
    card = model / "MODEL_CARD.md"
    yield Route("/model/info.json", _answer(info.model_dump(mode="json") | {"id": info.id, "card": card.is_file()}))
    if card.is_file():
        yield from _document(
            "/model/card", card, beside=[*(model / "figures").glob("*.png"), model / "LICENSE-WEIGHTS"]
        )
    protocol = web.parent / "docs" / "protocol.md"
    if protocol.is_file():
        yield from _document("/protocol", protocol)
    yield _file("/docs", web / "docs.html")
    for name in SWAGGER:
        yield _file(f"/swagger/{name}", Path(str(files("bentoml"))) / "_internal" / "server" / "static_content" / name)


def _document(url: str, path: Path, beside: Sequence[Path] = ()) -> Iterator[Route]:
    """A document as a page, as the text that it is, and what it shows or leads to."""
    folder = url.rpartition("/")[0]
    found = {file.relative_to(path.parent).as_posix(): file for file in beside if file.is_file()}
    for name, file in found.items():
        yield _file(f"{folder}/{name}", file)
    yield _file(f"{url}.md", path)
    source = f"{url.rpartition('/')[2]}.md"
    page = render(path, source, "../" * folder.count("/") or "./", found)

    async def serve(_: Request) -> Response:
        return HTMLResponse(page)

    yield Route(url, serve, middleware=DEFLATED)


def _packed(path: Path) -> Path:
    """The same file, deflated: `make page` makes one of what is large and shrinks."""
    return path.with_name(path.name + ".gz")


def _sent(path: Path) -> int:
    """Bytes on the line, to a browser."""
    packed = _packed(path)
    return (packed if packed.is_file() else path).stat().st_size


def _file(url: str, path: Path) -> Route:
    async def serve(request: Request) -> Response:
        packed, headers = _packed(path), {}
        if packed.is_file():
            headers["Vary"] = "Accept-Encoding"
            if "gzip" in request.headers.get("accept-encoding", ""):
                headers["Content-Encoding"] = "gzip"
        found = packed if "Content-Encoding" in headers else path
        answer = FileResponse(
            found, headers=headers, media_type=TYPES.get(path.suffix, TYPES[".md"]), stat_result=found.stat()
        )
        if request.headers.get("if-none-match") == answer.headers["etag"]:
            return Response(status_code=304, headers={"ETag": answer.headers["etag"]})
        return answer

    return Route(url, serve, middleware=DEFLATED if path.suffix in TEXT else None)


def _answer(content: object) -> Serve:
    async def serve(_: Request) -> Response:
        return JSONResponse(content)

    return serve
