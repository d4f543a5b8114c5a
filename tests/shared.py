"""What is made once in a run of the tests, whichever of its processes (pytest-xdist's workers) asks first."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

VARIABLE = "PYTEST_SHARED_FOLDER"


def folder() -> Path:
    """Of the run: made, and deleted in the end, by the process that asks first; those that it begins inherit it."""
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = tempfile.mkdtemp(prefix="mmer-tests-")
        atexit.register(shutil.rmtree, os.environ[VARIABLE], ignore_errors=True)
    return Path(os.environ[VARIABLE])


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` fills, in the first process to ask for it; who asks meanwhile waits."""
    from filelock import FileLock  # where the package is tried without its extras, nothing is made and this is missing

    whole, part = folder() / name, folder() / f"{name}.part"
    with FileLock(f"{whole}.lock"):
        if not whole.is_dir():
            shutil.rmtree(part, ignore_errors=True)
            make(part)
            part.rename(whole)
    return whole
