"""The page and its parts, and the model's files for a page that recognises by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from mmer.recognizer import GRAPH, ModelInfo

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
    ".webmanifest": "application/manifest+json",
}
ORT = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm", "ort-wasm-simd-threaded.mjs")


def site_routes(web: Path, model: Path, info: ModelInfo) -> Iterator[BaseRoute]:
    """A route for each file: a catch-all would hide BentoML's own."""
    yield _file("/", web / "index.html")
    for path in sorted(web.rglob("*")):
        name = path.relative_to(web)
        if path.suffix in TYPES and path.is_file() and name.parts[0] != "node_modules":
            yield _file(f"/{name.as_posix()}", path)
    for part in (model / GRAPH, *sorted((model / "detector").glob("*.onnx"))):
        yield _file(f"/model/{part.relative_to(model).as_posix()}", part)
    yield Route("/model/info.json", _answer(JSONResponse, info.model_dump(mode="json")))
    card = model / "MODEL_CARD.md"
    if card.is_file():
        yield Route("/model/card.md", _answer(Response, card.read_text(), media_type="text/markdown; charset=utf-8"))
    runtime = web / "node_modules" / "onnxruntime-web" / "dist"
    for file in ORT:
        if (runtime / file).is_file():
            yield _file(f"/ort/{file}", runtime / file)


def _file(url: str, path: Path) -> Route:
    async def serve(_: Request) -> Response:
        return FileResponse(path, media_type=TYPES[path.suffix])

    return Route(url, serve)


def _answer(kind: type[Response], content: object, media_type: str | None = None) -> Serve:
    async def serve(_: Request) -> Response:
        return kind(content, media_type=media_type)

    return serve
