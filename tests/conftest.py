"""What the tests share: the real parameters, the real corpora where they are, and how two workers share them out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before numpy and torch are imported, which read it then: two workers on two cores, and a thread more would wait.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from mmer.config import Params
from mmer.params import load_params
from tests import shared

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import Scheduling

ROOT = Path(__file__).resolve().parent.parent
REAL_TIME = ("tests/web/", "tests/service/")
"""Tests of a running service, which wait more than they compute: one worker does them one after the other."""


def pytest_configure() -> None:
    """The shared folder is there before the workers are, which find it in their environment."""
    shared.folder()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """A file goes to one worker, since its tests share what it sets up; all files of `REAL_TIME` to the same.

    In the order of `testpaths`: what takes longest comes first, so that both workers end at about the same time.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "real time" if nodeid.startswith(REAL_TIME) else nodeid.partition("::")[0]

    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.fixture(scope="session")
def params() -> Params:
    """The project's own params.yaml."""
    return load_params(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of real corpora."""
    folder = os.environ.get("MMER_MIRROR")
    if not folder:
        pytest.skip("needs real corpora: MMER_MIRROR names no folder")
    return Path(folder)
