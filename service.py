"""The service: `bentoml serve service:svc`, then open http://localhost:3000.

`POST /predict` takes a clip in the form field `file`; `/stream` is a WebSocket for live pictures and voice
(docs/protocol.md); `POST /infer` takes tensors; `/` is the page. All three send their passes through the network to
`Network`, where those of different clients form batches. Settings are environment variables (docs/deploy.md).
"""

from __future__ import annotations

import asyncio
import functools
import os
import time
from pathlib import Path
from typing import Any

import aiohttp
import bentoml
import numpy as np
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from mmer.runtime.graph import Graph, ModelError
from mmer.runtime.media import MediaError
from mmer.runtime.types import Arrays
from mmer.serving import answers
from mmer.serving.drain import refuse_when_told_to_stop
from mmer.serving.gate import Gate
from mmer.serving.gather import Gathered
from mmer.serving.models import Models, Pass, Source
from mmer.serving.openapi import document
from mmer.serving.predict import Predictions, read_calibration, read_query
from mmer.serving.protocol import Refusal
from mmer.serving.settings import SettingsError, read_settings
from mmer.serving.site import site_routes
from mmer.serving.stream import Streams
from mmer.serving.tensors import read_tensors, write_tensors
from mmer.serving.uploads import NO_FILE, SEVERAL_FILES, forget, forget_orphans, take_over_forms
from mmer.serving.watch import Watch

WEB = Path(__file__).parent / "web"
try:
    SETTINGS = read_settings()
    SOURCE = Source.find()
except (SettingsError, ModelError) as error:  # BentoML would show the whole way here
    raise SystemExit(f"mmer: {error}") from None
RETRIES_S = (0.1, 0.5, 1)
"""Between attempts to reach the network's process; then passes are made in this one, until it is back."""
CALL_S = 5
"""For a call to it, a hundred times as long as one takes; then passes are made in this one too."""
OPEN = 4
"""Versions that the network's process holds at once; one more is opened anew when it is asked for."""
take_over_forms()
# BentoML begins a span for each message of each stream: a quarter of the time, for whoever did not ask for tracing.
os.environ.setdefault("BENTOML_CONFIG_OPTIONS", "tracing.excluded_urls=.*")
# For the workers, which begin after this: glibc's malloc would have a heap for each thread, and keep what each freed.
os.environ.setdefault("MALLOC_ARENA_MAX", "2")


@bentoml.service(
    name="mmer-network",
    workers=1,
    threads=1,
    # BentoML's client drops its session after 100 requests, with those under way: never.
    runner_connection={"max_requests": 10**9, "max_age": 1e9},
    logging={"access": {"enabled": False}},
    traffic={"timeout": 60},
)
class Network:
    """The graph alone. Private: it is reached through a Unix socket and takes pickled arrays."""

    def __init__(self) -> None:
        self.open = functools.lru_cache(OPEN)(lambda version: Graph(SOURCE.path(version)))

    # max_latency_ms is no waiting time but a limit above which calls are refused: several times the largest batch's.
    @bentoml.api(batchable=SETTINGS.batching == "on", max_batch_size=16, max_latency_ms=5000)  # type: ignore[untyped-decorator]
    def infer(self, passes: list[Any]) -> list[Any]:
        """Make passes, each a version and what goes in; those of one version and of as many steps go through the graph
        together.
        """
        found: list[Any] = [None] * len(passes)
        alike: dict[tuple[str, int], list[int]] = {}
        for k, (version, arrays) in enumerate(passes):
            alike.setdefault((version, arrays["present"].shape[1]), []).append(k)
        for (version, _), members in alike.items():
            graph = self.open(version)
            together = {name: np.concatenate([passes[k][1][name] for k in members]) for name in graph.inputs}
            result, first = graph(together), 0
            for k in members:
                last = first + len(passes[k][1]["present"])
                found[k] = {name: array[first:last] for name, array in result.items()}
                first = last
        return found


# `distro` is none that BentoML knows, for it would put a compiler and git into the image: 400 MB that nobody needs.
IMAGE = bentoml.images.Image(base_image="python:3.11-slim", distro="slim").run(
    "apt-get update && apt-get install -y --no-install-recommends ffmpeg"
    " && apt-get clean && rm -rf /var/lib/apt/lists/*"
)


