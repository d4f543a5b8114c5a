"""A key for work that may be cut and go on: the hash of everything it depends on.

A checkpoint or a study is kept under this key, so that one of other data, parameters or code is never resumed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel


def fingerprint(blocks: Iterable[BaseModel | int | str], files: Iterable[Path]) -> str:
    """16 hexadecimal digits of SHA-256 over the parameters and the files' contents, in the order given."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update((block.model_dump_json() if isinstance(block, BaseModel) else repr(block)).encode() + b"\0")
    for path in files:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
