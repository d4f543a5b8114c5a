"""Claims about preparing on a cluster: of three real workers one is killed, and the bytes are those of one alone; and
one sees how far it is.
"""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mmer.data.clips import read_manifest
from tests.clusters import Cluster, dask, extract, ray
from tests.team import wait

CLIPS = 24
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many trials, each a link to the same film of two seconds: a reader sees names."""
    folder = tmp_path_factory.mktemp("raw")
    film = tmp_path_factory.mktemp("film") / "film.mp4"
    picture = ("-f", "lavfi", "-i", "testsrc=s=320x240:r=25:d=2")
    sound = ("-f", "lavfi", "-i", "sine=300:d=2")
    subprocess.run(["ffmpeg", "-v", "error", *picture, *sound, film], check=True)
    for actor in range(1, CLIPS + 1):
        (folder / f"01-01-03-01-01-01-{actor:02}.mp4").symlink_to(film)
    return folder


@pytest.fixture(scope="module")
def alone(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process of this machine makes of them."""
    out = tmp_path_factory.mktemp("alone") / "interim"
    extract("ravdess", raw, out, "loky")
    return contents(out)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"}


@pytest.mark.parametrize("cluster", [dask, ray])
def test_of_three_workers_one_is_killed_and_the_bytes_are_those_of_one_alone(
    raw: Path,
    alone: dict[str, bytes],
    tmp_path: Path,
    cluster: Callable[[int], contextlib.AbstractContextManager[Cluster]],
) -> None:
    out, killed = tmp_path / "interim", []
    with cluster(3) as (where, workers):

        def kill(_: int) -> None:
            wait(lambda: len(list(out.glob("*.npz"))) >= 2)
            killed.append(next(pid for pid in workers() if psutil.Process(pid).children()))  # it has an ffmpeg
            os.kill(killed[0], signal.SIGKILL)

        told = extract("ravdess", raw, out, cluster.__name__, kill, **where)
    assert len(killed) == 1
    assert len(read_manifest(out / "clips.parquet")) == CLIPS
    assert contents(out) == alone
    shown = {int(done) for done in re.findall(rf"(\d+)/{CLIPS}", told)}
    assert len(shown) > 2, "the bar moves while it is done, and not at its end alone"


def test_who_lacks_the_token_of_a_ray_cluster_is_told_so(raw: Path, tmp_path: Path) -> None:
    with ray(1) as (where, _), pytest.raises(AssertionError, match="wants its token: set RAY_AUTH_MODE=token"):
        extract("ravdess", raw, tmp_path / "interim", "ray", **where | {"RAY_AUTH_MODE": "disabled"})
