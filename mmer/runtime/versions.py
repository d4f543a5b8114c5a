"""Versions of a model side by side in a folder, and which of them are served.

    FOLDER/served.json    {"production": "5", "previous": "4", "canary": "6", "share": 0.1}
    FOLDER/4, 5, 6        each a model: `mmer.onnx` and `detector/`

Who serves reads that file again when it changes; who changes it puts a version's folder there first. What is in such a
folder never changes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mmer.runtime.graph import ModelError, ModelInfo
from mmer.runtime.recognizer import Recognizer
from mmer.runtime.spec import GraphSpec

SERVED = "served.json"
CONTRACT = ("labels", "input", "modalities", "affect")
"""What clients were told of a model and rely on: fields of `ModelInfo` that all versions share."""

Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Served(BaseModel):
    """Which versions are served."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    production: Version
    previous: Version | None = None
    """In production before: served where `production` cannot be."""
    canary: Version | None = None
    """On trial beside it."""
    share: float = Field(0, ge=0, le=1)
    """Of new streams, for the canary."""
    refused: str | None = None
    """Why something else that was asked for is not served."""


def read_served(folder: Path) -> Served:
    """What `served.json` says.

    Raises:
        ModelError: it is not there, or makes no sense.
    """
    path = folder / SERVED
    try:
        return Served.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}. `mmer follow {folder}` makes it") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(f"{path}: {'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}") from None


def write_served(folder: Path, served: Served) -> None:
    """At once or not at all."""
    part = folder / f"{SERVED}.part"
    part.write_text(json.dumps(served.model_dump(exclude_none=True), indent=2) + "\n")
    part.replace(folder / SERVED)


def open_version(folder: Path, version: str, like: ModelInfo | None = None) -> Recognizer:
    """Open a version, and make sure that it computes.

    Args:
        like: of what is served now; the new one is to have the same contract.

    Raises:
        ModelError: it is not there or damaged, has another contract, or its weights give no numbers.
    """
    if not (folder / version).is_dir():
        raise ModelError(f"version {version} is not in {folder}")
    found = Recognizer.load(folder / version)
    for field in CONTRACT if like else ():
        ours, theirs = getattr(like, field), getattr(found.info, field)
        if ours != theirs:
            raise ModelError(
                f"version {version} has another contract than what is served: {field} is {_told(theirs)} instead of "
                f"{_told(ours)}. Serve it by a service of its own"
            )
    sizes = {"B": 1, "T": 2, "K": found.graph.state_size}
    said = found.graph(
        {port.name: np.ones(port.sizes(**sizes), port.dtype) for port in GraphSpec.of(found.info.input).inputs}
    )
    if not all(np.isfinite(array).all() for array in said.values()):
        raise ModelError(f"version {version} answers with what is no number: its weights are broken")
    return found


def _told(value: object) -> str:
    return value.model_dump_json() if isinstance(value, BaseModel) else str(value)
