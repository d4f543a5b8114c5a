"""From MLflow's registry to services: which version is promoted, and a folder that follows it (mmer.runtime.versions).

The registry's aliases are the one truth: `production`, `previous` and `canary` of the registered model `mmer`, and the
canary's share of streams as its tag. A person moves them (`mmer promote`, `mmer rollback`, or MLflow's page); training
moves none of them.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mmer.errors import MmerError
from mmer.runtime.graph import GRAPH, ModelError
from mmer.runtime.versions import SERVED, Served, open_version, read_served, write_served
from mmer.training import mlflow_runs

PRODUCTION, PREVIOUS, CANARY, SHARE = "production", "previous", "canary", "canary_share"


class DeployError(MmerError):
    """Nothing was changed; the message says why."""


def promote(version: str, share: float | None = None) -> str:
    """Put a version into production, or on trial beside it.

    Args:
        version: a number, or an alias (`champion`, the last that was packaged).
        share: of new streams; then it is a canary.

    Returns:
        What was done, in words.

    Raises:
        DeployError: there is no such version, or nothing that it could be tried beside.
        mmer.training.mlflow_runs.RegistryError: the registry does not answer, or holds no model.
    """
    registered = mlflow_runs.registered()
    found, now = registered.aliases.get(version, version), registered.aliases.get(PRODUCTION)
    if found not in registered.versions:
        raise DeployError(f"the registry has no version {version}; there are {', '.join(registered.versions)}")
    if found == now:
        raise DeployError(f"version {found} is in production already")
    if share is not None:
        if now is None:
            raise DeployError(f"nothing is in production yet: mmer promote {found}")
        mlflow_runs.set_tag(SHARE, f"{share:g}")
        mlflow_runs.set_alias(CANARY, found)
        return f"version {found} is tried on {share:.0%} of new streams, beside version {now}"
    if now is not None:
        mlflow_runs.set_alias(PREVIOUS, now)
    mlflow_runs.set_alias(PRODUCTION, found)
    mlflow_runs.set_alias(CANARY, None)
    return f"version {found} is in production" + (f"; before it was version {now}" if now else "")


def rollback() -> str:
    """End the trial of a canary; where there is none, put the version into production that was there before.

    Returns:
        What was done, in words.

    Raises:
        DeployError: there is neither.
        mmer.training.mlflow_runs.RegistryError: the registry does not answer, or holds no model.
    """
    aliases = mlflow_runs.registered().aliases
    now, before, canary = (aliases.get(name) for name in (PRODUCTION, PREVIOUS, CANARY))
    if canary is not None and canary != now:
        mlflow_runs.set_alias(CANARY, None)
        return f"the trial of version {canary} is over; version {now} serves all"
    if before is None or before == now:
        raise DeployError("there is no version to go back to: none was in production before")
    mlflow_runs.set_alias(PRODUCTION, before)
    return f"version {before} is in production again, instead of version {now}"


def follow(folder: Path, every_s: float | None, told: Callable[[str], object]) -> bool:
    """Bring what the registry names into a folder, for services on it to serve.

    Args:
        folder: made where it is not there.
        every_s: look again after so many seconds, for ever; None looks once.
        told: of each change, and of each new reason why something is not served.

    Returns:
        Whether all is served that the registry names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = None
    while True:
        try:
            before = read_served(folder) if (folder / SERVED).is_file() else None
            served = _wanted(folder, before)
            if served != before:
                write_served(folder, served)
                told(_in_words(served))
            problem = served.refused
        except (MmerError, OSError) as error:  # the registry, or the disk; it may be better the next time
            problem = str(error)
        if problem is not None and problem != said:
            told(problem)
        said = problem
        if every_s is None:
            return problem is None
        time.sleep(every_s)


def _wanted(folder: Path, before: Served | None) -> Served:
    """What is to be served: what the registry names, but for what cannot be."""
    registered = mlflow_runs.registered()
    production, canary = registered.aliases.get(PRODUCTION), registered.aliases.get(CANARY)
    if production is None:
        raise DeployError("nothing is in production: `mmer promote champion` takes the last that was packaged")
    now, refused = before.production if before else None, None
    if production != now and (refused := _bring(folder, production, now)):
        if now is None:
            raise DeployError(refused)
        production = now
    if canary == production:
        canary = None
    if canary is not None and (reason := _bring(folder, canary, production)):
        canary, refused = None, refused or reason
    return Served(
        production=production,
        previous=now if production != now else before and before.previous,
        canary=canary,
        share=float(registered.tags.get(SHARE, 0)) if canary else 0,
        refused=refused,
    )


@functools.cache
def _bring(folder: Path, version: str, like: str | None) -> str | None:
    """Have a version in the folder; why it cannot be served, if so. A version never changes, so neither does that."""
    if not (folder / version).is_dir():
        with tempfile.TemporaryDirectory(dir=folder, prefix=".") as name:
            kept, made = mlflow_runs.fetch(version, Path(name) / "kept"), Path(name) / version
            (made / "detector").mkdir(parents=True)
            for file in kept.glob("*.onnx"):
                shutil.copy(file, made / GRAPH)
            for file in kept.glob("extra_files/*.onnx"):
                shutil.copy(file, made / "detector")
            made.rename(folder / version)
    try:
        open_version(folder, version, open_version(folder, like).info if like else None)
    except ModelError as error:
        return str(error)
    return None


def _in_words(served: Served) -> str:
    canary = f", and version {served.canary} for {served.share:.0%} of new streams" if served.canary else ""
    return f"version {served.production} is served{canary}"
