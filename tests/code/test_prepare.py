"""Claims about preparing corpora: all good clips are there, every bad one is reported, nothing is left half written."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmer.clips import MANIFEST, read_manifest
from mmer.config import Params
from mmer.prepare import REPORT, PrepareError, crop_corpus, extract_corpus
from mmer.samples import load_frames, load_sample

ROOT = Path(__file__).resolve().parents[2]
VIDEO, MUTE, VOICE = "01-01-03-01-01-01-01.mp4", "02-01-04-01-01-01-01.mp4", "03-01-05-01-01-01-02.flac"
CLIPS = ["01-03-01-01-01-01", "01-04-01-01-01-01", "01-05-01-01-01-02"]


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three trials named as RAVDESS names them: a video, a mute video with its voice beside it, a voice alone."""
    raw = tmp_path_factory.mktemp("raw")
    picture = ("-f", "lavfi", "-i", "testsrc=s=320x240:r=25:d=1.4")
    sound = ("-f", "lavfi", "-i", "aevalsrc='if(gte(t,0.8),0.5*sin(2*PI*300*t),0)':s=16000:d=1.4")
    ffmpeg(*picture, *sound, raw / VIDEO)
    ffmpeg(*picture, raw / MUTE)
    ffmpeg(*sound, raw / MUTE.replace("02-", "03-", 1).replace(".mp4", ".flac"))
    ffmpeg(*sound, raw / VOICE)
    return raw


@pytest.fixture
def raw(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "raw"))


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MTCNN's three nets: those of the pipeline, else exported here."""
    folder = ROOT / "models/detector"
    if not (folder / "onet.onnx").is_file():
        pytest.importorskip("facenet_pytorch", reason="the detector is not exported, and its package is not installed")
        from stages.detector import export_detector

        folder = tmp_path_factory.mktemp("detector")
        export_detector(folder)
    return folder


def with_rules(params: Params, **rules: object) -> Params:
    return params.model_copy(update={"prepare": params.prepare.model_copy(update={"workers": 1, **rules})})


@pytest.fixture
def one(params: Params) -> Params:
    """One worker."""
    return with_rules(params)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_corpus_is_extracted_whole(raw: Path, tmp_path: Path, one: Params) -> None:
    out = tmp_path / "interim"
    extract_corpus("ravdess", raw, out, one)
    clips = read_manifest(out / MANIFEST)
    assert [clip.clip_id for clip in clips] == CLIPS
    assert [(clip.has_face, clip.has_scene, clip.has_voice) for clip in clips] == [
        (True, True, True),
        (True, True, True),
        (False, False, True),
    ]
    for clip in clips:
        assert clip.steps == 7
        assert clip.duration_s == pytest.approx(1.4, abs=0.05)
        assert len(clip.sha256) == 64
        frames = load_frames(out / f"{clip.clip_id}.npz")
        assert len(frames.jpegs) == (7 if clip.has_face else 0)
        assert len(frames.voice) == pytest.approx(1.4 * 16_000, abs=800)
        assert np.isnan(frames.times).all() != clip.has_face
    report = json.loads((out / REPORT).read_text())
    assert report == {"corpus": "ravdess", "clips": 3, "listed": 3, "bad": [], "hours": pytest.approx(4.2 / 3600, 0.05)}


def test_parallel_work_gives_the_bytes_of_serial_work(
    raw: Path, tmp_path: Path, params: Params, detector: Path
) -> None:
    made = []
    for workers in (1, 2):
        interim, processed = tmp_path / f"interim{workers}", tmp_path / f"processed{workers}"
        extract_corpus("ravdess", raw, interim, with_rules(params, workers=workers))
        crop_corpus("ravdess", interim, processed, detector, with_rules(params, workers=workers))
        made.append((contents(interim), contents(processed)))
    assert made[0] == made[1]


def test_crops_say_what_is_present_when(raw: Path, tmp_path: Path, one: Params, detector: Path) -> None:
    """The voice begins at 0.8 s: the window that ends at step 3 (0.8 s) is silent. A test picture shows no face."""
    interim, processed = tmp_path / "interim", tmp_path / "processed"
    extract_corpus("ravdess", raw, interim, one)
    crop_corpus("ravdess", interim, processed, detector, one)
    for clip in read_manifest(processed / MANIFEST):
        sample = load_sample(processed / f"{clip.clip_id}.npz")
        size, scene_size = one.input.face_size, one.input.scene_size
        assert sample.faces.shape == (7, size, size, 3)
        assert sample.scenes.shape == (7, scene_size, scene_size, 3)
        assert not sample.present[:, 0].any()
        assert sample.present[:, 1].tolist() == [clip.has_scene] * 7
        assert sample.present[:, 2].tolist() == [False] * 4 + [True] * 3
        assert (clip.has_face, clip.face_rate, clip.has_voice) == (False, 0, True)
        assert clip.voice_rate == pytest.approx(3 / 7)
    heard_only = processed / f"{CLIPS[2]}.npz"
    assert heard_only.stat().st_size < 60_000  # faces and scenes of nothing take no room


