"""The command line as its user sees it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from mmer import __version__
from mmer.cli import DRAWN, main
from mmer.labels import EMOTIONS
from tests.graphs import drawn_clips, write_graph, write_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("model")))


def test_a_clip_is_told_second_by_second_and_as_a_whole(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = drawn_clips()["happy"]
    assert main(["predict", str(path), "--model", model]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == str(path)
    assert [line.split()[0] for line in lines if line.lstrip()[:1].isdigit()][:2] == ["1.0s", "2.0s"]
    (whole,) = [line for line in lines if line.strip().startswith("whole")]
    assert whole.split()[1] in EMOTIONS
    assert all(f"{name} " in lines[lines.index(whole) + 1] for name in EMOTIONS)
    assert err.count(DRAWN) == 1


def test_what_was_missing_is_told(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["predict", str(drawn_clips()["angry"]), "--model", model])
    assert "without voice" in capsys.readouterr().out


def test_json_is_one_object_a_line_and_nothing_else(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(drawn_clips()[emotion]) for emotion in ("happy", "sad")]
    assert main(["predict", *paths, "--model", model, "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [t["path"] for t in told] == paths
    assert all(set(t["probabilities"]) == set(EMOTIONS) for t in told)


def test_a_folder_is_walked_and_a_bad_file_stops_nothing(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "notes.txt").write_text("not looked at")
    (tmp_path / "a_letter.mp4").write_text("Dear all, …")
    (tmp_path / "sub" / "b.MP4").write_bytes(drawn_clips()["sad"].read_bytes())
    assert main(["predict", str(tmp_path), str(tmp_path / "gone.mp4"), "--model", model]) == 1
    out, err = capsys.readouterr()
    assert "b.MP4" in out
    assert "a_letter.mp4" in err
    assert "gone.mp4" in err
    assert "notes.txt" not in out + err


def test_an_empty_folder_and_a_missing_model_are_told(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(tmp_path), "--model", model]) == 1
    assert "no video, sound or image" in capsys.readouterr().err
    assert main(["predict", str(drawn_clips()["sad"]), "--model", str(tmp_path / "none")]) == 1
    assert main(["info", "--model", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.count("make repro") == 2


def test_the_plot_is_a_picture_and_several_clips_get_one_each(model: str, tmp_path: Path) -> None:
    happy, neutral = str(drawn_clips()["happy"]), str(drawn_clips()["neutral"])
    assert main(["predict", happy, "--model", model, "--plot", str(tmp_path / "one.png")]) == 0
    assert main(["predict", happy, neutral, "--model", model, "--plot", str(tmp_path / "two.png")]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.png", "two-1.png", "two-2.png"]
    for path in tmp_path.iterdir():
        picture = cv2.imread(str(path))
        assert picture is not None
        assert picture.shape[1] > 1000
        assert picture.std() > 10


def test_info_tells_what_a_model_is(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--model", model]) == 0
    out = capsys.readouterr().out
    for words in (*EMOTIONS, "demo", "CC0-1.0", "0.2 s", DRAWN):
        assert words in out
    (tmp_path / "detector").symlink_to(Path(model) / "detector")
    write_graph(tmp_path, drawings=False, modalities=["face", "voice"], corpora=["ravdess"])
    assert main(["info", "--model", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "not trained: scene" in out
    assert DRAWN not in out


def test_demo_corpus_does_not_write_over_anything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("precious")
    assert main(["demo-corpus", str(tmp_path)]) == 1
    assert "empty" in capsys.readouterr().err
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_demo_corpus_of_nobody_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--speakers", "--takes"):
        assert main(["demo-corpus", str(tmp_path / "drawn"), option, "0"]) == 1
        assert f"{option.removeprefix('--')} 0" in capsys.readouterr().err
    assert not (tmp_path / "drawn").exists()


def test_version_and_help_import_nothing_heavy() -> None:
    code = """
import sys
from mmer.cli import main
try:
    main(sys.argv[1:])
finally:
    heavy = {"numpy", "cv2", "onnxruntime", "pydantic", "matplotlib", "torch"} & set(sys.modules)
    print("heavy:", *sorted(heavy), file=sys.stderr)
"""
    for option, told in (("--help", "predict"), ("--version", __version__)):
        done = subprocess.run([sys.executable, "-c", code, option], capture_output=True, text=True, check=True)
        assert told in done.stdout
        assert done.stderr.split() == ["heavy:"]


def test_what_is_missing_of_mmer_itself_is_a_mistake_and_no_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mmer.runtime.recognizer", None)
    with pytest.raises(ModuleNotFoundError, match="recognizer"):
        main(["info"])


def test_a_reader_that_goes_away_is_no_error(model: str) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "mmer.cli", "predict", str(drawn_clips()["sad"]), "--model", model]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
