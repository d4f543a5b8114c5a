"""ASGI middleware before everything: the key, origins, bodies within size and time, and headers on every answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mmer.serving import answers
from mmer.serving.settings import Settings

GUARDED = ("/predict", "/infer")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; worker-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(), display-capture=()",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Gate:
    """Lets a request through, or answers it.

    Args:
        app: what is behind it.
        settings: the limits.
        refused: told the code of each refusal, to be counted.
    """

    def __init__(self, app: ASGIApp, settings: Settings, refused: Callable[[str], None]) -> None:
        self.app, self._settings, self._refused = app, settings, refused
        self._here = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        foreign = origin in self._settings.origins

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    found.setdefault(name, value)
                found.setdefault("Cache-Control", "no-cache" if scope["method"] == "GET" else "no-store")
                if foreign:
                    found["Access-Control-Allow-Origin"] = str(origin)
                    found["Cross-Origin-Resource-Policy"] = "cross-origin"
                    found.add_vary_header("Origin")
            await send(message)

        guarded = scope["path"] in GUARDED
        if guarded and scope["method"] == "OPTIONS" and foreign:
            allow = {"Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "X-API-Key, Content-Type"}
            return await Response(status_code=204, headers=allow)(scope, receive, with_headers)
        if guarded and scope["method"] != "POST":
            return await self._refuse("method", f"{scope['path']} takes POST", scope, receive, with_headers)
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if guarded and not self._settings.allows(key or None):
            return await self._refuse("key", "the API key is missing or wrong", scope, receive, with_headers)
        if scope["path"] == "/predict" and not headers.get("content-type", "").startswith("multipart/form-data"):
            return await self._refuse("no_form", "the request is no multipart form", scope, receive, with_headers)
        if not guarded:
            return await self._bounded(scope, receive, with_headers, headers)
        if self._here >= self._settings.uploads:
            return await self._refuse("busy", f"{self._here} requests are being taken", scope, receive, with_headers)
        self._here += 1
        try:
            await self._bounded(scope, receive, with_headers, headers)
        finally:
            self._here -= 1

    async def _bounded(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        """No body above the limit comes in, whatever its headers claim, and none takes for ever."""
        limit = int(self._settings.max_upload_mb * 2**20)
        too_large = f"the body is larger than {limit / 2**20:g} MB"
        too_slow = f"the body took longer than {self._settings.upload_s:g} s"
        claimed = headers.get("content-length", "")
        if claimed.isdecimal() and int(claimed) > limit:
            return await self._refuse("too_large", too_large, scope, receive, send)
        taken, refused, begun = 0, False, False
        deadline = time.monotonic() + self._settings.upload_s
        whole = False

        async def bounded() -> Message:
            nonlocal taken, refused, whole
            if refused:
                return {"type": "http.disconnect"}
            if whole:  # the application waits for the client to go
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                refused = True
                if not begun:
                    await self._refuse("slow", too_slow, scope, receive, send)
                return {"type": "http.disconnect"}
            taken += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if taken > limit:
                refused = True
                if not begun:
                    await self._refuse("too_large", too_large, scope, receive, send)
                return {"type": "http.disconnect"}
            return message

        async def once(message: Message) -> None:
            nonlocal begun
            if not refused:
                begun = True
                await send(message)

        await self.app(scope, bounded, once)

    async def _refuse(self, code: str, message: str, scope: Scope, receive: Receive, send: Send) -> None:
        self._refused(code)
        headers = {"Retry-After": "5"} if answers.status(code) in (429, 503) else {}
        if code == "method":
            headers["Allow"] = "POST"
        if code == "key":
            headers["WWW-Authenticate"] = "Bearer"
        await JSONResponse(answers.problem(code, message), answers.status(code), headers)(scope, receive, send)
