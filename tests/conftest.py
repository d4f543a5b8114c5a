"""What the tests share: the real parameters, and the real corpora where they are."""

import os
from pathlib import Path

import pytest

from mmer.config import Params
from mmer.params import load_params

ROOT = Path(__file__).resolve().parent.parent


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