def spoil(raw: Path) -> None:
    """Three more clips: an empty file, a letter, and half a video."""
    (raw / "01-01-06-01-01-01-03.mp4").touch()
    (raw / "01-01-06-01-01-01-04.mp4").write_text("Dear reader, this is a letter.\n" * 9)
    whole = (raw / VIDEO).read_bytes()
    (raw / "01-01-06-01-01-01-05.mp4").write_bytes(whole[: len(whole) // 2])


def test_bad_clips_are_reported_and_the_others_finished(
    raw: Path, tmp_path: Path, params: Params, detector: Path
) -> None:
    spoil(raw)
    interim, processed = tmp_path / "interim", tmp_path / "processed"
    lenient = with_rules(params, max_bad_fraction=0.5)
    extract_corpus("ravdess", raw, interim, lenient)
    assert [clip.clip_id for clip in read_manifest(interim / MANIFEST)] == CLIPS
    report = json.loads((interim / REPORT).read_text())
    assert (report["clips"], report["listed"]) == (3, 6)
    assert [(entry["clip_id"], entry["path"]) for entry in report["bad"]] == [
        (f"01-06-01-01-01-0{n}", f"01-01-06-01-01-01-0{n}.mp4") for n in (3, 4, 5)
    ]
    empty, letter, cut = (entry["reason"] for entry in report["bad"])
    assert "empty" in empty
    assert "is no video" in letter
    assert "breaks off" in cut

    crop_corpus("ravdess", interim, processed, detector, lenient)
    assert json.loads((processed / REPORT).read_text()) == report


def test_a_damaged_file_of_frames_is_reported(raw: Path, tmp_path: Path, params: Params, detector: Path) -> None:
    interim, processed = tmp_path / "interim", tmp_path / "processed"
    lenient = with_rules(params, max_bad_fraction=0.5)
    extract_corpus("ravdess", raw, interim, lenient)
    damaged = interim / f"{CLIPS[0]}.npz"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    crop_corpus("ravdess", interim, processed, detector, lenient)
    report = json.loads((processed / REPORT).read_text())
    assert [entry["clip_id"] for entry in report["bad"]] == CLIPS[:1]
    assert [clip.clip_id for clip in read_manifest(processed / MANIFEST)] == CLIPS[1:]


def test_too_many_bad_clips_fail_the_corpus_with_the_reasons(raw: Path, tmp_path: Path, one: Params) -> None:
    spoil(raw)
    with pytest.raises(PrepareError, match=r"3 of 6 clips of ravdess are bad.*max_bad_fraction allows 2%") as error:
        extract_corpus("ravdess", raw, tmp_path / "interim", one)
    assert "01-06-01-01-01-03: 01-01-06-01-01-01-03.mp4: is empty" in str(error.value)
    assert not (tmp_path / "interim" / MANIFEST).exists()
    assert len(json.loads((tmp_path / "interim" / REPORT).read_text())["bad"]) == 3


def test_a_corpus_without_clips_is_an_error(tmp_path: Path, one: Params) -> None:
    with pytest.raises(PrepareError, match="holds no clip of ravdess"):
        extract_corpus("ravdess", tmp_path, tmp_path / "interim", one)


def test_missing_ffmpeg_stops_at_once(raw: Path, tmp_path: Path, one: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PrepareError, match="install it"):
        extract_corpus("ravdess", raw, tmp_path / "interim", one)


def test_cropping_before_extraction_or_without_a_detector_says_what_to_run(
    raw: Path, tmp_path: Path, one: Params, detector: Path
) -> None:
    with pytest.raises(PrepareError, match="dvc repro extract@ravdess"):
        crop_corpus("ravdess", tmp_path / "interim", tmp_path / "processed", detector, one)
    extract_corpus("ravdess", raw, tmp_path / "interim", one)
    with pytest.raises(PrepareError, match="dvc repro detector"):
        crop_corpus("ravdess", tmp_path / "interim", tmp_path / "processed", tmp_path, one)


FULL_DISK = """
import resource, sys
from pathlib import Path
from mmer.config import load_params
from mmer.prepare import PrepareError, extract_corpus
params = load_params("params.yaml", {"prepare.workers": int(sys.argv[3])})
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))  # a disk that ends in the middle of a file
try:
    extract_corpus("ravdess", Path(sys.argv[1]), Path(sys.argv[2]), params)
except PrepareError as error:
    raise SystemExit(f"extract: {error}")
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_stops_with_the_reason_and_leaves_no_half_file(raw: Path, tmp_path: Path, workers: int) -> None:
    out = tmp_path / "interim"
    command = [sys.executable, "-c", FULL_DISK, str(raw), str(out), str(workers)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "extract: ravdess cannot be prepared" in done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    for path in out.iterdir():
        assert path.suffix == ".npz"
        load_frames(path)


@pytest.mark.parametrize("stage", ["extract", "crop"])
def test_a_stage_that_cannot_work_ends_with_one_line_and_code_1(stage: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    command = [sys.executable, "-m", f"stages.{stage}", "ravdess"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("data/")
    assert done.stderr.count("\n") == 1


def test_real_clips_are_prepared_with_their_faces_and_voices(
    mirror: Path, tmp_path: Path, one: Params, detector: Path
) -> None:
    interim, processed = tmp_path / "interim", tmp_path / "processed"
    extract_corpus("crema_d", mirror / "crema_d", interim, one)
    crop_corpus("crema_d", interim, processed, detector, one)
    clips = read_manifest(processed / MANIFEST)
    assert len(clips) == 3
    for clip in clips:
        assert clip.face_rate > 0.9
        assert 0.3 < clip.voice_rate < 1
        sample = load_sample(processed / f"{clip.clip_id}.npz")
        assert sample.faces[sample.present[:, 0]].std() > 20
        assert sample.present.shape == (clip.steps, 3)
