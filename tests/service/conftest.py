"""One running service for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.graphs import write_model
from tests.serving import Served, serve


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """It knows nothing (`tests.graphs`) but answers."""
    with serve(write_model(tmp_path_factory.mktemp("model")), tmp_path_factory.mktemp("home")) as served:
        yield served
