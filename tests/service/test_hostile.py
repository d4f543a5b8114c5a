"""A selection of what benchmarks/serving/hostile.py sends, over real HTTP: no failure, no file left, no dead worker."""

import random
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from mmer.config import Media
from mmer.media import MediaError, decode
from tests.graphs import drawn_clips
from tests.service.test_service import left_behind
from tests.serving import ROOT, Served

sys.path.insert(0, str(ROOT / "benchmarks" / "serving"))
import hostile


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return hostile.every_format(drawn_clips()["happy"], tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("suffix", hostile.FORMATS)
def test_every_promised_format_is_taken(service: Served, whole: dict[str, bytes], suffix: str) -> None:
    answer = httpx.post(f"{service.url}/predict", files={"file": (f"clip.{suffix}", whole[suffix])}, timeout=60)
    assert answer.status_code == 200, answer.text
    steps = answer.json()["steps"]
    assert len(steps) == (1 if suffix in ("jpg", "png") else 5) or suffix in ("mp3", "flv", "ogg", "webm")
    assert len(steps) <= 7


def test_damaged_files_get_a_reason_and_leave_nothing(service: Served, whole: dict[str, bytes], tmp_path: Path) -> None:
    rng, before = random.Random(7), service.processes()
    chosen = [hostile.mutated(whole, rng) for _ in range(40)] + list(hostile.bombs(tmp_path))
    for kind, name, data in chosen:
        answer = httpx.post(f"{service.url}/predict", files={"file": (name, data)}, timeout=60)
        assert answer.status_code in (200, 413, 415, 422), (kind, name, answer.text)
        if answer.status_code != 200:
            assert set(answer.json()["error"]) == {"code", "message", "hint"}
    assert left_behind(service) == []
    assert set(before) <= set(service.processes()), "no worker died"


def test_ffmpeg_may_not_take_the_memory_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit so low that 4K does not fit shows that there is one; without it the file is fine."""
    large = tmp_path / "large.mp4"
    made = ["-f", "lavfi", "-i", "testsrc=s=3840x2160:r=5:d=1", "-preset", "ultrafast", "-pix_fmt", "yuv420p", large]
    subprocess.run(["ffmpeg", "-v", "error", *made], check=True)
    decode(large, Media(), 0.2, lambda *_: None)
    monkeypatch.setattr("mmer.media.MAX_MEMORY", 150 << 20)
    with pytest.raises(MediaError):
        decode(large, Media(), 0.2, lambda *_: None)
