"""What the Makefile's targets would run."""

import re
import subprocess

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("given", "host", "told"),
    [([], "127.0.0.1", "this machine alone"), (["HOST=0.0.0.0"], "0.0.0.0", "whoever reaches")],  # noqa: S104 (the claim)
)
def test_serve_listens_on_this_machine_alone_unless_host_says_otherwise(given: list[str], host: str, told: str) -> None:
    command = ["env", "-u", "HOST", "make", "--dry-run", "serve", "PORT=8080", *given]
    recipe = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"bentoml serve .*--host (\S+)", recipe) == [host]
    assert f"http://{host}:8080 ({told}" in recipe
