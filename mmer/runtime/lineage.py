"""The earlier trainings that a network's weights went on from."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Ancestor(BaseModel):
    """The weights of an earlier training."""

    model_config = ConfigDict(frozen=True)

    branches: tuple[str, ...]
    """What was taken of them."""
    weights: str
    """The first 12 digits of the file's sha256."""
    corpora: tuple[str, ...]
    """What they were trained on."""
    teacher: bool = False
    """Nothing was taken of them: their answers were learnt from."""

    def __str__(self) -> str:
        taken = "the answers" if self.teacher else ", ".join(self.branches) or "nothing"
        return f"{taken} of {self.weights} ({', '.join(self.corpora)})"


def _told(start: Any) -> Any:
    """Up to version 0.1.0 a lineage was one text: what was taken, a file, its sha256, and its own origin as JSON."""
    found = re.fullmatch(r"(.+?) of .+? sha256:(\w+), (\{.+\})", start) if isinstance(start, str) else None
    if found is None:
        return () if start is None else start
    branches, weights, origin = found[1].split(", "), found[2][:12], json.loads(found[3])
    newest = {"branches": [b for b in branches if b != "nothing"], "weights": weights, "corpora": origin["corpora"]}
    return [newest, *_told(origin["start"])]


Lineage = Annotated[tuple[Ancestor, ...], BeforeValidator(_told)]
"""The newest first."""
