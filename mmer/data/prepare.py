"""Corpora prepared, clip by clip and in parallel: files to frames (extract), frames to samples (crop).

One policy for both: a bad clip is reported with its reason and skipped, until there are too many; trouble of the
machine (a full disk, missing ffmpeg) stops the work at once.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from os import cpu_count, environ
from pathlib import Path
from typing import Any, TypedDict

import cv2

from mmer.config import Prepare
from mmer.data.clips import MANIFEST, Clip, write_manifest
from mmer.errors import MmerError
from mmer.files import write_whole

REPORT = "report.json"
INSTALL = "`pip install 'mmer[cluster]'`, on all machines of the cluster"
ASKS = "set RAY_AUTH_MODE=token, and have its head's ~/.ray/auth_token here, or RAY_AUTH_TOKEN"
RETRIES = 3
"""How often a clip whose worker died is given to another one: as often as Dask does."""
KILLED = "a worker was killed, most likely for want of memory: lower prepare.workers and run again"


class PrepareError(MmerError):
    """A corpus cannot be prepared; the message says why and what to do."""


class Bad(TypedDict):
    """A clip that was skipped."""

    clip_id: str
    path: str
    reason: str


class Report(TypedDict):
    """What became of a corpus."""

    corpus: str
    clips: int
    """Prepared."""
    listed: int
    """Found in the raw folder; those that are not prepared are in `bad`, of this step and the one before."""
    bad: list[Bad]
    hours: float
    """Of the prepared clips together."""


def _attempt(work: Callable[[Clip], Clip], clip: Clip) -> Clip | Bad:
    """Runs in a worker: a clip prepared, or why it cannot be."""
    cv2.setNumThreads(1)  # the workers are the parallelism
    try:
        return work(clip)
    except PrepareError:
        raise
    except MmerError as error:
        return Bad(clip_id=clip.clip_id, path=clip.path, reason=str(error))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, cv2.error) as error:
        return Bad(clip_id=clip.clip_id, path=clip.path, reason=f"{type(error).__name__}: {error}")


def prepare(
    name: str, clips: Sequence[Clip], work: Callable[[Clip], Clip], out: Path, rules: Prepare, report: Report
) -> None:
    """Do `work` on each clip in parallel, then write the report and, last, the manifest: where it is, all is done."""
    from tqdm import tqdm

    out.mkdir(parents=True, exist_ok=True)
    done: list[Clip] = []
    bad = list(report["bad"])
    run = {"loky": _on_joblib, "dask": _on_dask, "ray": _on_ray}[rules.backend]
    try:
        for result in tqdm(run(work, clips, rules), total=len(clips), desc=name, unit="clip"):
            if isinstance(result, Clip):
                done.append(result)
            else:
                bad.append(result)
        bad.sort(key=lambda entry: entry["clip_id"])
        hours = sum(clip.duration_s for clip in sorted(done, key=lambda clip: clip.clip_id)) / 3600
        report |= {"clips": len(done), "bad": bad, "hours": hours}
        write_whole(out / REPORT, lambda part: part.write_text(json.dumps(report, indent=2) + "\n"))
        _refuse_too_many(report, rules.max_bad_fraction, out)
        write_whole(out / MANIFEST, lambda part: write_manifest(part, done))
    except OSError as error:
        what = f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
        raise PrepareError(f"{name} cannot be prepared in {out}: {what}; set that right and run again") from error


def _on_joblib(work: Callable[[Clip], Clip], clips: Sequence[Clip], rules: Prepare) -> Iterator[Clip | Bad]:
    """What becomes of each clip, as it comes, from the processes of this machine."""
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    pool = Parallel(n_jobs=rules.workers, backend="loky", return_as="generator_unordered")
    try:
        yield from pool(delayed(_attempt)(work, clip) for clip in clips)
    except TerminatedWorkerError:
        raise PrepareError(KILLED) from None


def _on_dask(work: Callable[[Clip], Clip], clips: Sequence[Clip], rules: Prepare) -> Iterator[Clip | Bad]:
    """The same from a Dask cluster: the one that DASK_SCHEDULER_ADDRESS names, else one of this machine's processes.

    Dask is asked itself: joblib's way to it waits for ever where a clip kills each worker that tries it.
    """
    try:
        import dask
        from distributed import Client, KilledWorker, as_completed
    except ImportError:
        raise PrepareError(f"prepare.backend is dask, which is not installed: {INSTALL}") from None
    workers = _workers(rules)
    address = dask.config.get("scheduler-address", None)
    try:
        client = Client(address) if address else Client(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    except OSError as error:
        raise PrepareError(f"no Dask scheduler answers at DASK_SCHEDULER_ADDRESS={address}: {error}") from None
    with client:
        try:
            results = client.map(partial(_attempt, work), clips, pure=False)
            yield from (result for _, result in as_completed(results, with_results=True))
        except KilledWorker:
            raise PrepareError(KILLED) from None


def _on_ray(work: Callable[[Clip], Clip], clips: Sequence[Clip], rules: Prepare) -> Iterator[Clip | Bad]:
    """The same from a Ray cluster: the one that RAY_ADDRESS names, else one of this machine's processes.

    Ray is asked itself: joblib's way to it gives all results at the end.
    """
    try:
        import ray
        from ray.exceptions import (
            AuthenticationError,
            NodeDiedError,
            OutOfMemoryError,
            RayTaskError,
            WorkerCrashedError,
        )
    except ImportError:
        raise PrepareError(f"prepare.backend is ray, which is not installed: {INSTALL}") from None
    address = environ.get("RAY_ADDRESS")
    cores = None if address else _workers(rules)
    try:
        ray.init(address, num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level="error")
    except (ConnectionError, AuthenticationError) as error:
        if "AuthToken" in f"{error.__cause__}" or isinstance(error, AuthenticationError):
            raise PrepareError(f"the Ray cluster at RAY_ADDRESS={address} wants its token: {ASKS}") from None
        raise PrepareError(f"no Ray cluster answers at RAY_ADDRESS={address}: {error}") from None
    try:
        attempt = ray.remote(max_retries=RETRIES)(_attempt)
        shared, coming = ray.put(work), iter(clips)
        running: list[Any] = []
        room = 2 * int(ray.cluster_resources()["CPU"])  # enough to keep all busy; the rest need not be known to Ray yet
        while running := [*running, *(attempt.remote(shared, c) for c in islice(coming, room - len(running)))]:
            done, running = ray.wait(running)
            yield from ray.get(done)
    except RayTaskError as error:
        raise error.cause from None
    except (WorkerCrashedError, OutOfMemoryError, NodeDiedError):
        raise PrepareError(KILLED) from None
    finally:
        ray.shutdown()


def _workers(rules: Prepare) -> int:
    return (cpu_count() or 1) if rules.workers < 0 else rules.workers


def _refuse_too_many(report: Report, limit: float, out: Path) -> None:
    bad, listed = report["bad"], report["listed"]
    if len(bad) <= limit * listed and report["clips"]:
        return
    first = "".join(f"\n  {entry['clip_id']}: {entry['reason']}" for entry in bad[:5])
    raise PrepareError(
        f"{len(bad)} of {listed} clips of {report['corpus']} are bad; prepare.max_bad_fraction allows {limit:.0%}. "
        f"All are in {out / REPORT}; the first:{first}"
    )