@bentoml.service(
    name="mmer",
    image=IMAGE,
    workers=1,
    threads=2,
    traffic={"timeout": 180},
    logging={"access": {"enabled": False}},
)
class EmotionService:
    """Emotion from face, surroundings and voice."""

    network = bentoml.depends(Network)

    def __init__(self) -> None:
        forget_orphans()
        self.watch = Watch()
        self.models = Models(SOURCE, self._forward_from_thread, self.watch)
        self.streams = Streams(self.models, Gathered(self._infer_all), SETTINGS, self.watch)
        self.predictions = Predictions(self.models, SETTINGS, self.watch)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answered = False

    async def infer(self, one: Pass) -> Arrays:
        """One pass, in a batch with others."""
        return (await self._infer_all([one]))[0]

    async def _infer_all(self, passes: list[Pass]) -> list[Arrays]:
        wanted = [(one.version, {name: one.arrays[name] for name in one.graph.inputs}) for one in passes]
        for wait in (*RETRIES_S, None):
            try:
                async with asyncio.timeout(CALL_S):
                    found: list[Arrays] = await self.network.to_async.infer(wanted)
                return found
            except TimeoutError:  # it was told to stop, and this call came a moment too late to be taken or refused
                break
            except aiohttp.ClientError:  # the network's process is gone; a pass changes nothing, so make it again
                if wait is not None:
                    await asyncio.sleep(wait)
        self.watch.network_lost.inc()
        # It is being started anew; or all were told to stop, and it, which had nothing to finish, has.
        return await asyncio.to_thread(lambda: [one.graph(one.arrays) for one in passes])

    def _forward_from_thread(self, one: Pass) -> Arrays:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(self.infer(one), self._loop).result()

    async def __is_ready__(self) -> bool:
        """Once the graph has answered, by the same way as for everybody."""
        if not self._answered:
            model = self.models.production
            await self.infer(model.through(model.recognizer.stream().begin().arrays))
            self._answered = True
        return self._answered

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def begin(self) -> None:
        """Threads hand their passes to it."""
        self._loop = asyncio.get_running_loop()
        self._follow = asyncio.create_task(self.models.follow())
        refuse_when_told_to_stop()

    @bentoml.api(route="/predict")  # type: ignore[untyped-decorator]
    async def predict(self, file: Path, ctx: bentoml.Context, calibration: str | None = None) -> dict[str, Any]:
        """Recognise the emotion in a video, a sound or an image: /docs.json tells everything."""
        try:
            if file == NO_FILE:
                raise Refusal("no_file", "the form has no file in its field 'file'")
            if file == SEVERAL_FILES:
                raise Refusal("several_files", "the form has more than one file")
            query = read_query(ctx.request.query_params)
            return await self.predictions(file, query, read_calibration(calibration))
        except (Refusal, MediaError) as error:
            self.watch.refused(error.code)
            ctx.response.status_code = answers.status(error.code)
            if error.code == "busy":
                ctx.response.headers["Retry-After"] = "5"
            return answers.problem(error.code, str(error))
        finally:
            forget(file)


def _service() -> EmotionService:
    found: EmotionService = bentoml.get_current_service()
    return found


def _graph() -> Graph:
    """Of the model that is served now."""
    return _service().models.production.recognizer.graph


async def _infer(request: Request) -> Response:
    service = _service()
    model, start = service.models.production, time.perf_counter()
    try:
        found = await service.infer(model.through(read_tensors(await request.body(), model.recognizer.graph)))
    except ClientDisconnect:  # nobody is left to hear of it, or the gate has answered already
        return Response(status_code=400)
    except Refusal as error:
        service.watch.refused(error.code)
        return JSONResponse(answers.problem(error.code, str(error)), answers.status(error.code))
    service.watch.phase("tensors", model.version, "network", time.perf_counter() - start)
    return Response(write_tensors(found), media_type="application/octet-stream")


async def _stream(socket: Any) -> None:
    await _service().streams(socket)


@functools.cache
def _document() -> dict[str, Any]:
    return document(_graph().info, SETTINGS)


async def _docs(_: Request) -> Response:
    return JSONResponse(_document())


async def _nothing(request: Request) -> Response:
    problem = answers.problem("not_found", f"there is no {request.url.path[:80]}")
    return JSONResponse(problem, answers.status("not_found"))


svc: Any = EmotionService
svc.mount_asgi_app(
    Starlette(
        routes=[
            Route("/infer", _infer, methods=["POST"]),
            WebSocketRoute("/stream", _stream),
            Route("/docs.json", _docs),
            *site_routes(WEB, SOURCE.graph.parent, _graph),
            Route("/{path:path}", _nothing),  # after BentoML's own, except its pages about itself
        ],
    )
)
svc.add_asgi_middleware(Gate, settings=SETTINGS, refused=lambda code: _service().watch.refused(code))
