"""Claims about what `pip install` gives: the wheel is built, installed into an environment without torch, and used."""

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from mmer import Recognizer, __version__
from scripts.imports import modules, path_of, reached
from tests.checkout import copy_checkout
from tests.conftest import ROOT
from tests.graphs import drawn_clips
from tests.serving import serve

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PLAIN = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRAS = {name: [Requirement(text) for text in texts] for name, texts in PROJECT["optional-dependencies"].items()}
#: What the commands that need no extra run.
START = ("mmer", "mmer.runtime.recognizer", "mmer.client.playback", "mmer.plots.timeline", "mmer.plots.explanation")
#: What is left to its user: a package whose pins fit no others (requirements-no-deps.txt).
ASIDE = {"mmer.packaging.detector": ("facenet_pytorch",)}
HEAVY = ("torch", "pandas", "mlflow", "dvc", "optuna", "bentoml", "scipy", "yaml", "onnx")


def run(*command: str | Path, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a command that knows nothing of this repository or its environment."""
    ours = ("PYTHON", "MMER_", "VIRTUAL_ENV", "PIP_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(command, cwd=cwd, env=environment | variables, capture_output=True, text=True, check=False)


def pip(*arguments: str | Path, cwd: Path, python: Path | str = sys.executable) -> None:
    """Run this environment's pip for a Python, without a package index and without the user's settings."""
    done = run(sys.executable, "-m", "pip", "--isolated", "--python", python, *arguments, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("sdist")
    copy_checkout(tree)
    code = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    done = run(sys.executable, "-c", code, out, cwd=tree)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = out.iterdir()
    return found


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, so that this one holds all that it takes."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as packed:
        packed.extractall(tree, filter="data")
    (source,) = tree.iterdir()
    pip("wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", out, source, cwd=out)
    (found,) = out.iterdir()
    return found


def distributions(wanted: Iterable[Requirement]) -> dict[str, importlib.metadata.Distribution]:
    """What these requirements reach, as it is installed here."""
    found: dict[str, importlib.metadata.Distribution] = {}
    ahead = [(requirement, "") for requirement in wanted]
    while ahead:
        requirement, extra = ahead.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        new = name not in found
        found.setdefault(name, importlib.metadata.distribution(name))
        for extra in requirement.extras | ({""} if new else set()):
            ahead += [(Requirement(text), extra) for text in found[name].requires or []]
    return found


def environment(folder: Path, wanted: Iterable[Requirement], wheel: str) -> Path:
    """An environment of the wheel and what it requires, nothing else; pip checks that nothing it requires is missing.

    The files of what is required are links to those that are installed here: that takes seconds and no network.
    """
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for distribution in distributions(wanted).values():
        for file in distribution.files or []:
            if ".." not in file.parts:  # a program
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                (packages / file).symlink_to(file.locate())
    pip("install", "--no-index", wheel, cwd=folder, python=folder / "bin" / "python")
    return folder


@pytest.fixture(scope="module")
def plain(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """After `pip install` of the wheel."""
    return environment(tmp_path_factory.mktemp("plain"), PLAIN, str(wheel))


def test_the_wheel_holds_all_modules_the_model_and_the_page_and_no_more(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
    assert {path_of(module).as_posix() for module in modules()} <= names
    more = names - {path_of(module).as_posix() for module in modules()}
    asked = re.compile(
        r"mmer/(py\.typed|data/folds\.csv|data/corpora/\w+\.(csv|csv\.gz|LICENSE))|mmer/app/(service\.py|docs/protocol\.md)|"
        r"mmer/app/web/([\w.-]+\.(js|html|css)|\w+/\w+\.js|samples/.+)|"
        r"mmer/release/(mmer\.onnx|mmer\.int8\.onnx|MODEL_CARD\.md|LICENSE-WEIGHTS|detector/[pro]net\.onnx)"
    )
    assert [name for name in more if not asked.fullmatch(name)] == []
    model = {"mmer.onnx", "mmer.int8.onnx", "MODEL_CARD.md", "LICENSE-WEIGHTS"}
    assert {f"mmer/release/{name}" for name in model} | {"mmer/py.typed"} <= more
    parts = [p.relative_to(ROOT) for p in (ROOT / "web").rglob("*") if p.suffix in (".html", ".css", ".js", ".mp4")]
    assert {f"mmer/app/{part.as_posix()}" for part in parts if "node_modules" not in part.parts} <= more
    assert wheel.stat().st_size < 16e6


def test_its_metadata_say_which_licences_hold_and_ask_for_no_torch(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        (file,) = (name for name in packed.namelist() if name.endswith(".dist-info/METADATA"))
        lines = packed.read(file).decode().partition("\n\n")[0].splitlines()
    told = {line.partition(": ")[0]: line.partition(": ")[2] for line in lines}
    assert told["Version"] == __version__
    assert told["License-Expression"] == "Apache-2.0 AND CC-BY-NC-SA-4.0"
    assert {"License-File: LICENSE", "License-File: release/LICENSE-WEIGHTS"} <= set(lines)
    required = [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist")]
    assert {Requirement(text).name for text in required if "extra ==" not in text} == {r.name for r in PLAIN}
    assert "torch" not in distributions(PLAIN)


def test_after_a_plain_install_the_heavy_packages_are_not_there(plain: Path) -> None:
    code = f"import importlib.util as u; print([name for name in {HEAVY} if u.find_spec(name)])"
    assert run(plain / "bin" / "python", "-c", code, cwd=plain).stdout.strip() == "[]"


def test_it_recognises_a_clip_as_the_repository_does(plain: Path) -> None:
    clip = drawn_clips()["happy"]
    done = run(plain / "bin" / "mmer", "predict", "--json", clip, cwd=plain)
    assert done.returncode == 0, done.stderr
    found, wanted = json.loads(done.stdout), Recognizer.load(ROOT / "release").predict(clip).to_json()
    for step in found["steps"] + wanted["steps"]:
        del step["ms"]
    assert found == json.loads(json.dumps(wanted))


def test_python_gets_the_same_model_and_its_small_graph_by_name(plain: Path) -> None:
    code = """
from mmer import Recognizer
print([Recognizer.load(name).info.weights for name in (None, "mmer.int8.onnx")], Recognizer.load().info.status)
"""
    done = run(plain / "bin" / "python", "-c", code, cwd=plain)
    assert done.stdout.strip() == "['float32', 'int8'] release", done.stderr


def test_info_names_the_folder_of_the_licence_and_the_card(plain: Path) -> None:
    told = run(plain / "bin" / "mmer", "info", cwd=plain).stdout
    (folder,) = re.findall(r"^folder +(.+)$", told, re.MULTILINE)
    assert Path(folder).is_relative_to(plain)
    assert "NC-SA" in (Path(folder) / "LICENSE-WEIGHTS").read_text()
    assert (Path(folder) / "MODEL_CARD.md").read_text().startswith("# Model card")


def test_it_draws_and_explains(plain: Path, tmp_path: Path) -> None:
    clip = drawn_clips()["happy"]
    for command in (["predict", clip, "--plot", "drawn.png"], ["explain", clip, "--out", "drawn.png"]):
        done = run(plain / "bin" / "mmer", *command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "drawn.png").stat().st_size > 10_000
        (tmp_path / "drawn.png").unlink()


def test_it_makes_a_table_of_a_folder(plain: Path, tmp_path: Path) -> None:
    done = run(plain / "bin" / "mmer", "predict", drawn_clips()["happy"], "--csv", "clips.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "clips.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("folds", "train"),
        ("demo-corpus drawn", "train"),
        ("serve", "serve"),
        (f"predict {ROOT}/web --csv clips.parquet", "research"),
        (f"predict {ROOT}/web --eaf tiers", "research"),
    ],
)
def test_a_missing_extra_is_one_line_that_names_it(plain: Path, tmp_path: Path, command: str, extra: str) -> None:
    done = run(plain / "bin" / "mmer", *command.split(), cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"mmer: `mmer {command.split()[0]}` needs ")
    assert line.endswith(f"pip install 'mmer[{extra}]'")


def test_a_plain_install_streams_to_the_service_of_one_with_the_extra(
    plain: Path, wheel: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    extra = environment(tmp_path_factory.mktemp("serve"), PLAIN + EXTRAS["serve"], f"{wheel}[serve]")
    (model,) = extra.glob("lib/python*/site-packages/mmer/release")
    command, variables = (str(extra / "bin" / "mmer"), "serve"), {"MMER_MODEL": "", "PYTHONPATH": ""}
    with serve(model, tmp_path / "home", where=tmp_path, command=command, **variables) as served:
        stream = [plain / "bin" / "mmer", "stream", served.url, "--file", drawn_clips()["happy"], "--json"]
        done = run(*stream, cwd=tmp_path)
        page = run("curl", "--silent", "--fail", f"{served.url}/protocol.md", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line)["type"] for line in done.stdout.splitlines()]
    assert set(told) == {"step", "utterance_start", "utterance"}
    assert page.stdout == (ROOT / "docs" / "protocol.md").read_text()
    done = run(*stream, cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "no service answers" in line


def not_required(names: Iterable[str], *required: Iterable[Requirement]) -> Iterator[str]:
    """What these modules import, of others than us, that no distribution required provides."""
    owners = importlib.metadata.packages_distributions()
    allowed = {canonicalize_name(requirement.name) for one in required for requirement in one}
    for module in names:
        for node in ast.walk(ast.parse((ROOT / path_of(module)).read_text(encoding="utf-8"))):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in {name.partition(".")[0] for name in found} - {"mmer", *sys.stdlib_module_names}:
                if not allowed & set(map(canonicalize_name, owners.get(name, [name]))):
                    yield f"{module} imports {name}"


def test_what_is_imported_is_required_by_the_package_or_by_its_extra() -> None:
    assert list(not_required(reached(*START), PLAIN)) == []
    assert list(not_required(reached("service"), PLAIN, EXTRAS["serve"])) == []
    aside = {f"{module} imports {name}" for module, names in ASIDE.items() for name in names}
    assert set(not_required(modules(), PLAIN, *EXTRAS.values())) == aside


def test_each_requirement_is_chosen_and_its_bound_is_no_newer_than_the_pin() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    pinned = {canonicalize_name(name): Version(version) for name, version in pins.items()}
    chosen = re.findall(r"^([\w.-]+)", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    for requirement in [*PLAIN, *(one for extra in EXTRAS.values() for one in extra)]:
        assert any(part.operator == ">=" for part in requirement.specifier), f"{requirement} has no lower bound"
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement
        assert canonicalize_name(requirement.name) in map(canonicalize_name, chosen), requirement


@pytest.mark.slow
@pytest.mark.parametrize("which", ["newest", "oldest"])
def test_it_works_with_what_a_registry_gives(which: str, wheel: Path, tmp_path: Path) -> None:
    """With the newest versions, and with the lower bounds themselves."""
    venv.create(tmp_path / "env", symlinks=True, with_pip=True)
    bounds = [f"{r.name}=={part.version}" for r in PLAIN for part in r.specifier if part.operator == ">="]
    (tmp_path / "bounds.txt").write_text("\n".join(bounds if which == "oldest" else []))
    bin = tmp_path / "env" / "bin"
    command = [bin / "python", "-m", "pip", "install", "--quiet", wheel, "--constraint", tmp_path / "bounds.txt"]
    subprocess.run(command, check=True)
    clip = drawn_clips()["happy"]
    done = run(bin / "mmer", "predict", "--json", clip, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found, wanted = json.loads(done.stdout), Recognizer.load(ROOT / "release").predict(clip).to_json()
    assert found["label"] == wanted["label"]
    assert found["probabilities"] == pytest.approx(wanted["probabilities"], abs=0.01)
    done = run(bin / "mmer", "explain", clip, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run(bin / "mmer", "stream", "--file", clip, "http://localhost:9", cwd=tmp_path)
    assert "no service answers" in done.stderr
