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
    assert "a_letter.mp4\n        not recognised: " in out
    assert "gone.mp4\n        not recognised: does not exist" in out
    assert "gone.mp4: does not exist" in err
    assert "notes.txt" not in out + err


def test_rubbish_in_a_folder_is_no_failure_but_a_row(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "._clip.mp4").write_bytes(b"\0\5\x16\7")
    (tmp_path / ".trash").mkdir()
    for name in ("clip.mp4", ".trash/clip.mp4"):
        (tmp_path / name).write_bytes(drawn_clips()["sad"].read_bytes())
    assert main(["predict", str(tmp_path), "--model", model, "--json"]) == 0
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [Path(row["path"]).name for row in rows] == ["clip.mp4", "empty.mp4"]
    assert rows[0]["label"] in EMOTIONS
    assert rows[1]["error"]["code"] == "empty"
    assert "2 hidden files left out" in err
    (tmp_path / "clip.mp4").unlink()
    assert main(["predict", str(tmp_path), "--model", model]) == 1, "nothing was recognised"


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "en_US.ISO-8859-1"])
@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_no_text_is_printed_escaped(model: str, tmp_path: Path, locale: str) -> None:
    for name in (b"\xff\xfe.mp4", "Grüße ☀.mp4".encode(), b"a\x1b[31m\nred.mp4"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(drawn_clips()["sad"].read_bytes())
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xfc.mp4")).touch()
    environment = {**os.environ, "LC_ALL": locale, "LANG": locale}
    for more in ([], ["--json"]):
        command = [sys.executable, "-m", "mmer.cli", "predict", str(tmp_path), "--model", model, *more]
        done = subprocess.run(command, capture_output=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
        assert b"\x1b" not in done.stdout
        rows = [row for row in done.stdout.splitlines() if b".mp4" in row]
        assert len(rows) == 4
        assert b"udcff" in done.stdout or b"\\xff" in done.stdout


def test_a_part_can_be_asked_for(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(drawn_clips()["happy"])
    assert main(["predict", path, "--model", model, "--json", "--start", "0.4", "--end", "1.0"]) == 0
    assert len(json.loads(capsys.readouterr().out)["steps"]) == 3
    assert main(["predict", path, "--model", model, "--start", "1", "--end", "0.5"]) == 1
    assert "--end 0.5 must be later than --start 1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["predict", path, "--model", model, "--start", "-1"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's peak so")
@pytest.mark.slow
def test_half_an_hour_takes_the_memory_of_five_minutes(model: str, tmp_path: Path) -> None:
    code = """
import re, sys
from mmer.cli import main
code = main(sys.argv[1:])
print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024, file=sys.stderr)
sys.exit(code)
"""
    peaks = []
    for minutes in (5, 30):
        clip = tmp_path / f"{minutes}.mkv"
        picture = ["-f", "lavfi", "-i", f"testsrc=s=64x48:r=5:d={60 * minutes}"]
        voice = ["-f", "lavfi", "-i", f"sine=d={60 * minutes}:r=16000"]
        codec = ["-c:v", "mjpeg", "-q:v", "20", "-c:a", "pcm_s16le"]
        subprocess.run(["ffmpeg", "-v", "error", *picture, *voice, *codec, str(clip)], check=True)
        command = [sys.executable, "-c", code, "predict", str(clip), "--model", model, "--json"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert len(json.loads(done.stdout)["steps"]) == 300 * minutes
        peaks.append(int(done.stderr.split()[-1]))
    assert peaks[1] < 300
    # 7,500 more steps of the timeline take 70 to 85 MB; their sound (96) or pictures (69) held as well would show.
    assert peaks[1] < peaks[0] + 120, "the timeline alone grows"


def test_a_picture_without_a_face_is_told_so(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    cv2.imwrite(str(tmp_path / "grey.png"), np.full((480, 640, 3), 100, np.uint8))
    assert main(["predict", str(tmp_path / "grey.png"), "--model", model]) == 0
    out = capsys.readouterr().out
    assert "the file shows a picture, but no face was found in it: it may be" in out


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
