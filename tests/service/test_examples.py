"""The examples do what they say, as a user calls them, against the real service."""

import os
import subprocess
import sys
from pathlib import Path

from mmer.labels import EMOTIONS
from tests.graphs import drawn_clips, write_model
from tests.serving import ROOT, Served

EXAMPLES = ROOT / "examples"


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)


def test_an_interview_is_told_utterance_by_utterance_and_part_by_part(tmp_path: Path) -> None:
    clips, model = drawn_clips(), write_model(tmp_path / "m")
    told = run("interview.py", clips["happy"], "--neutral", clips["sad"], "--parts", "2", "--model", model)
    assert told.returncode == 0, told.stderr
    first, *lines = told.stdout.splitlines()
    assert first.split(": ")[1].split(",")[0] in EMOTIONS
    assert first.endswith(", calibrated")
    spoken = lines[lines.index("") + 2 : lines.index("", 1)]
    assert spoken
    assert all(line.split()[2] in EMOTIONS for line in spoken)
    assert len(lines[lines.index("Share of the time, part by part:") + 1 :]) == 2
    assert "nowhere.mp4" in run("interview.py", "nowhere.mp4", "--model", model).stderr


def test_a_webcam_is_looked_at_in_a_loop(service: Served) -> None:
    film = drawn_clips()["happy"]
    told = run("webcam.py", "--camera", film, "--url", service.url, "--headless")
    assert told.returncode == 0, told.stderr
    assert {line.split()[2] for line in told.stdout.splitlines()} <= {*EMOTIONS, "nothing"}
    assert told.stdout
    assert "cannot be opened" in run("webcam.py", "--camera", "77", "--headless").stderr
    gone = run("webcam.py", "--camera", film, "--url", "http://127.0.0.1:9", "--headless")
    assert gone.returncode == 1
    assert "no service answers" in gone.stderr
