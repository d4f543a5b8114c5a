"""The bento: built without a network, small, with nothing in it but what serves; and it serves from anywhere."""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from scripts.imports import path_of, reached
from tests.graphs import drawn_clips
from tests.serving import ROOT, serve

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import service
from mmer import Recognizer
for path in sys.argv[2:]:
    Recognizer.load().predict(path)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture(scope="module")
def bento(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bento of this folder."""
    home = tmp_path_factory.mktemp("bentoml")
    bin = Path(sys.executable).parent
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MMER_")}
    environment |= {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "PATH": f"{bin}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (tag,) = (home / "bentos" / "mmer").glob("*/")
    return tag


def test_it_holds_what_serves_and_nothing_else(bento: Path) -> None:
    files = {
        p.relative_to(bento / "src").as_posix(): p.stat().st_size for p in (bento / "src").rglob("*") if p.is_file()
    }
    allowed = re.compile(
        r"service\.py|bentofile\.yaml|requirements-serve\.txt|web/[\w.-]+\.(js|html|css)|web/(device|runtime)/\w+\.js|web/samples/.+|"
        r"web/node_modules/onnxruntime-web/dist/ort[\w.-]+\.(mjs|wasm|wasm\.gz|wasm\.br)|docs/protocol\.md|mmer/serving/\w+\.py|release/(mmer\.onnx|MODEL_CARD\.md)|"
        r"release/detector/[pro]net\.onnx|mmer/(__init__|errors|labels)\.py|mmer/runtime/(media/)?\w+\.py"
    )
    assert [name for name in files if not allowed.fullmatch(name)] == []
    page = {"web/index.html", "web/device/worker.js", "web/runtime/recognizer.js"}
    assert {"service.py", "release/mmer.onnx", "docs/protocol.md", *page} <= set(files)
    assert {path_of(module).as_posix() for module in reached("service")} <= set(files)
    assert sum(files.values()) < 40e6


def test_it_asks_for_no_torch_and_names_no_index(bento: Path) -> None:
    wanted = (bento / "env" / "python" / "requirements.txt").read_text()
    assert not re.search(r"^(torch|mlflow|dvc|optuna)", wanted, re.MULTILINE)
    assert "onnxruntime==" in wanted
    everything = "".join(p.read_text() for p in bento.rglob("*") if p.suffix in (".txt", ".in", ".yaml", ".sh"))
    assert "http://" not in wanted
    assert "index-url" not in everything


def test_its_dockerfile_installs_ffmpeg_and_runs_as_nobody_special(bento: Path) -> None:
    lines = (bento / "env" / "docker" / "Dockerfile").read_text()
    assert "FROM python:3.11-slim" in lines
    assert re.search(r"apt-get install .*ffmpeg", lines)
    assert "USER bentoml" in lines
    for source in re.findall(r"^COPY --chown=\S+ (\S+) ", lines, re.MULTILINE):
        assert (bento / source).exists(), f"it copies {source}, which is not in the bento"


def test_it_serves_from_another_folder(bento: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    variables = {"PYTHONPATH": "", "MMER_MODEL": ""}
    with serve(tmp_path, tmp_path / "home", what=str(bento), where=elsewhere, **variables) as served:
        answer = httpx.post(f"{served.url}/predict", files={"file": drawn_clips()["happy"].open("rb")}, timeout=60)
        page = httpx.get(served.url)
    assert answer.json()["model"]["status"] == "release"
    assert page.status_code == 200


def test_serving_reaches_only_packages_that_are_pinned_for_it(tmp_path: Path) -> None:
    """Clip, sound and picture are recognised; whatever is then loaded must be in requirements-serve.txt."""
    clip, sound, picture = drawn_clips()["happy"], tmp_path / "a.wav", tmp_path / "a.jpg"
    for out, more in ((sound, []), (picture, ["-frames:v", "1"])):
        subprocess.run(["ffmpeg", "-v", "error", "-i", clip, *more, out], check=True)
    command = [sys.executable, "-c", PROGRAM, str(ROOT), str(clip), str(sound), str(picture)]
    environment = os.environ | {"MMER_MODEL": str(ROOT / "release")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    owners = importlib.metadata.packages_distributions()
    used = {owner.lower().replace("_", "-") for name in done.stdout.split() for owner in owners.get(name, [])}
    pins = re.findall(r"^([\w.-]+)==", (ROOT / "requirements-serve.txt").read_text(), re.MULTILINE)
    pinned = {pin.lower().replace("_", "-") for pin in pins} | {"mmer", "setuptools"}
    assert used - pinned == set()
    assert {"onnxruntime", "pillow"} <= used
    assert "torch" not in used
