"""The models that are served: one for good, or those that a folder of versions names, which may change under way.

A stream stays with the model that it began with, whose state it holds; a model goes when its last stream has ended.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mmer.runtime.graph import Graph, ModelError, ModelInfo, find_model
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.types import Arrays
from mmer.runtime.versions import SERVED, open_version, read_served
from mmer.serving.watch import Watch

EVERY_S = 1.0
"""Between looks at whether others are to be served."""


class Pass(NamedTuple):
    """To be made through a version's graph, which stays open as long as this is there."""

    version: str
    graph: Graph
    arrays: Arrays


Forward = Callable[[Pass], Arrays]


@dataclass(frozen=True)
class Source:
    """Where models come from: `graph`, or the versions of `folder`."""

    graph: Path
    folder: Path | None = None

    @classmethod
    def find(cls) -> Source:
        """That of `$MMER_MODEL`, else the default model.

        Raises:
            ModelError: there is none that can be opened.
        """
        named = os.environ.get("MMER_MODEL")
        if not named or not (Path(named) / SERVED).is_file():
            return cls(Graph(find_model()).path)
        folder, served = Path(named), read_served(Path(named))
        try:
            return cls(Graph(find_model(folder / served.production)).path, folder)
        except ModelError:
            if served.previous is None:
                raise
            return cls(Graph(find_model(folder / served.previous)).path, folder)

    def path(self, version: str) -> Path:
        """The graph of a version."""
        return find_model(self.folder / version) if self.folder else self.graph


@dataclass(frozen=True)
class Model:
    """A version, open. A model that came alone is called as its folder is."""

    version: str
    recognizer: Recognizer

    def through(self, arrays: Arrays) -> Pass:
        """A pass through it."""
        return Pass(self.version, self.recognizer.graph, arrays)


class Share:
    """Says of each that comes whether it is of a share: of a hundred, so many to a one."""

    def __init__(self, share: float) -> None:
        self.share, self._owed = share, 0.0

    def next(self) -> bool:
        """Whether this one is."""
        self._owed += self.share
        if self._owed < 1 - 1e-9:
            return False
        self._owed -= 1
        return True


class Models:
    """Those that are served now.

    Args:
        forward: makes passes, from any thread.

    Raises:
        ModelError: none can be.
    """

    def __init__(self, source: Source, forward: Forward, watch: Watch) -> None:
        self._folder, self._forward, self._watch = source.folder, forward, watch
        self._open_still: weakref.WeakValueDictionary[str, Model] = weakref.WeakValueDictionary()
        self._stamp = self._look()
        self._share = Share(0)
        self.production: Model
        """What answers whoever is not in the canary's share, and all files."""
        self.canary: Model | None = None
        if self._folder is None:
            self.production = self._serve(source.graph.resolve().parent.name, Recognizer.load(source.graph))
            self._tell()
        else:
            self._begin(self._folder)

    def pick(self) -> Model:
        """For a new stream."""
        return self.canary if self.canary is not None and self._share.next() else self.production

    async def follow(self) -> None:
        """Serve what the folder names, whenever that changes; without one there is nothing to do."""
        while self._folder is not None:
            await asyncio.sleep(EVERY_S)
            if (stamp := self._look()) != self._stamp:
                self._stamp = stamp
                await asyncio.to_thread(self._change, self._folder)

    def _look(self) -> tuple[int, int] | None:
        """Another one where the folder's file is another one."""
        try:
            found = (self._folder / SERVED).stat() if self._folder else None
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns) if found else None

    def _begin(self, folder: Path) -> None:
        served, refused = read_served(folder), None
        try:
            self.production = self._open(folder, served.production)
        except ModelError as error:
            if served.previous is None:
                raise
            self.production, refused = self._open(folder, served.previous), str(error)
        self._try(folder, served.canary, served.share, refused or served.refused)

    def _change(self, folder: Path) -> None:
        try:
            served = read_served(folder)
            self.production = self._open(folder, served.production, self.production.recognizer.info)
        except Exception as error:  # whatever is wrong with a new one, the old one is served
            self._watch.model_refused(str(error))
        else:
            self._try(folder, served.canary, served.share, served.refused)

    def _try(self, folder: Path, canary: str | None, share: float, refused: str | None) -> None:
        try:
            info = self.production.recognizer.info
            self.canary = self._open(folder, canary, info) if canary not in (None, self.production.version) else None
        except Exception as error:
            self.canary, refused = None, str(error)
        self._share = Share(share if self.canary else 0)
        self._tell(refused)

    def _open(self, folder: Path, version: str, like: ModelInfo | None = None) -> Model:
        if (model := self._open_still.get(version)) is not None:
            return model
        opened = self._serve(version, open_version(folder, version, like))
        if like is not None:  # then the network's process is there, and opens it now, before anybody waits for it
            opened.recognizer.forward(opened.recognizer.stream().begin().arrays)
        return opened

    def _serve(self, version: str, found: Recognizer) -> Model:
        def forward(arrays: Arrays) -> Arrays:
            return self._forward(Pass(version, found.graph, arrays))

        model = self._open_still[version] = Model(version, Recognizer(found.graph, found.detector, forward))
        return model

    def _tell(self, refused: str | None = None) -> None:
        shares = {self.production.version: 1 - self._share.share}
        if self.canary is not None:
            shares[self.canary.version] = self._share.share
        self._watch.served(shares)
        self._watch.model_refused(refused)
