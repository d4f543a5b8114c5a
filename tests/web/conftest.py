"""A running service and a real browser for all tests of this folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.graphs import write_model
from tests.serving import Served, serve


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """It knows nothing (`tests.graphs`) but answers."""
    with serve(write_model(tmp_path_factory.mktemp("model")), tmp_path_factory.mktemp("home")) as served:
        yield served


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=Path(found), args=["--no-sandbox"])
        yield browser
        browser.close()
