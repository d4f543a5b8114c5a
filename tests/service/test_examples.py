"""The examples do what they say, as a user calls them, against the real service."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmer.labels import EMOTIONS
from tests.graphs import drawn_clips, write_model
from tests.serving import ROOT, Served

EXAMPLES = ROOT / "examples"
AGENTS = ROOT / ".venv-agents" / "bin" / "python"
needs_agents = pytest.mark.skipif(
    not AGENTS.exists(), reason="pipecat and LiveKit are not installed (make .venv-agents/.ready)"
)


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)


def run_agent(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One of tests/service/agents, in their own Python."""
    command = [str(AGENTS), "-m", f"tests.service.agents.{name}", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False, cwd=ROOT)


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    """Of a drawn clip, in stereo at 48 kHz, as a room gives it."""
    out = tmp_path / "voice.wav"
    clip = drawn_clips()["happy"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-vn", "-ar", "48000", "-ac", "2", out], check=True)
    return out


@needs_agents
@pytest.mark.slow
def test_pipecat_has_the_emotion_of_an_utterance_beside_its_transcript(
    service: Served, voice: Path, tmp_path: Path
) -> None:
    face = tmp_path / "face.jpg"
    clip = drawn_clips()["happy"]
    subprocess.run(["ffmpeg", "-v", "error", "-ss", "1", "-i", clip, "-frames:v", "1", face], check=True)
    told = run_agent("run_pipecat", service.url, voice, face)
    assert told.returncode == 0, told.stderr
    said, nothing = (json.loads(line) for line in told.stdout.splitlines() if line.startswith("{"))
    emotion = said["emotion"]
    assert emotion["label"] in EMOTIONS
    assert said["text"] == f"What a day! [it sounded {emotion['label']}]"
    assert emotion["seen"] > 0.5
    assert f"'What a day!' was said {emotion['label']}" in told.stderr
    assert nothing == {"text": "Nothing.", "emotion": None}


@needs_agents
@pytest.mark.slow
def test_an_agent_of_livekit_has_it_beside_what_the_user_says(service: Served, voice: Path) -> None:
    told = run_agent("run_livekit", service.url, voice)
    assert told.returncode == 0, told.stderr
    *_, user, note = json.loads(told.stdout.splitlines()[0])
    assert (user["role"], user["text"]) == ("user", "What a day!")
    assert user["emotion"]["label"] in EMOTIONS
    assert user["emotion"]["seen"] == 0
    assert (note["role"], note["emotion"]) == ("system", None)
    assert note["text"].startswith(f"What the user just said sounded {user['emotion']['label']}, ")


@needs_agents
@pytest.mark.slow
def test_an_agent_goes_on_without_a_service(voice: Path) -> None:
    told = run_agent("run_livekit", "http://127.0.0.1:9", voice)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout.splitlines()[0])[-1]["emotion"] is None


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
