"""Two running services for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.graphs import write_model
from tests.serving import Served, serve


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """It knows nothing (`tests.graphs`) but answers."""
    with serve(write_model(tmp_path_factory.mktemp("model")), tmp_path_factory.mktemp("home")) as served:
        yield served


@pytest.fixture(scope="package")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With a key, one allowed origin, and limits that a test can reach: room for a file and nine bodies."""
    limits = {
        "MMER_KEY": "open-sesame",
        "MMER_ORIGINS": "https://app.example.org",
        "MMER_UPLOAD_S": "2",
        "MMER_UPLOAD_DURATION_S": "1.5",
        "MMER_PREDICTIONS": "1",
        "MMER_UPLOADS": "9",
        "MMER_IDLE_S": "1",
        "MMER_SESSION_S": "4",
        "MMER_MESSAGE_KB": "64",
        "MMER_MESSAGES_PER_S": "50",
    }
    with serve(write_model(tmp_path_factory.mktemp("model")), tmp_path_factory.mktemp("home"), **limits) as served:
        yield served
