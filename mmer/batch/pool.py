"""Clips recognised in several processes. Each holds the model; none that dies takes more with it than its own clip."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from mmer.batch.told import Told, own_files, refuse, tell
from mmer.errors import MmerError
from mmer.runtime.calibration import Calibration
from mmer.runtime.memory import give_back
from mmer.runtime.recognizer import Recognizer


class DiedError(MmerError):
    """A process died of a clip."""

    code = "died"


@dataclass(frozen=True)
class Job:
    """How clips are recognised."""

    model: Path | None
    start_s: float = 0.0
    end_s: float | None = None
    calibration: Calibration | None = None
    """Of who is in all of them."""


@dataclass(frozen=True)
class Item:
    """A clip."""

    clip: Path
    plot: Path | None = None
    """Where its timeline is drawn."""


def recognised(items: Iterable[Item], job: Job, processes: int) -> Generator[tuple[Item, Told], None, None]:
    """Each clip with what is told of it, as they are done. An iterator that is closed early ends its processes."""
    left = deque(items)
    while left:
        suspects = yield from _pool(left, job, processes)
        for item in suspects:  # a process died of one of these: each gets one for itself
            if (yield from _pool(deque([item]), job, 1)):
                yield item, refuse(item.clip, DiedError("the process that recognised it died; memory may be short"))


def _pool(left: deque[Item], job: Job, processes: int) -> Generator[tuple[Item, Told], None, list[Item]]:
    """As `recognised`; ends when nothing is left, or when a process dies: then returns what was in the pool."""
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # a copy of this process would share its locks and threads
    pool = ProcessPoolExecutor(min(processes, len(left)), context, initializer=_begin, initargs=(job,))
    given: dict[Future[Told], Item] = {}
    try:
        while left or given:
            while left and len(given) < 2 * processes:
                given[pool.submit(_recognise, left[0])] = left[0]
                left.popleft()
            for future in wait(given, return_when=FIRST_COMPLETED).done:
                told = future.result()
                yield given.pop(future), told
    except BrokenProcessPool:
        return list(given.values())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
    return []


class _Worker:
    """What a process of the pool keeps from clip to clip."""

    job: Job
    recognizer: Recognizer


def _begin(job: Job) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits, which ends this one
    Thread(target=_end_with_parent, daemon=True).start()
    _Worker.job, _Worker.recognizer = job, own_files(job.model)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _recognise(item: Item) -> Told:
    job = _Worker.job
    try:
        prediction = _Worker.recognizer.predict(
            item.clip,
            keep_crops=item.plot is not None,
            start_s=job.start_s,
            end_s=job.end_s,
            calibration=job.calibration,
        )
        if item.plot is not None:
            from mmer.plots.timeline import plot_timeline

            part = item.plot.with_stem(f"{item.plot.stem}.part")
            plot_timeline(prediction, part)
            part.replace(item.plot)  # it appears whole or not at all
        return tell(prediction)
    except (MmerError, OSError) as error:
        return refuse(item.clip, error)
    except Exception as error:  # whatever one clip meets, the others go on
        return refuse(item.clip, RuntimeError(f"{type(error).__name__}: {error}"))
    finally:
        give_back()
