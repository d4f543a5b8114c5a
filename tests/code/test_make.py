"""What the Makefile's targets would run, and what the pipeline's image is made of."""

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


def test_the_pipeline_s_image_copies_and_installs_files_that_are_there() -> None:
    """Building it takes minutes and gigabytes, so no test does."""
    steps = (ROOT / "deploy/Dockerfile.train").read_text()
    copied = [name for line in re.findall(r"^COPY (.+) /tmp/$", steps, re.MULTILINE) for name in line.split()]
    assert copied
    assert all((ROOT / name).is_file() for name in copied)
    assert sorted(re.findall(r"-r /tmp/(\S+)", steps)) == sorted(copied)
