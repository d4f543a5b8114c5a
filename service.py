"""The service: `bentoml serve service:svc`, then open http://localhost:3000.

`POST /predict` takes a clip in the form field `file` and answers with what was recognised; `/` is the page. An upload
lives in a temporary file for the length of its request and nowhere after.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml
from _bentoml_impl.serde import ALL_SERDE, MultipartSerde  # type: ignore[import-untyped]
from bentoml._internal.context import request_temp_dir
from starlette.applications import Starlette
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mmer.media import MediaError
from mmer.recognizer import ModelError, Recognizer

WEB = Path(__file__).parent / "web"
MAX_BODY = int(float(os.environ.get("MMER_MAX_UPLOAD_MB", "64")) * 2**20)
"""Bytes of a request."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
#: What a bad upload is answered with, and what the sender can do.
ANSWERS = {
    "no_file": (422, "Send the clip itself in the form field 'file': curl -F file=@clip.mp4 …"),
    "not_media": (415, "Send a video, a sound or an image, such as mp4, webm, wav, mp3 or jpeg."),
    "refused": (415, "Send the clip itself: playlists and scripts that name other files are not opened."),
    "too_large": (413, "Send a shorter clip, or one of lower resolution."),
    "too_long": (413, "Cut the clip and send its parts."),
    "empty": (422, "The upload may have been cut off: send it again."),
    "truncated": (422, "The recording or the upload was cut off: send the whole file."),
    "no_stream": (422, "Send a clip with a picture or sound."),
    "timeout": (422, "Send a shorter clip, or one in a more common format."),
    "no_ffmpeg": (503, "The server lacks ffmpeg: its keeper must install it."),
}
NO_FILE = Path()
"""What `predict` is given where the form holds no file."""


def problem(code: str, message: str) -> dict[str, Any]:
    """The body of every refusal."""
    return {"error": {"code": code, "message": message, "hint": ANSWERS[code][1]}}


class Uploads(MultipartSerde):  # type: ignore[misc]
    """How a form becomes a file. BentoML's own way would fetch a URL that stands in place of the file, hold the whole
    file in memory and trust its name."""

    async def parse_request(self, request: Request, cls: Any) -> Any:
        """The arguments of `predict`."""
        try:
            form = await request.form(max_files=1, max_fields=8)
        except HTTPException:  # no form at all
            return cls.model_construct(file=NO_FILE)
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            return cls.model_construct(file=NO_FILE)
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in (upload.filename or ""))[-80:].lstrip(".-")
        path = Path(request_temp_dir()) / (name or "clip")
        with path.open("wb") as file:
            while block := await upload.read(2**20):
                file.write(block)
        return cls.model_construct(file=path)


ALL_SERDE["multipart/form-data"] = Uploads


class Gate:
    """ASGI middleware: no body above `MAX_BODY` comes in, whatever its headers claim, and to /predict only forms."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        too_large = JSONResponse(problem("too_large", f"the upload is larger than {MAX_BODY / 2**20:g} MB"), 413)
        claimed = headers.get("content-length", "")
        if claimed.isdecimal() and int(claimed) > MAX_BODY:
            return await too_large(scope, receive, send)
        if scope["path"] == "/predict" and not headers.get("content-type", "").startswith("multipart/form-data"):
            return await JSONResponse(problem("no_file", "the request is no multipart form"), 415)(scope, receive, send)
        taken, refused = 0, False

        async def bounded() -> Message:
            nonlocal taken, refused
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY and not refused:
                refused = True
                await too_large(scope, receive, send)
            return {"type": "http.disconnect"} if refused else message

        async def quiet(message: Message) -> None:
            if not refused:
                await send(message)

        await self.app(scope, bounded, quiet)


def _page() -> Starlette:
    """The page and its parts, each under its own route: a catch-all would hide BentoML's /docs.json."""

    def route(path: str, file: Path) -> Route:
        return Route(path, lambda _: FileResponse(file, headers=HEADERS))

    files = sorted(p for p in WEB.iterdir() if p.suffix in (".js", ".css", ".svg"))
    return Starlette(routes=[route("/", WEB / "index.html"), *(route(f"/{p.name}", p) for p in files)])


def _refuse(ctx: bentoml.Context, code: str, message: str) -> dict[str, Any]:
    ctx.response.status_code = ANSWERS[code][0]
    return problem(code, message)


@bentoml.service(name="mmer", threads=2, traffic={"timeout": 180})
class EmotionService:
    """Emotion from face, surroundings and voice."""

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    def check_model() -> None:
        """Before any worker starts: BentoML would start a worker that lacks its model again and again."""
        try:
            Recognizer.load()
        except ModelError as error:
            raise SystemExit(f"mmer: {error}") from None

    def __init__(self) -> None:
        self.recognizer = Recognizer.load()

    @bentoml.api(route="/predict")  # type: ignore[untyped-decorator]
    def predict(self, file: Path, ctx: bentoml.Context) -> dict[str, Any]:
        """Recognise the emotion in a video, a sound or an image.

        A bad upload is answered with 413, 415 or 422 and `{"error": {"code", "message", "hint"}}`.
        """
        if file == NO_FILE:
            return _refuse(ctx, "no_file", "the form has no file in its field 'file'")
        try:
            return {**self.recognizer.predict(file).to_json(), "path": file.name}
        except MediaError as error:
            return _refuse(ctx, error.code, str(error))


svc: Any = EmotionService
svc.mount_asgi_app(_page())
svc.add_asgi_middleware(Gate)
