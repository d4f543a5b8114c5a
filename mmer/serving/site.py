"""The page and its parts, and the model's files for a page that recognises by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from mmer.runtime.graph import GRAPH, SMALL_GRAPH, Graph
from mmer.serving.documents import render

Serve = Callable[[Request], Awaitable[Response]]
Find = Callable[[], Path]
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


def site_routes(web: Path, model: Path, graph: Callable[[], Graph]) -> Iterator[BaseRoute]:
    """A route for each file: a catch-all would hide BentoML's own.

    Args:
        model: the folder of the model that is served at first: its card is shown.
        graph: of the model that is served now, when a request comes.
    """
    yield _file("/", web / "index.html")
    for folder in (web, web / "runtime", web / "device", web / "samples"):
        for path in sorted(folder.iterdir()):
            if path.suffix in TYPES and path.suffix != ".mjs":  # a tool's settings
                yield _file(f"/{path.relative_to(web).as_posix()}", path)
    names = [f"detector/{path.name}" for path in sorted((model / "detector").glob("*.onnx"))]
    graphs: dict[str, Find] = {
        f"model/{GRAPH}": lambda: graph().path,
        f"model/{SMALL_GRAPH}": partial(_beside, graph, SMALL_GRAPH),
    }
    parts: dict[str, Find] = {f"model/{name}": partial(_beside, graph, name) for name in names}
    runtime = web / "node_modules" / "onnxruntime-web" / "dist"
    if all((runtime / name).is_file() for name in RUNTIME):
        parts |= {f"ort/{name}": partial(Path, runtime / name) for name in RUNTIME}
    for url, find in (graphs | parts).items():
        yield _file(f"/{url}", find)
    yield Route("/device/parts.json", _answer(lambda: _offered(graph(), parts) if f"ort/{RUNTIME[0]}" in parts else []))
    card = model / "MODEL_CARD.md"
    known = {"card": card.is_file()}
    yield Route(
        "/model/info.json", _answer(lambda: {**graph().info.model_dump(mode="json"), "id": graph().info.id} | known)
    )
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


def _packed(path: Path, accepted: str = "br, gzip") -> tuple[str, Path] | None:
    """How the same file lies there made smaller, and where: `make page` does that to what is large and shrinks."""
    ways = (("br", path.with_name(path.name + ".br")), ("gzip", path.with_name(path.name + ".gz")))
    return next(((how, packed) for how, packed in ways if how in accepted and packed.is_file()), None)


def _part(url: str, path: Path) -> dict[str, str | int]:
    """A file with its bytes, and its bytes on the line to a browser (without https none takes `br`)."""
    _, packed = _packed(path) or ("", path)
    return {"url": url, "bytes": path.stat().st_size, "sent": packed.stat().st_size}


def _offered(graph: Graph, parts: Mapping[str, Find]) -> list[dict[str, str | int]]:
    """What a page may fetch: the graph that is served, that of int8 weights where it lies beside it, and the rest."""
    small = graph.path.with_name(SMALL_GRAPH)
    graphs = [(f"model/{GRAPH}", graph.path, graph.info.weights)]
    if graph.path.name == GRAPH and small.is_file():
        graphs.append((f"model/{SMALL_GRAPH}", small, "int8"))
    return [
        *(_part(url, path) | {"weights": weights} for url, path, weights in graphs),
        *(_part(url, find()) for url, find in parts.items()),
    ]


def _beside(graph: Callable[[], Graph], name: str) -> Path:
    """A file of the model that is served now."""
    return graph().path.parent / name


def _file(url: str, found: Path | Find) -> Route:
    async def serve(request: Request) -> Response:
        path = found if isinstance(found, Path) else found()
        headers = {"Vary": "Accept-Encoding"} if _packed(path) else {}
        how, sent = _packed(path, request.headers.get("accept-encoding", "")) or ("", path)
        if not sent.is_file():  # the model that is served now lacks it
            raise HTTPException(404)
        if how:
            headers["Content-Encoding"] = how
        answer = FileResponse(
            sent, headers=headers, media_type=TYPES.get(path.suffix, TYPES[".md"]), stat_result=sent.stat()
        )
        if request.headers.get("if-none-match") == answer.headers["etag"]:
            return Response(status_code=304, headers={"ETag": answer.headers["etag"]})
        return answer

    return Route(url, serve, middleware=DEFLATED if Path(url).suffix in TEXT or url == "/" else None)


def _answer(content: Callable[[], object]) -> Serve:
    async def serve(_: Request) -> Response:
        return JSONResponse(content())

    return serve
